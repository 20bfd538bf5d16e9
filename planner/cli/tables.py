"""Rows as people read them: columns that fold between words on a terminal, aligned columns in a pipe.

Nothing is cut. A terminal that is too narrow for the columns loses those that the caller can spare, and says so; one
that is still too narrow gets a block a row.
"""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from planner.cli.consoles import make_console
from planner.cli.wrapping import print_wrapped

COLUMN_GAP = "  "
FOLDED_WIDTH = 26
"""Width below which no word is folded; an id is never folded."""


def print_rows(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    spare: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Print rows under their column names.

    Args:
        names: the columns.
        rows: one cell a column.
        spare: columns that a narrow terminal goes without, the first one first.
        console: where to; standard output.
    """
    cells = [[format_cell(value) for value in row] for row in rows]
    console = console or make_console()
    if console.is_terminal:
        _print_on_terminal(console, names, cells, spare)
        return
    widths = [max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(names)]
    for row in [list(names), *cells]:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(COLUMN_GAP.join(padded).rstrip())


def _print_on_terminal(
    console: Console, names: Sequence[str], cells: Sequence[Sequence[str]], spare: Sequence[str]
) -> None:
    least = {name: _least_width(name, [row[at] for row in cells]) for at, name in enumerate(names)}
    kept = list(names)
    dropped = []
    for name in spare:
        if _joined_width(least, kept) <= console.width:
            break
        kept.remove(name)
        dropped.append(name)
    if _joined_width(least, kept) > console.width:
        _print_blocks(console, names, cells)
        return
    table = Table(box=None, pad_edge=False, padding=(0, len(COLUMN_GAP), 0, 0), header_style="bold")
    natural = {name: max([len(name), *(len(row[at]) for row in cells)]) for at, name in enumerate(names)}
    for name, width in _share_out(console.width, {name: natural[name] for name in kept}, least).items():
        table.add_column(name, overflow="fold", no_wrap=_is_id(name), width=width)
    for row in cells:
        table.add_row(*(Text(row[names.index(name)]) for name in kept))
    console.print(table)
    if dropped:
        print_wrapped(console, Text(f"too narrow for {', '.join(dropped)}; see --json", style="dim"), 0)


def _share_out(room: int, natural: dict[str, int], least: dict[str, int]) -> dict[str, int]:
    """A width a column: the widest that may shrink gives way first."""
    widths = dict(natural)
    excess = _joined_width(widths, list(widths)) - room
    for _ in range(max(0, excess)):
        widest = max((name for name in widths if widths[name] > least[name]), key=lambda name: widths[name])
        widths[widest] -= 1
    return widths


def _print_blocks(console: Console, names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    hang = max(len(name) for name in names) + len(COLUMN_GAP)
    for index, row in enumerate(cells):
        if index:
            console.print()
        for name, cell in zip(names, row, strict=True):
            print_wrapped(console, Text(name.ljust(hang), style="bold") + Text(cell, style="not bold"), hang)


def _least_width(name: str, column: Sequence[str]) -> int:
    if _is_id(name):
        return max([len(name), *(len(cell) for cell in column)])
    longest = max((len(word) for cell in column for word in cell.split()), default=0)
    return max(len(name), min(longest, FOLDED_WIDTH))


def _joined_width(least: dict[str, int], kept: Sequence[str]) -> int:
    return sum(least[name] for name in kept) + len(COLUMN_GAP) * (len(kept) - 1)


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def format_cell(value: Any) -> str:
    """One value on one line; null is a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return " ".join(str(value).split())
