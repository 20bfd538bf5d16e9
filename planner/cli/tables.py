"""Rows as people read them: a table on a terminal, aligned columns in a pipe."""

import json
import shutil
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

COLUMN_GAP = "  "


def print_rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under their column names."""
    cells = [[format_cell(value) for value in row] for row in rows]
    console = Console(highlight=False, width=max(80, shutil.get_terminal_size((160, 24)).columns))
    if console.is_terminal:
        table = Table(*names)
        for row in cells:
            table.add_row(*row)
        console.print(table, markup=False)
        return
    widths = [max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(names)]
    for row in [list(names), *cells]:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(COLUMN_GAP.join(padded).rstrip())


def format_cell(value: Any) -> str:
    """One value on one line; null is a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return " ".join(str(value).split())
