"""Machines that clouds rent by a name of their own: `g5.12xlarge` is four A10G."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RentedMachine:
    """One row of `data/rented_machines.csv`."""

    pattern: str
    """Regular expression of its names, lower case."""
    device: str
    """The accelerator's row by name."""
    count: int
    source: str


def find_rented(words: str, machines: Sequence[RentedMachine]) -> RentedMachine | None:
    """The machine that words name; None for other words."""
    name = "_".join(words.lower().removeprefix("standard_").removeprefix("azure ").split())
    return next((machine for machine in machines if re.fullmatch(machine.pattern, name)), None)
