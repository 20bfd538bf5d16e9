"""Published sizes of quantized checkpoints as rows of `estimate --batch`."""

import re
from typing import Any

from truth import ANY_CARD, UNITS, Figure, Row, read_rows

RULES = {
    "size: marked SUSPECT": r"SUSPECT|printed 3\.40 B",
    "size: without the input embedding": "excludes input embedding",
    "size: GB or GiB not told": "basis (?:unstated|inconsistent)|down_weight",
    "size: the head is quantized as well": "lm-head quantized",
    "size: layers or experts cut away": "pruned",
    "size: a label that hides a mix": "custom mixes share a label|may hide a custom|old pre-GGUF|old numbers",
}
"""Patterns of `note` and `flags` by the reason why a size is not compared."""
ROUNDING = 0.005
"""Share within which a file's size is wanted, or the print's own rounding where that is larger."""


def read_sizes() -> list[Figure]:
    """Every row of `sizes.csv`; the artifact's bytes are compared."""
    return [_read_size(row) for row in read_rows("sizes.csv")]


def as_size_fields(row: Row) -> dict[str, Any]:
    """What somebody who reads this row would ask `estimate`."""
    fields = {
        "model": row["repo"] or row["model"],
        "scheme": row["scheme"],
        "method": row["method"],
        "device": ANY_CARD,
        "count": 8,
        "group_size": int(row["group_size"]) if row["group_size"].isdigit() else None,
    }
    return {name: value for name, value in fields.items() if value}


def last_digit(text: str) -> float:
    """What one step of the last printed digit is worth: 0.1 of `19.5`."""
    return float(10.0 ** -len(text.partition(".")[2]))


def _read_size(row: Row) -> Figure:
    told = f"{row['note']} {row['flags']}"
    left_out = next((reason for reason, pattern in RULES.items() if re.search(pattern, told)), "")
    if not row["repo"]:
        left_out = "size: model not in the catalogue"
    return Figure(
        kind="size",
        engine="file",
        source=row["source_ref"],
        row={**row, "kind": "size"},
        quantity="artifact_bytes",
        measured=float(row["value"]) * UNITS[row["unit"]],
        tolerance=max(ROUNDING, 0.5 * last_digit(row["value"]) / float(row["value"])),
        fields=as_size_fields(row),
        left_out=left_out,
    )
