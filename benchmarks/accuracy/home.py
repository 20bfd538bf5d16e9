"""A throwaway home over the project's own data, for as long as a benchmark runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from truth import DATA

from planner.main import open_workshop
from planner.settings import Settings
from planner.usecases.workshop import Workshop


@contextmanager
def throwaway_workshop() -> Iterator[Workshop]:
    """All ports over an empty home; nothing of the user's own home is read or written."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workshop = open_workshop(Settings(home=home, cache=home / "cache", data=DATA))
        try:
            yield workshop
        finally:
            workshop.close()
