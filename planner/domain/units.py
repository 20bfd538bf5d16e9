"""Units: bytes and seconds inside, GiB and words at the edge.

GiB is 2^30 bytes; an unlabelled "GB" is never printed, because published tables mix the two.
"""

from collections.abc import Mapping
from typing import Any

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

PLAIN = frozenset({str, int, bool, type(None)})
"""Types that rounding leaves as they are."""


def format_gib(size_bytes: float, digits: int = 1) -> str:
    """A size in bytes as GiB, or as MiB below a tenth of a GiB: `47.5 GiB`, `93.1 MiB`."""
    if abs(size_bytes) < GIB / 10:
        return f"{size_bytes / MIB:.{digits}f} MiB"
    return f"{size_bytes / GIB:.{digits}f} GiB"


def format_count(number: float) -> str:
    """A count with separators: `72,706,203,648`."""
    return f"{number:,.0f}"


def format_seconds(seconds: float) -> str:
    """A duration in seconds in the largest unit that keeps it readable: `8 s`, `38 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class Rounded(dict[str, Any]):
    """A dictionary whose floats are rounded already, and which nobody changes: many records share it."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Rounded":
        """Round it now."""
        return cls(round_significant(value))


def round_significant(value: Any, digits: int = 6) -> Any:
    """`value` with every float in it rounded to `digits` significant digits, so that hashes are stable.

    Tuples become lists and mappings plain dictionaries, as JSON has them.
    """
    kind = type(value)
    if kind is float:
        return float(f"{value:.{digits}g}")
    if kind in PLAIN or kind is Rounded:
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
