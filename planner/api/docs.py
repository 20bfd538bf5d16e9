"""The routes as one page, from the OpenAPI document: no script, no font and no style from anywhere else.

The page works with no network: the bundle of Swagger UI that the package index has is of a version that cannot read
OpenAPI 3.1, and the framework's own pages fetch theirs from other servers.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin, YamlRenderPlugin

METHODS = ("get", "post", "put", "patch", "delete")
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d1c1d }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd } h3 { margin: 1.5rem 0 .25rem; font: 600 1rem monospace }
.method { display: inline-block; min-width: 3.5rem; color: #1264a3 } p { margin: .25rem 0 }
table { border-collapse: collapse; margin: .5rem 0 } td { padding: .15rem 1rem .15rem 0; vertical-align: top }
code { font: .9rem monospace } .type { color: #616061 }
@media (prefers-color-scheme: dark) { body { background: #1a1d21; color: #d1d2d3 } .method { color: #66b2ff } }
"""


PROBLEM = {
    "type": "object",
    "description": "A refusal (RFC 9457): a stable code, one sentence, and what the command line would exit with.",
    "required": ["status", "type", "title", "detail", "code", "exit_status", "error"],
    "properties": {
        **{name: {"type": "integer"} for name in ("status", "exit_status")},
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code")},
        **{name: {"type": "array", "items": {"type": "string"}} for name in ("choices", "suggestions")},
        "error": {"type": "object", "description": "The same in the shape that `--json` prints."},
    },
}
REFUSAL = {
    "description": "A refusal.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class JsonDocument(JsonRenderPlugin):
    """The document in JSON."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document, refusals as they are."""
        return super().render(request, tell_refusals(openapi_schema))


class YamlDocument(YamlRenderPlugin):
    """The document in YAML."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The document, refusals as they are."""
        return super().render(request, tell_refusals(openapi_schema))


def tell_refusals(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with what every route refuses by, in place of the framework's own form of it."""
    paths = {
        path: {name: _with_refusal(act) if name in METHODS else act for name, act in acts.items()}
        for path, acts in document["paths"].items()
    }
    components = document.get("components", {})
    schemas = {**components.get("schemas", {}), "Problem": PROBLEM}
    return {**document, "paths": paths, "components": {**components, "schemas": schemas}}


def _with_refusal(act: Mapping[str, Any]) -> dict[str, Any]:
    answers = {status: answer for status, answer in act["responses"].items() if status.startswith("2")}
    return {**act, "responses": {**answers, "default": REFUSAL}}


class RoutesPage(OpenAPIRenderPlugin):
    """A page that lists every route with what it takes and answers."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        del request
        return render_routes(openapi_schema).encode()


def render_routes(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as HTML, routes under their tags, then the shapes that they speak of."""
    title = f"{document['info']['title']} {document['info']['version']}"
    by_tag: dict[str, list[str]] = {}
    for path, acts in document["paths"].items():
        for method in METHODS:
            if method in acts:
                tag = (acts[method].get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_route(path, method, acts[method]))
    routes = "".join(f"<h2>{escape(tag)}</h2>{''.join(items)}" for tag, items in sorted(by_tag.items()))
    schemas = document.get("components", {}).get("schemas", {})
    shapes = "".join(_shape(name, schema) for name, schema in sorted(schemas.items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        "<p>Every request but <code>/health</code> and <code>/schema</code> carries "
        "<code>Authorization: Bearer TOKEN</code>. Refusals are problem documents (RFC 9457) with a stable "
        '<code>code</code>. The same as <a href="/schema/openapi.json">OpenAPI 3.1 in JSON</a> or '
        f'<a href="/schema/openapi.yaml">YAML</a>.</p>{routes}<h2>Shapes</h2>{shapes}</body></html>'
    )


def _route(path: str, method: str, act: Mapping[str, Any]) -> str:
    rows = [
        (item["name"], f"{item['in']}, {_type(item.get('schema', {}))}", item.get("description", ""))
        for item in act.get("parameters", ())
    ]
    body = act.get("requestBody", {}).get("content", {})
    rows += [("body", _type(media.get("schema", {})), kind) for kind, media in body.items()]
    for status, answer in act.get("responses", {}).items():
        if status.startswith("2"):
            kinds = answer.get("content", {})
            said = ", ".join(_type(media.get("schema", {})) for media in kinds.values())
            rows.append((status, said or "nothing", ", ".join(kinds)))
    words = escape(act.get("description") or act.get("summary") or "").replace("`", "")
    return f'<h3><span class="method">{method.upper()}</span> {escape(path)}</h3><p>{words}</p>{_table(rows)}'


def _shape(name: str, schema: Mapping[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = [
        (field, _type(kind) + ("" if field in needed else ", optional"), kind.get("description", ""))
        for field, kind in schema.get("properties", {}).items()
    ]
    about = escape(schema.get("description", ""))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{about}</p>{_table(rows)}'


def _type(schema: Mapping[str, Any]) -> str:
    """What a schema admits, in a word or a few."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_type(item) for item in schema[choice]))
    if "enum" in schema:
        return " | ".join(str(item) for item in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = "".join(
        f'<tr><td><code>{escape(name)}</code></td><td class="type">{escape(kind)}</td><td>{escape(about)}</td></tr>'
        for name, kind, about in rows
    )
    return f"<table>{cells}</table>" if cells else ""
