"""A constant with its spread and source, as tables state it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant with its spread, and where it comes from."""

    low: float
    likely: float
    high: float
    source: str


MemoryConstants = Mapping[tuple[str, str], Constant]
"""(engine, term) → constant, from `data/engine_memory.csv`."""
