"""Every row of every table names its source; a date begins with a year or is blank, which is unknown."""

import csv
import re
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data"
RENAMES_ONLY = {"spellings.csv"}
"""Each of its rows only renames: it states no fact that could have a source."""
TABLES = sorted(path for path in DATA.rglob("*.csv") if path.name not in RENAMES_ONLY)
DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?\b.*")
"""A date as the source gives it: a year at least, `2024-01 (v0.2.0)` as well."""


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.relative_to(DATA).as_posix())
def test_every_row_has_a_source(path):
    rows = read(path)
    assert rows
    column = "source_ref" if "source_ref" in rows[0] else "source"
    without = [number for number, row in enumerate(rows, start=2) if not (row[column] or "").strip()]
    assert without == []


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.relative_to(DATA).as_posix())
def test_every_row_has_as_many_cells_as_the_header(path):
    uneven = [number for number, row in enumerate(read(path), start=2) if None in row or None in row.values()]
    assert uneven == []


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.relative_to(DATA).as_posix())
def test_a_date_is_a_date_or_unknown(path):
    for row in read(path):
        for column in ("source_date", "released"):
            assert not row.get(column) or DATE.fullmatch(row[column]), row


def test_there_are_tables_to_look_at():
    assert len(TABLES) > 15
