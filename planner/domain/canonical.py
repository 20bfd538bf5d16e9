"""Canonical JSON: keys sorted, no spaces, floats at six significant digits. What is recorded, sent and hashed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any, NewType

PLAIN = frozenset({str, int, bool, type(None)})
"""Types that rounding leaves as they are."""
MARK = "\x00"
"""Stands in a text for a part that is written already."""


Json = NewType("Json", str)
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

    def __init__(self, *names: str) -> None:
        self._names = tuple(sorted(names))
        self._text = "{" + ",".join(f"{quote(name)}:%s" for name in self._names) + "}"

    def fill(self, **values: Json | int) -> Json:
        """The text with a value for each name; whole numbers as they are, all else in canonical JSON."""
        return Json(self._text % tuple([values[name] for name in self._names]))

    def fill_some(self, **values: Json | int) -> "Form":
        """The form with some of its values filled in for good."""
        form = Form()
        form._names = tuple(name for name in self._names if name not in values)
        texts = [str(values[name]).replace("%", "%%") if name in values else "%s" for name in self._names]
        form._text = self._text.replace("%%", "%%%%") % tuple(texts)
        return form


def quote(text: str | None) -> Json:
    """A string, or null."""
    return Json("null" if text is None else encode_basestring(text))


def number(value: float | None) -> Json:
    """A number with six significant digits, or null."""
    if value is None:
        return Json("null")
    text = f"{value:.6g}"
    if "e" in text:
        return Json(repr(float(text)))
    return Json(text if "." in text else text + ".0")


def whole(value: int | None) -> Json:
    """A whole number, or null."""
    return Json("null" if value is None else str(value))


def canonical_json(value: Any) -> Json:
    """The canonical JSON of a value; tuples are lists."""
    return write_rounded(round_significant(value))


def sha256_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def write_rounded(value: Any) -> Json:
    """Canonical JSON of a value whose floats are rounded already."""
    written: list[str] = []

    def put_off(part: Any) -> str:
        if not isinstance(part, Written):
            raise TypeError(f"{type(part).__name__} has no JSON")
        written.append(part.text)
        return MARK

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=put_off)
    if not written:
        return Json(text)
    around = text.split(json.dumps(MARK))
    if len(around) != len(written) + 1:  # somebody's own text is the mark
        return write_rounded(as_plain(value))
    return Json(around[0] + "".join(part + after for part, after in zip(written, around[1:], strict=True)))


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
