"""Canonical JSON: keys sorted, no spaces, floats at six significant digits. What is recorded, sent and hashed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

PLAIN = frozenset({str, int, bool, type(None)})
"""Types that rounding leaves as they are."""
MARK = "\x00"
"""Stands in a text for a part that is written already."""


class Written(Mapping[str, Any]):
    """An object that nobody changes, with its canonical JSON: many records hold it, and it is written once."""

    __slots__ = ("_content", "text")

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = round_significant(content)
        self.text = canonical_json(content)

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def canonical_json(value: Any) -> str:
    """The canonical JSON of a value; tuples are lists."""
    return write_rounded(round_significant(value))


def sha256_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def write_rounded(value: Any) -> str:
    """Canonical JSON of a value whose floats are rounded already."""
    written: list[str] = []

    def put_off(part: Any) -> str:
        if not isinstance(part, Written):
            raise TypeError(f"{type(part).__name__} has no JSON")
        written.append(part.text)
        return MARK

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=put_off)
    if not written:
        return text
    around = text.split(json.dumps(MARK))
    if len(around) != len(written) + 1:  # somebody's own text is the mark
        return write_rounded(as_plain(value))
    return around[0] + "".join(part + after for part, after in zip(written, around[1:], strict=True))


def as_plain(value: Any) -> Any:
    """The same value in dictionaries and lists alone, in the order in which it was made."""
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
