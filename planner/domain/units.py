"""Units: bytes and seconds inside, GiB and words at the edge.

GiB is 2^30 bytes; an unlabelled "GB" is never printed, because published tables mix the two.
"""

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


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
