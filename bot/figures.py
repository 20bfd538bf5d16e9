"""Numbers as people read them in Slack: the same words as on the terminal, narrower."""

GIB = 1 << 30
MIB = 1 << 20


def format_size(size_bytes: float) -> str:
    """A size in GiB, or in MiB below a tenth of one."""
    if abs(size_bytes) < GIB / 10:
        return f"{size_bytes / MIB:.1f} MiB"
    return f"{size_bytes / GIB:.1f} GiB"


def format_duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def format_change(percent: float) -> str:
    """A change in percent with its sign, a real minus and no minus zero: `−0.6`, `+1.9`, `0.0`."""
    text = f"{percent:+.1f}".replace("-", "−")
    return "0.0" if text in {"−0.0", "+0.0"} else text


def format_figure(value: float, unit: str) -> str:
    """A measured or promised figure with its unit; bytes finer than elsewhere, since two are to be compared."""
    if unit == "bytes":
        return format_size(value) if value >= GIB else f"{value / MIB:.1f} MiB"
    if unit == "minutes":
        return format_duration(60 * value)
    if unit == "%":
        return f"{format_change(value)} %"
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.3g} {unit}"
