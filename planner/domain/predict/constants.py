"""A constant with its spread and source, as tables state it."""

from collections.abc import Mapping
from typing import NamedTuple


class Constant(NamedTuple):
    """A constant with its spread, and where it comes from."""

    low: float
    likely: float
    high: float
    source: str


MemoryConstants = Mapping[tuple[str, str], Constant]
"""(engine, term) → constant, from `data/engine_memory.csv`."""


def spread(base: float, logits: float, engine: str, constants: MemoryConstants) -> Constant:
    """Bytes of `base` and of a number of logits, with the engine's spread of each."""
    scale, sampler = constants[engine, "activation_scale"], constants[engine, "sampler_bytes"]
    return Constant(
        base * scale.low + logits * sampler.low,
        base * scale.likely + logits * sampler.likely,
        base * scale.high + logits * sampler.high,
        sampler.source,
    )
