"""Long lists by pages: a list that knows where it goes on."""

from collections.abc import Iterable
from typing import TypeVar

Row = TypeVar("Row")

PAGE_ROWS = 100
"""Rows fetched at once by what walks a whole list."""
MOST_PAGE_ROWS = 1000
"""More the service does not answer at once."""


class Page(list[Row]):
    """Rows, and the cursor of the page after them; None on the last page."""

    def __init__(self, rows: Iterable[Row], next_cursor: str | None) -> None:
        super().__init__(rows)
        self.next_cursor = next_cursor
