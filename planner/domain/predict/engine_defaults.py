"""What an engine of one version takes on one card when nobody says otherwise: `data/engine_defaults.csv`.

A row holds from a version on, for all cards or for a named set of them; of the rows of one term the last that
applies counts. `data/engine_memory.csv` has what no row speaks of, and what this planner's own serve command says.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from planner.domain.facts.hardware import Device
from planner.domain.facts.versions import is_within
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.units import GIB

FIRST_ENGINE = re.compile(r"\bV0\b", re.IGNORECASE)
SECOND_ENGINE_CARDS = frozenset({"sm80", "large-sm80"})
SERVE_TERMS = frozenset({"utilisation", "batched_tokens", "whole_prompt_tokens", "sequence_slots"})
"""Terms that the planner's own serve command writes out, whatever the version would take."""
BF16_SM = 80
"""Compute capability (times ten) from which vLLM's first-generation engine gave way in 0.8."""

FABRIC_BYTES_PER_S = 2e11
"""Links of data-centre cards; the bridges of workstation cards are slower and set up no such buffers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineDefault:
    """One term from one version on."""

    engine: str
    since: tuple[int, ...]
    cards: str
    """A name in `CARDS`; empty: every card."""
    term: str
    constant: Constant


def _is_large(device: Device) -> bool:
    return device.total_bytes >= 70 * GIB and "a100" not in device.name.lower()


CARDS: Mapping[str, Callable[[Device], bool]] = {
    "large": _is_large,
    "sm80": lambda device: device.sm is None or device.sm >= BF16_SM,
    "large-sm80": lambda device: _is_large(device) and (device.sm is None or device.sm >= BF16_SM),
    "nvlink": lambda device: (device.nvlink_bytes_per_s or 0) >= FABRIC_BYTES_PER_S,
}
"""Sets of cards that rows name; `large` is what vLLM's get_batch_defaults tests (70 GiB, not an A100)."""


def names_first_engine(text: str | None) -> bool:
    """Whether a version says that vLLM's first engine ran (`0.8.5 V0`), which newer cards take only when told."""
    return FIRST_ENGINE.search(text or "") is not None


def resolve_constants(
    base: MemoryConstants,
    defaults: Sequence[EngineDefault],
    engine: str,
    device: Device,
    *,
    version: tuple[int, ...] | None = None,
    keep: frozenset[str] = frozenset(),
    is_first_engine: bool = False,
) -> MemoryConstants:
    """The constants of one engine on one card.

    Args:
        base: what holds where no row applies.
        defaults: rows, of all engines, oldest version first within a term.
        engine: whose rows count.
        device: the card.
        version: the engine's version; None means the newest.
        keep: terms that stay as `base` has them.
        is_first_engine: whether rows of the second engine are passed over.
    """
    found = dict(base)
    for row in defaults:
        if (
            row.engine == engine
            and row.term not in keep
            and is_within(version, row.since, None)
            and not (is_first_engine and row.cards in SECOND_ENGINE_CARDS)
            and (not row.cards or CARDS[row.cards](device))
        ):
            found[engine, row.term] = row.constant
    return found
