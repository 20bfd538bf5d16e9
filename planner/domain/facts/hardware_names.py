"""Which card the words mean: `a6000`, `H100 80GB`, `m2 max 96gb`, `NVIDIA GeForce RTX 4090`.

A name is judged by alias, not by row. Its words are glued to one key without vendor words (`rtx4090`,
`m2max`), a memory size and a form (PCIe, SXM) narrow what the key finds, and a bare name means the desktop
card. Matches with equal memory and capability: the slower one, said aloud. Matches that differ: asked.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.hardware_choices import (
    MAX_CHOICES,
    NOT_COVERED,
    SAY_WHICH,
    ambiguous,
    describe,
    describe_changed,
    differ,
    say_others,
    say_slower,
    speed_of,
)
from planner.domain.facts.hardware_cpu import describe_processor, with_memory
from planner.domain.facts.hardware_described import describe_by_hand
from planner.domain.facts.hardware_mig import find_profile, make_instance, refuse_profile, take_profile
from planner.domain.facts.hardware_tokens import (
    Asked,
    cut_tokens,
    glue,
    leave_out_details,
    leave_out_memory,
    possible_keys,
    read_memory_gib,
    take_apart,
)
from planner.domain.facts.spellings import shorten
from planner.domain.units import GIB

MEMORY_TOLERANCE = 0.02
MAX_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorMatch:
    """The accelerator that words mean."""

    accelerator: Accelerator
    notes: tuple[str, ...] = ()
    """What was taken for granted, one clause each."""


class AcceleratorNames:
    """The cards' names, glued once; `resolve` then takes microseconds."""

    def __init__(self, accelerators: Sequence[Accelerator]) -> None:
        """Index every row by its name, its NVML names and its aliases, and by the same without details."""
        self._rows = tuple(accelerators)
        self._by_full_name: dict[str, list[Accelerator]] = {}
        self._by_key: dict[str, list[Accelerator]] = {}
        self._by_bare_key: dict[str, list[Accelerator]] = {}
        for row in accelerators:
            for name in (row.name, *row.nvml_names, *row.aliases):
                tokens = cut_tokens(name.lower())
                add_once(self._by_key, glue(tokens), row)
                add_once(self._by_bare_key, glue(leave_out_details(tokens)), row)
            for name in (row.name, *row.nvml_names):
                add_once(self._by_full_name, name.lower(), row)

    def resolve(self, words: str) -> AcceleratorMatch:
        """The accelerator that `words` mean.

        Raises:
            Ambiguous: `gpu.ambiguous`, several cards that differ in memory or capability; choices name them.
            BadInput: `gpu.unknown`, `gpu.not_covered`, `gpu.memory` (no such card has that much), `gpu.description`,
                `gpu.mig` (no such profile), `cpu.memory` (a processor is described without it).
        """
        words, profile = take_profile(words)
        if profile is not None:
            return self._resolve_instance(words, profile)
        described = describe_by_hand(words) or describe_processor(
            words, read_memory_gib(words), leave_out_memory(words)
        )
        if described is not None:
            return AcceleratorMatch(accelerator=described, notes=("described by hand",))
        match = self._match(words)
        memory_gib = read_memory_gib(words)
        if match.accelerator.kind == "cpu" and memory_gib is not None:
            return AcceleratorMatch(accelerator=with_memory(match.accelerator, memory_gib), notes=match.notes)
        return match

    def _match(self, words: str) -> AcceleratorMatch:
        """The row that a name means."""
        asked = take_apart(words)
        found = self._find(asked)
        if not found:
            raise self._unknown(asked)
        found = narrow_form(asked, narrow_memory(asked, found))
        own = self._full_name(words)
        if differ(found):
            if own is None:
                raise ambiguous(asked.words, found)
            return AcceleratorMatch(accelerator=own, notes=(say_others(own, found),))
        if own is not None and own in found:
            return AcceleratorMatch(accelerator=own)
        chosen = min(found, key=speed_of)
        return AcceleratorMatch(accelerator=chosen, notes=self._notes(asked, chosen, found))

    def _resolve_instance(self, words: str, numbers: tuple[int, int]) -> AcceleratorMatch:
        """A MIG instance: of the cards that the other words mean, those that have the profile."""
        if not cut_tokens(words.lower()):
            raise BadInput(
                "gpu.mig", f"{numbers[0]}g.{numbers[1]}gb of which card? Say it first: `A100 80GB 3g.40gb`."
            )
        asked = take_apart(words)
        found = self._find(asked)
        if not found:
            raise self._unknown(asked)
        found = narrow_form(asked, narrow_memory(asked, found))
        able = [row for row in found if find_profile(row, numbers)]
        if not able:
            raise refuse_profile(f"{words} {numbers[0]}g.{numbers[1]}gb", numbers, found)
        if differ(able):
            raise ambiguous(asked.words, able)
        chosen = min(able, key=speed_of)
        profile = find_profile(chosen, numbers)
        assert profile is not None, chosen.name
        notes = (say_slower(asked.words, chosen, able),) if len(able) > 1 else ()
        return AcceleratorMatch(accelerator=make_instance(chosen, profile), notes=notes)

    def resolve_nvml(self, name: str, total_bytes: int) -> AcceleratorMatch | None:
        """The row of a card as its driver reports it: by NVML name, then nearest memory; None if unknown."""
        named = [row for row in self._rows if name in row.nvml_names or name == row.name]
        if not named:
            return None
        nearest = min(named, key=lambda row: abs(total_bytes - (row.memory_gib or 0) * GIB))
        return AcceleratorMatch(accelerator=nearest)

    def resolve_chip(self, name: str, total_bytes: int) -> Accelerator | None:
        """The row of a chip that shares its host's memory, by name and the nearest memory; None if unknown."""
        key = glue(leave_out_details(cut_tokens(name.lower())))
        rows = [
            row
            for row in self._rows
            if row.kind == "unified"
            and key
            and (key in bare_keys_of(row) or (row.model_pattern and re.match(row.model_pattern, key)))
        ]
        return min(
            rows,
            key=lambda row: (abs(total_bytes - (row.memory_gib or 0) * GIB), speed_of(row)),
            default=None,
        )

    def _full_name(self, words: str) -> Accelerator | None:
        """The row whose full name, or the one whose NVML name alone, is what was said."""
        rows = self._by_full_name.get(words.strip().lower(), [])
        own = [row for row in rows if row.name.lower() == words.strip().lower()] or rows
        return own[0] if len(own) == 1 else None

    def _notes(self, asked: Asked, chosen: Accelerator, found: Sequence[Accelerator]) -> tuple[str, ...]:
        """What was taken for granted: the slower of like cards, or one of a name that others share."""
        if len(found) > 1:
            return (say_slower(asked.words, chosen, found),)
        if asked.memory_gib is not None or asked.form or asked.is_laptop:
            return ()
        like = prefer_desktop(self._by_bare_key.get(asked.bare_key, []))
        return (say_others(chosen, like),) if chosen in like and differ(like) else ()

    def _find(self, asked: Asked) -> list[Accelerator]:
        """Rows for the key with all its words, then with fewer; desktop cards unless a laptop was said."""
        named = self._pick(asked, self._by_key.get(asked.key, []))
        if named:
            return named
        by_pattern = [row for row in self._rows if row.model_pattern and self._is_model(asked, row)]
        if by_pattern:
            return by_pattern
        for key in possible_keys(asked):
            exact = [] if asked.memory_gib is not None else self._by_key.get(key, [])
            rows = self._pick(asked, exact or self._by_bare_key.get(key, []))
            if rows:
                return rows
        return self._find_by_tokens(asked)

    @staticmethod
    def _is_model(asked: Asked, row: Accelerator) -> bool:
        return re.fullmatch(row.model_pattern, glue(leave_out_details(asked.tokens))) is not None

    def _find_by_tokens(self, asked: Asked) -> list[Accelerator]:
        """Rows whose names together hold every word: `RTX 6000 Pro Blackwell Server`."""
        wanted = frozenset(leave_out_details(asked.tokens))
        if len(wanted) < 2 or not any(character.isdigit() for word in wanted for character in word):
            return []
        return self._pick(asked, [row for tokens, row in self._tokens if wanted <= tokens])

    def _pick(self, asked: Asked, rows: list[Accelerator]) -> list[Accelerator]:
        """Laptop cards when a laptop was said, else desktop cards where there are any."""
        return [row for row in rows if row.form == "laptop"] if asked.is_laptop else prefer_desktop(rows)

    @cached_property
    def _tokens(self) -> list[tuple[frozenset[str], Accelerator]]:
        """Every token of every name of each row."""
        return [
            (
                frozenset(
                    token
                    for name in (row.name, *row.nvml_names, *row.aliases)
                    for token in cut_tokens(name.lower())
                ),
                row,
            )
            for row in self._rows
        ]

    def _unknown(self, asked: Asked) -> BadInput:
        """The error for words that name no card: what else was said after a known card, or near misses."""
        shown = shorten(asked.words)
        other = next(
            (why for pattern, why in NOT_COVERED.items() if re.search(pattern, asked.words.lower())), None
        )
        if other is not None:
            return BadInput("gpu.not_covered", f'"{shown}": {other}')
        if asked.memory_gib is not None and not leave_out_details(asked.tokens):
            return BadInput("gpu.unknown", f'"{shown}" is a size of memory. {SAY_WHICH}')
        parts = asked.words.split()
        for end in range(min(len(parts), 8) - 1, 0, -1):
            if self._find(take_apart(" ".join(parts[:end]))):
                rest = " ".join(parts[end:])
                return BadInput(
                    "request.not_understood",
                    f'"{shorten(rest)}" after {" ".join(parts[:end])} is not understood.',
                    suggestions=self._near_misses(asked) or [" ".join(parts[:end])],
                )
        near = self._near_misses(asked)
        hint = f" Did you mean {' or '.join(near)}?" if near else f" {SAY_WHICH}"
        return BadInput("gpu.unknown", f'no GPU called "{shown}".{hint}', suggestions=near)

    def _near_misses(self, asked: Asked) -> list[str]:
        """Up to three cards whose names are spelled alike."""
        keys = difflib.get_close_matches(asked.bare_key[:40], self._by_bare_key, n=12, cutoff=0.7)
        near: list[str] = []
        for key in keys:
            for row in prefer_desktop(self._by_bare_key[key])[:1]:
                label = describe(row)
                if label not in near and len(near) < MAX_SUGGESTIONS:
                    near.append(label)
        return near


def resolve_accelerator(words: str, accelerators: Sequence[Accelerator]) -> AcceleratorMatch:
    """The accelerator that `words` mean, for one look-up; keep an `AcceleratorNames` for many.

    Raises:
        BitwrightError: see `AcceleratorNames.resolve`.
    """
    return AcceleratorNames(accelerators).resolve(words)


def add_once(index: dict[str, list[Accelerator]], key: str, row: Accelerator) -> None:
    """Put a row under a key, once."""
    rows = index.setdefault(key, [])
    if row not in rows[-1:]:
        rows.append(row)


def prefer_desktop(rows: Sequence[Accelerator]) -> list[Accelerator]:
    """Rows without laptop cards, unless nothing else is left."""
    return [row for row in rows if row.form != "laptop"] or list(rows)


def narrow_memory(asked: Asked, found: list[Accelerator]) -> list[Accelerator]:
    """Rows with the memory that was said, in GiB as advertised.

    Raises:
        BadInput: `gpu.memory`, no such card has that much.
    """
    if asked.memory_gib is None or any(row.memory_gib is None for row in found):
        return found
    wanted = asked.memory_gib
    fitting = [row for row in found if is_memory_of(row, wanted)]
    exact_name = [row for row in found if asked.key in keys_of(row)]
    if fitting or exact_name:
        return fitting or exact_name
    sizes = " or ".join(f"{size:g} GiB" for size in sorted({row.memory_gib or 0 for row in found}))
    raise BadInput(
        "gpu.memory",
        f'there is no "{shorten(asked.words)}": that card comes with {sizes}. '
        f"A card with changed memory can be described: `{describe_changed(found[0], wanted)}`.",
        choices=[describe(row) for row in found[:MAX_CHOICES]],
    )


def is_memory_of(row: Accelerator, wanted_gib: float) -> bool:
    """Whether a size said is the row's advertised memory, or what its driver shows."""
    advertised = row.memory_gib or 0.0
    visible = (row.visible_bytes or 0) / GIB
    return any(abs(wanted_gib - size) <= MEMORY_TOLERANCE * size for size in (advertised, visible) if size)


def keys_of(row: Accelerator) -> set[str]:
    """The row's full keys, memory included (`gh200480gb` is a name, not a memory size)."""
    return {glue(cut_tokens(name.lower())) for name in (row.name, *row.nvml_names, *row.aliases)}


def bare_keys_of(row: Accelerator) -> set[str]:
    """The row's keys without memory, form and `laptop`."""
    return {
        glue(leave_out_details(cut_tokens(name.lower())))
        for name in (row.name, *row.nvml_names, *row.aliases)
    }


def narrow_form(asked: Asked, found: list[Accelerator]) -> list[Accelerator]:
    """Rows of the form that was said, where there are such."""
    if asked.form is None:
        return found
    return [row for row in found if row.form == asked.form] or found
