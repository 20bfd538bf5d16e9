"""Which card the words mean: `a6000`, `H100 80GB`, `m2 max 96gb`, `NVIDIA GeForce RTX 4090`.

A name is judged by alias, not by row. Its words are glued to one key without vendor words (`rtx4090`,
`m2max`), a memory size and a form (PCIe, SXM) narrow what the key finds, and a bare name means the desktop
card. Matches with equal memory and capability: the slower one, said aloud. Matches that differ: asked.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from planner.domain.errors import Ambiguous, BadInput
from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.hardware_described import MEMORY, describe_by_hand
from planner.domain.facts.spellings import shorten
from planner.domain.units import GIB

_NOISE_WORDS = """
nvidia amd apple intel geforce tesla radeon instinct gpu gpus graphics card cards generation edition
each per mac the an unified memory vram ram with of class inc corporation
"""
NOISE = frozenset(_NOISE_WORDS.split())
"""Words that tell no two cards apart."""

BRANDS = frozenset({"rtx", "gtx", "rx", "arc", "jetson", "quadro", "apple", "a", "my"})
"""Words that are looked up first and left out when the name is not known with them (`rtx a100`)."""

FORMS = {
    "pcie": "pcie",
    "sxm": "sxm",
    "sxm2": "sxm",
    "sxm3": "sxm",
    "sxm4": "sxm",
    "sxm5": "sxm",
    "hgx": "sxm",
    "oam": "oam",
}
LAPTOP_WORDS = frozenset({"laptop", "mobile", "notebook"})

CHOICE_TAIL = re.compile(r"\s*\((?:\d+(?:\.\d+)? GiB, )?[^()]*\)\s*$")
MEMORY_TOLERANCE = 0.02
MAX_SUGGESTIONS = 3
MAX_CHOICES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorMatch:
    """The accelerator that words mean."""

    accelerator: Accelerator
    notes: tuple[str, ...] = ()
    """What was taken for granted, one clause each."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The words for a card, taken apart."""

    words: str
    key: str
    """All words glued, vendor words left out."""
    bare_key: str
    """The same without memory, form and `laptop`."""
    memory_gib: float | None
    form: str | None
    is_laptop: bool
    tokens: tuple[str, ...]


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
            BadInput: `gpu.unknown`, `gpu.memory` (no such card has that much), `gpu.description`, `gpu.mig`.
        """
        described = describe_by_hand(words)
        if described is not None:
            return AcceleratorMatch(accelerator=described, notes=("described by hand",))
        asked = take_apart(words)
        found = self._find(asked)
        if not found:
            raise self._unknown(asked)
        found = narrow_form(asked, narrow_memory(asked, found))
        if differ(found):
            own = self._full_name(words)
            if own is None:
                raise ambiguous(asked.words, found)
            return AcceleratorMatch(accelerator=own, notes=(say_others(own, found),))
        chosen = min(found, key=speed_of)
        return AcceleratorMatch(accelerator=chosen, notes=self._notes(asked, chosen, found))

    def resolve_nvml(self, name: str, total_bytes: int) -> AcceleratorMatch | None:
        """The row of a card as its driver reports it: by NVML name, then nearest memory; None if unknown."""
        named = [row for row in self._rows if name in row.nvml_names or name == row.name]
        if not named:
            return None
        nearest = min(named, key=lambda row: abs(total_bytes - (row.memory_gib or 0) * GIB))
        return AcceleratorMatch(accelerator=nearest)

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
        for key in possible_keys(asked):
            exact = [] if asked.memory_gib is not None else self._by_key.get(key, [])
            rows = self._pick(asked, exact or self._by_bare_key.get(key, []))
            if rows:
                return rows
        return self._find_by_tokens(asked)

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
        parts = asked.words.split()
        for end in range(min(len(parts), 8) - 1, 0, -1):
            if self._find(take_apart(" ".join(parts[:end]))):
                rest = " ".join(parts[end:])
                return BadInput(
                    "request.not_understood",
                    f'"{shorten(rest)}" after {" ".join(parts[:end])} is not understood.',
                )
        near = self._near_misses(asked)
        hint = f" Did you mean {' or '.join(near)}?" if near else " Say which card, `this machine` or `cpu`."
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


def take_apart(words: str) -> Asked:
    """Words for a card as key, memory, form and laptop."""
    text = CHOICE_TAIL.sub("", words.strip()) if CHOICE_TAIL.search(words) else words.strip()
    tail = words.strip()[len(text) :].lower()
    text = text.lower()
    tokens = cut_tokens(text)
    if not leave_out_details(tokens):
        text, tail, tokens = words.strip().lower(), "", cut_tokens(words.strip().lower())
    memory = MEMORY.search(text) or MEMORY.search(tail)
    size = None
    if memory is not None:
        size = float(memory[1]) / (1024 if memory[2] == "mib" else 1)
    return Asked(
        words=words.strip(),
        key=glue(tokens),
        bare_key=glue(leave_out_details(tokens)),
        memory_gib=size,
        form=next((FORMS[token] for token in tokens if token in FORMS), None),
        is_laptop=any(token in LAPTOP_WORDS for token in tokens),
        tokens=tuple(tokens),
    )


def cut_tokens(text: str) -> list[str]:
    """Lower-case words and numbers of a card's name, vendor words left out; memory sizes become `80gb`."""
    text = re.sub(r"\((?:r|tm)\)|\bmac(?:book)? ?(?:pro|air|mini|studio)?\b|\b\d+\W?cores?\b", " ", text)
    text = MEMORY.sub(lambda found: f" {found[1]}{'mib' if found[2] == 'mib' else 'gb'} ", text)
    tokens = re.findall(r"[a-z\d.+]+", text)
    return [token for token in tokens if token not in NOISE]


def leave_out_details(tokens: Iterable[str]) -> list[str]:
    """Tokens without memory, form and laptop words."""
    return [
        token
        for token in tokens
        if token not in FORMS and token not in LAPTOP_WORDS and not re.fullmatch(r"\d[\d.]*(?:gb|mib)", token)
    ]


def glue(tokens: Iterable[str]) -> str:
    """Tokens as one key."""
    return "".join(tokens)


def possible_keys(asked: Asked) -> list[str]:
    """Keys to try: without memory, without details, without brands, without a plural s."""
    bare = leave_out_details(asked.tokens)
    unbranded = [token for token in bare if token not in BRANDS]
    with_form = [token for token in asked.tokens if not re.fullmatch(r"\d[\d.]*(?:gb|mib)", token)]
    keys = [glue(with_form), glue(bare), glue(unbranded)]
    keys += ["rtx" + key for key in keys if key.isdigit()]
    keys += [key.removesuffix("s") for key in keys if key.endswith("s")]
    return [key for key in keys if key]


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
        "A card that no table knows can be described: `48GB 768GB/s sm86`.",
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


def narrow_form(asked: Asked, found: list[Accelerator]) -> list[Accelerator]:
    """Rows of the form that was said, where there are such."""
    if asked.form is None:
        return found
    return [row for row in found if row.form == asked.form] or found


def differ(rows: Sequence[Accelerator]) -> bool:
    """Whether the rows differ in advertised memory or in capability."""
    return len({(row.memory_gib, row.sm if row.sm is not None else row.architecture) for row in rows}) > 1


def speed_of(row: Accelerator) -> tuple[float, float]:
    """Bandwidth, then tensor rate: what makes one of two like cards the slower."""
    return (row.bandwidth_bytes_per_s or 0.0, row.fp16_flops or 0.0)


def ambiguous(words: str, found: Sequence[Accelerator]) -> Ambiguous:
    """The question which of several cards is meant."""
    choices = [describe(row) for row in sorted(found, key=lambda row: (row.memory_gib or 0, row.name))]
    return Ambiguous(
        "gpu.ambiguous",
        f'"{shorten(words)}" is several cards: {", ".join(choices)}. Say which.',
        choices=choices,
    )


def say_slower(words: str, chosen: Accelerator, found: Sequence[Accelerator]) -> str:
    """What was taken for granted when like cards share a name."""
    others = ", ".join(short_name(row) for row in found if row is not chosen)
    taken = f"{shorten(words)} is taken as {short_name(chosen)}"
    return f"{taken}, the slowest of those with its memory (also {others})"


def say_others(chosen: Accelerator, found: Sequence[Accelerator]) -> str:
    """What else goes by the full name that was said."""
    others = ", ".join(describe(row) for row in found if row is not chosen)
    return f"taken as {describe(chosen)}; also called so: {others}"


def short_name(row: Accelerator) -> str:
    """A card's name without its vendor: `RTX A6000`."""
    name = row.name
    for prefix in ("NVIDIA GeForce ", "NVIDIA ", "AMD Radeon ", "AMD ", "Intel ", "Apple "):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def describe(row: Accelerator) -> str:
    """A card as a choice: `RTX A6000 (48 GiB, Ampere)`."""
    memory = f"{row.memory_gib:g} GiB, " if row.memory_gib else ""
    return f"{short_name(row)} ({memory}{row.architecture})"
