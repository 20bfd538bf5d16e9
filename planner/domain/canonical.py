"""Canonical JSON: keys sorted, no spaces, floats at six significant digits. What is recorded, sent and hashed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any

PLAIN = frozenset({str, int, bool, type(None)})
"""Types that rounding leaves as they are."""

Json = str
"""Canonical JSON of some value."""


class Written(Mapping[str, Any]):
    """An object that is kept as its canonical JSON, and read only where somebody looks into it."""

    __slots__ = ("_content", "text")

    def __init__(self, text: Json) -> None:
        self.text = text
        self._content: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        """What is written, in plain dictionaries and lists."""
        if self._content is None:
            self._content = json.loads(self.text)
        return self._content

    def __getitem__(self, key: str) -> Any:
        return self.read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())


class Form:
    """A JSON object whose names are known beforehand: its canonical text is filled in, not written name by name."""

    def __init__(self, *names: str, filled: Mapping[str, Json | int] | None = None) -> None:
        filled = filled or {}
        every = sorted({*names, *filled})
        texts = {name: str(value).replace("%", "%%") for name, value in filled.items()}
        self._text = "{" + ",".join(f"{quote(name)}:{texts.get(name, '%s')}" for name in every) + "}"
        self._filled = filled
        self._names = tuple(name for name in every if name not in filled)
        self._pick = itemgetter(*self._names) if self._names else lambda _: ()

    def fill(self, **values: Json | int) -> Json:
        """The text with a value for each name; whole numbers as they are, all else in canonical JSON."""
        return self._text % self._pick(values)

    def fill_some(self, **values: Json | int) -> "Form":
        """The form with some of its values filled in for good."""
        return Form(*self._names, filled={**self._filled, **values})


def quote(text: str | None) -> Json:
    """A string, or null."""
    return "null" if text is None else encode_basestring(text)


def number(value: float | None) -> Json:
    """A number with six significant digits, or null."""
    if value is None:
        return "null"
    text = f"{value:.6g}"
    if "e" in text:
        return repr(float(text))
    return text if "." in text else text + ".0"


def whole(value: int | None) -> Json:
    """A whole number, or null."""
    return "null" if value is None else str(value)


def canonical_json(value: Any) -> Json:
    """The canonical JSON of a value; tuples are lists."""
    return write_rounded(round_significant(value))


def sha256_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def write_rounded(value: Any) -> Json:
    """Canonical JSON of a value whose floats are rounded already."""
    if type(value) is Written:
        return value.text
    if type(value) is list and value and all(type(item) is Written for item in value):
        return "[" + ",".join(item.text for item in value) + "]"
    return _ENCODER.encode(value)


def _read(part: Any) -> Any:
    """What is written somewhere inside a value: read, and written again to the same text."""
    if isinstance(part, Written):
        return part.read()
    raise TypeError(f"{type(part).__name__} has no JSON")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_read)


def as_plain(value: Any) -> Any:
    """The same value in dictionaries and lists alone, in the order in which it was made."""
    if isinstance(value, Written):
        return value.read()
    if isinstance(value, Mapping):
        return {key: as_plain(item) for key, item in value.items()}
    return [as_plain(item) for item in value] if isinstance(value, list | tuple) else value


def round_significant(value: Any, digits: int = 6) -> Any:
    """`value` with every float in it rounded to `digits` significant digits, so that hashes are stable.

    Tuples become lists and mappings plain dictionaries, as JSON has them.
    """
    kind = type(value)
    if kind is float:
        return float(f"{value:.{digits}g}")
    if kind in PLAIN or kind is Written:
        return value
    # Most of what is in a record are strings and whole numbers: they are not worth a call each.
    if kind is dict or isinstance(value, Mapping):
        return {
            key: item if type(item) in PLAIN else round_significant(item, digits)
            for key, item in value.items()
        }
    if kind is list or kind is tuple:
        return [item if type(item) in PLAIN else round_significant(item, digits) for item in value]
    return value
