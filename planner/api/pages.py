"""Long lists by pages: at most `limit` rows, and a cursor where there are more. A cursor is the last row's own id."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from litestar.params import QueryParameter

from planner.contract.pages import MOST_PAGE_ROWS

Limit = Annotated[int, QueryParameter(ge=1, le=MOST_PAGE_ROWS)]
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=200, description="`next_cursor` of the page before; none for the first."),
]
Row = TypeVar("Row")


def cut_page(rows: Sequence[Row], limit: int, name_row: Callable[[Row], str]) -> tuple[list[Row], str | None]:
    """A page of rows that were asked for with one more than fit, and the cursor of the next page."""
    page = list(rows[:limit])
    return page, name_row(page[-1]) if len(rows) > limit else None
