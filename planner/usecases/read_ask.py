"""From what was sent (a sentence, or fields) to one request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.facts.request import Request, parse_request

FIELDS = frozenset(
    {
        *("ask", "model", "on", "context", "concurrency", "objective", "engine", "task", "kv_dtype"),
        *("scheme", "method", "group_size", "must_quantize"),
    }
)
SENTENCE_FORMS = {
    "context": "context {}",
    "concurrency": "for {} users",
    "engine": "with {}",
    "kv_dtype": "{} kv",
    "scheme": "in {}",
}
"""How a field is said, so that it is read and refused like the sentence's own words."""
FIELD_NAMES = {"context": "context_tokens", "scheme": "schemes"}
CHOICES = {
    "objective": ("balanced", "quality", "speed", "memory"),
    "task": ("general", "coding", "math", "chat", "multilingual"),
}


def read_ask(fields: Mapping[str, Any]) -> Request:
    """A request from a plan's fields: `ask`, or `model` and `on`; the other fields override the sentence.

    Raises:
        BadInput: `request.unknown_field`, `request.bad_field`, or whatever is wrong with the words.
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
        sentence = f'"{fields["model"]}" for {fields.get("on") or "this machine"}'
    request = parse_request(sentence)
    for name, form in SENTENCE_FORMS.items():
        if fields.get(name) is not None:
            stated = parse_request(f"demo for cpu, {form.format(fields[name])}")
            field = FIELD_NAMES.get(name, name)
            request = replace(request, **{field: getattr(stated, field)})
    for name, choices in CHOICES.items():
        if fields.get(name) is not None:
            request = replace(request, **{name: _one_of(name, fields[name], choices)})
    if fields.get("method") is not None:
        request = replace(request, method=str(fields["method"]).lower())
    if fields.get("group_size") is not None:
        request = replace(request, group_size=_whole_number("group_size", fields["group_size"]))
    return replace(request, must_quantize=_yes_or_no("must_quantize", fields.get("must_quantize")))


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    if value not in choices:
        raise BadInput(
            "request.bad_field", f'{name} is one of {", ".join(choices)}, not "{value}".', choices=choices
        )
    return value


def _yes_or_no(name: str, value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise BadInput("request.bad_field", f'{name} is true or false, not "{value}".')
    return bool(value)


def _whole_number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise BadInput("request.bad_field", f'{name} is a whole number above 0, not "{value}".')
    return value
