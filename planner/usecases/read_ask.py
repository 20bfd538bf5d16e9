"""From what was sent (a sentence, or fields) to one request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.domain.errors import BadInput

from planner.domain.facts.request import Request, parse_request

FIELDS = frozenset(
    {"ask", "model", "on", "context", "concurrency", "objective", "engine", "task", "kv_dtype", "schemes"}
)
OPTION_WORDS = {
    "context": "context {}",
    "concurrency": "for {} users",
    "engine": "with {}",
    "kv_dtype": "{} kv",
}


def read_ask(fields: Mapping[str, Any]) -> Request:
    """A request from a plan's fields: `ask`, or `model` and `on`, and options that override the sentence.

    Raises:
        BadInput: `request.unknown_field`, or whatever is wrong with the words.
    """
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        raise BadInput(
            "request.unknown_field",
            f'A plan has no field "{unknown[0]}". Fields: {", ".join(sorted(FIELDS))}.',
            choices=sorted(FIELDS),
        )
    sentence = str(fields.get("ask") or "")
    if not sentence and fields.get("model"):
        sentence = f"{fields['model']} for {fields.get('on') or 'this machine'}"
    request = parse_request(sentence)
    for name, words in OPTION_WORDS.items():
        if fields.get(name) is not None:
            stated = parse_request(f"demo for cpu {words.format(fields[name])}")
            field = {"context": "context_tokens"}.get(name, name)
            request = replace(request, **{field: getattr(stated, field)})
    for name in ("objective", "task"):
        if fields.get(name) is not None:
            request = replace(request, **{name: fields[name]})
    if fields.get("schemes"):
        request = replace(request, schemes=tuple(fields["schemes"]))
    return request
