"""Published sizes of quantized checkpoints as rows of `estimate --batch`."""

import re
from typing import Any

from truth import ANY_CARD, UNITS, Figure, Row, read_rows

NOT_A_FILE = re.compile(
    r"SUSPECT|printed 3\.40 B|without (?:the )?(?:input )?embedding|VRAM|memory", re.IGNORECASE
)


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


def _read_size(row: Row) -> Figure:
    left_out = ""
    if not row["repo"]:
        left_out = "size: model not in the catalogue"
    elif NOT_A_FILE.search(row["note"] + row["flags"]):
        left_out = "size: marked doubtful, or not the whole file"
    return Figure(
        kind="size",
        engine="file",
        source=row["source_ref"],
        row={**row, "kind": "size"},
        quantity="artifact_bytes",
        measured=float(row["value"]) * UNITS[row["unit"]],
        fields=as_size_fields(row),
        left_out=left_out,
    )
