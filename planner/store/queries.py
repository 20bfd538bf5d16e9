"""Named statements from `sql/*.sql`: a header line `-- name: verb_noun`, a sentence of purpose, one statement."""

import re
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load_queries(stem: str) -> dict[str, str]:
    """Statements of one file by name."""
    text = files("planner.store").joinpath("sql", f"{stem}.sql").read_text(encoding="utf-8")
    parts = _HEADER.split(text)
    return {name: statement.strip() for name, statement in zip(parts[1::2], parts[2::2], strict=True)}
