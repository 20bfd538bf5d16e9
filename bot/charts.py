"""Memory of one card as a bar of characters, for Slack's fixed-width text.

    █████████████████▓▓▓▓▒·····  26.1 of 42.8 GiB

Every part that is not zero gets at least one cell, so that it can be seen; the bar ends at what is usable, and
what does not fit is said by the numbers beside it. A drawn picture would need a drawing library and an upload
for each plan, and say no more.
"""

from collections.abc import Mapping
from typing import Any

from bot.figures import GIB

CELLS = 32
PARTS = (
    ("weights", "weights_bytes", "█"),
    ("KV", "kv_cache_bytes", "▓"),
    ("activations", "activation_bytes", "▒"),
    ("overhead", "overhead_bytes", "░"),
)
"""What lasts, what grows with use, what comes and goes."""
FREE = "·"


def draw_memory(memory: Mapping[str, Any]) -> str:
    """The bar and its legend, two lines."""
    usable = memory["usable_bytes"]
    bar = "".join(cell * _count_cells(memory[key], usable) for _, key, cell in PARTS)
    bar = bar[:CELLS].ljust(CELLS, FREE)
    sizes = "  ".join(f"{cell} {name} {memory[key] / GIB:.2f}" for name, key, cell in PARTS)
    return f"{bar}  {memory['total_bytes'] / GIB:.1f} of {usable / GIB:.1f} GiB\n{sizes}"


def _count_cells(part_bytes: float, usable_bytes: float) -> int:
    if part_bytes <= 0 or usable_bytes <= 0:
        return 0
    return max(1, round(CELLS * part_bytes / usable_bytes))
