"""Which checkpoint the words mean: `qwen-72b`, `llama 3.1 8b instruct`, `Qwen/Qwen2.5-72B-Instruct`.

A name is cut into words and numbers (`qwen27b` is qwen + 27b, `qwen2-7b` is qwen + 2 + 7b), and a row answers
when it has every one of them. What the row has besides may only be numbers: a release, a size, a date. So
`qwen 7b` meets Qwen2.5-7B but neither Qwen2.5-Coder-7B nor DeepSeek-R1-Distill-Qwen-7B; rows with more words
answer only where no other does and the size was said, or else they are asked about: `deepseek-coder-v2` is not
its Lite. Several releases of one size: the newest, said aloud. Several sizes: asked. A date after a published
name that has none is a later release of the same shape, said aloud.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from planner.domain.errors import Ambiguous, BadInput, UnknownModel
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.model_words import (
    LATER,
    QUANTIZED_MARKS,
    SOFT,
    UNTOLD,
    add_suffix,
    cut_words,
    is_family_only,
    is_fuller,
    is_name_word,
    says_size,
)
from planner.domain.facts.spellings import shorten

SIZES_DIFFER = 1.05
"""Parameter counts further apart than this are different sizes, not two prints of one."""

NEAR = 0.7
"""Likeness of spelling plus the share of words in common from which a name is suggested."""
MAX_SUGGESTIONS = 3
MAX_CHOICES = 8
MAX_NAME_LENGTH = 200

LATER_RELEASE = "later_release"
"""The flag of rows that tell what a dated release changed in another row's shape."""
HUB_ADDRESS = re.compile(r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)
FOLDER_STARTS = ("./", "../", "/", "~/", ".\\", "..\\", "~\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMatch:
    """The model that words mean."""

    model: ModelFacts
    typed: str
    """The id to show and fetch: the catalogue's own, with a tuning suffix that was typed kept."""
    others: tuple[str, ...] = ()
    """Other checkpoints that the same words name, newest first."""
    note: str = ""
    """What was taken for granted, in one clause; empty when nothing was."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A catalogue row and the ways to say it."""

    model: ModelFacts
    name: frozenset[str]
    """Words of the published name, tuning suffixes left out."""
    names: tuple[frozenset[str], ...]
    words: frozenset[str] = field(default=frozenset())
    """All words of all its names."""


class ModelNames:
    """The catalogue's names, cut once; `resolve` then takes microseconds."""

    def __init__(self, catalogue: Sequence[ModelFacts]) -> None:
        """Index every row except padded shapes, which nobody asks for by name, and later releases of another's."""
        rows = [model for model in catalogue if not {"padded", LATER_RELEASE} & {*model.flags}]
        later = [model for model in catalogue if LATER_RELEASE in model.flags]
        self._entries = [make_entry(model) for model in rows]
        self._later = {frozenset(cut_name(model)): model for model in later}
        self._by_id = {model.model_id.lower(): model for model in catalogue if model not in later}
        self._publishers = {model.model_id.split("/")[0].lower() for model in rows}

    def resolve(self, words: str) -> ModelMatch:
        """The model that `words` mean.

        Raises:
            Ambiguous: `model.ambiguous`, several sizes fit the words; choices are ids.
            BadInput: `model.quantized`, the words name a checkpoint that is already quantized.
            UnknownModel: `model.unknown`, no row fits; suggestions are the nearest ids.
        """
        words = HUB_ADDRESS.sub("", words.strip().strip("\"'"))
        exact = self._by_id.get(words.lower())
        if exact is not None:
            return ModelMatch(model=exact, typed=exact.model_id)
        if names_a_folder(words) or len(words) > MAX_NAME_LENGTH:
            raise self._unknown(words)
        publisher, _, name = words.rpartition("/")
        asked = cut_words(name)
        wanted = frozenset(asked) - UNTOLD
        if not any(wanted in entry.names for entry in self._entries):
            self._refuse_quantized(words, asked)
        return self._resolve_id(words, publisher, asked) if publisher else self._resolve_words(words, asked)

    def _resolve_words(self, words: str, asked: Sequence[str]) -> ModelMatch:
        """The row with the words, by the strictest rule; more words than were said only where the size was."""
        wanted = frozenset(asked) - UNTOLD
        found = self._find(wanted)
        strict = [entry.model for entry in found if answers_strictly(wanted, entry)]
        later = None if strict else self._find_later(words, "", asked)
        if later:
            return later
        if not found:
            raise self._unknown(words)
        chosen, others = choose(words, wanted, found)
        if chosen not in strict and not says_size(wanted):
            raise self._unknown(words, [model.model_id for model in (chosen, *others)][:MAX_SUGGESTIONS])
        note = f"newest of {len(others) + 1} called {shorten(words)}" if others else ""
        adds_size = says_size(cut_name(chosen)) and not says_size(wanted)
        if chosen not in strict or (adds_size and not others):
            note = f"{shorten(words)} is taken to mean {chosen.model_id}"
        typed = add_suffix(chosen.model_id, asked)
        return ModelMatch(
            model=chosen, typed=typed, others=tuple(other.model_id for other in others), note=note
        )

    def _resolve_id(self, words: str, publisher: str, asked: Sequence[str]) -> ModelMatch:
        """An id that is no row itself: the row of the same name, suffixes and a later date aside."""
        wanted = frozenset(asked) - UNTOLD
        same = [entry.model for entry in self._entries if wanted in entry.names]
        own = [model for model in same if model.model_id.lower().startswith(publisher.lower() + "/")]
        named = [entry.model for entry in self._entries if wanted == entry.name]
        candidates = own or named
        if not candidates:
            later = self._find_later(words, publisher, asked)
            if later:
                return later
            raise self._unknown(words)
        model = max(candidates, key=lambda model: (wanted == frozenset(cut_name(model)), model.released))
        if publisher.lower() in self._publishers:
            return ModelMatch(model=model, typed=words)
        note = f"{shorten(publisher)} is not in the catalogue; taken to have the shape of {model.model_id}"
        return ModelMatch(model=model, typed=words, note=note)

    def _find_later(self, words: str, publisher: str, asked: Sequence[str]) -> ModelMatch | None:
        """The published name that has no date, where words give it one: its shape, and what is measured of it.

        A row of the release itself says what differs (Qwen3's `2507` read 262,144 tokens, not 40,960).
        """
        dates = [word for word in asked if LATER.fullmatch(word)]
        if not dates:
            return None
        wanted = frozenset(asked) - UNTOLD
        sized = says_size(wanted)
        rows = [name for name in self._later if wanted == name or (sized and is_fuller(name, wanted))]
        known = self._later[rows[0]] if len(rows) == 1 else None
        undated = (rows[0] if known else wanted) - {*dates}
        names = (undated, undated - {"thinking"})
        first = next((e.model for name in names for e in self._entries if e.name == name), None)
        if first is None:
            return None
        own = known.model_id if known else f"{add_suffix(first.model_id, asked)}-{dates[0].title()}"
        return ModelMatch(
            model=replace(known, model_id=first.model_id) if known else first,
            typed=words if publisher else own,
            note=f"{shorten(words)} is taken for a later release of {first.model_id}, of the same shape",
        )

    def _find(self, wanted: frozenset[str]) -> list[Entry]:
        """Rows that have every wanted word, by the strictest rule that any row passes."""
        if not any(is_name_word(word) for word in wanted):
            return []
        if is_family_only(wanted):
            named = [entry for entry in self._entries if wanted == entry.name]
            return named or self._find_family(wanted)
        strict = [entry for entry in self._entries if answers_strictly(wanted, entry)]
        if strict:
            return strict
        loose = [
            (extra, entry) for entry in self._entries if (extra := count_extra(wanted, entry)) is not None
        ]
        fewest = min((extra for extra, _ in loose), default=0)
        return [entry for extra, entry in loose if extra == fewest]

    def _find_family(self, wanted: frozenset[str]) -> list[Entry]:
        """Rows for words without any number: those that differ by numbers only, else the whole family."""
        strict = [entry for entry in self._entries if answers_strictly(wanted, entry)]
        if len(wanted) > 1 and strict:
            return strict
        loose = [entry for entry in self._entries if wanted <= entry.words]
        first = next(iter(wanted)) if len(wanted) == 1 else None
        family = [entry for entry in loose if cut_name(entry.model)[:1] == [first]]
        return family or loose

    def _refuse_quantized(self, words: str, asked: Sequence[str]) -> None:
        """Say what to do instead when the name is of a quantized checkpoint."""
        marks = [word for word in asked if word in QUANTIZED_MARKS or re.fullmatch(r"i?q\d.*", word)]
        if not marks:
            return
        try:
            original = self._resolve_words(words, asked[: asked.index(marks[0])]).typed
        except UnknownModel:
            return
        raise BadInput(
            "model.quantized",
            f'"{shorten(words)}" is quantized already ({marks[0]}), and a plan starts from the original. '
            f"Ask for {original}: published quantized checkpoints of it are weighed as well.",
            suggestions=[original],
        )

    def _unknown(self, words: str, fuller: Sequence[str] = ()) -> UnknownModel:
        """The error for words that name no row, with those named more fully or up to three near misses."""
        shown = shorten(words)
        if names_a_folder(words):
            return UnknownModel("model.unknown", f'no model folder "{shown}" was found.')
        near = fuller or self._near_misses(words)
        hint = f" Did you mean {' or '.join(near)}?" if near else " Give an id of the catalogue or a folder."
        return UnknownModel("model.unknown", f'no model called "{shown}".{hint}', suggestions=near)

    @cached_property
    def _spelled(self) -> list[tuple[str, frozenset[str], ModelFacts]]:
        """Every name as it is written, with its words; cut when a first name is not found."""
        spelled = {" ".join(cut_name(entry.model)): entry.model for entry in self._entries}
        spelled |= {alias: entry.model for entry in self._entries for alias in entry.model.aliases}
        return [(name, frozenset(cut_words(name)), model) for name, model in spelled.items()]

    def _near_misses(self, words: str) -> list[str]:
        """Rows spelled alike, and rows of the same family and size."""
        wanted = frozenset(cut_words(words[:MAX_NAME_LENGTH].rpartition("/")[2])) - UNTOLD
        matcher = difflib.SequenceMatcher(None, "", words[:MAX_NAME_LENGTH].lower())
        scored = []
        for name, cut, model in self._spelled:
            shared = len(wanted & cut) / len(wanted) if wanted else 0.0
            matcher.set_seq1(name)
            if matcher.real_quick_ratio() + shared < NEAR or matcher.quick_ratio() + shared < NEAR:
                continue
            score = matcher.ratio() + shared
            if score >= NEAR:
                scored.append((score, model))
        near: list[str] = []
        for _, model in sorted(scored, key=lambda pair: (pair[0], pair[1].released), reverse=True):
            if len(near) == MAX_SUGGESTIONS:
                break
            if model.model_id not in near:
                near.append(model.model_id)
        return near


def resolve_model(words: str, catalogue: Sequence[ModelFacts]) -> ModelMatch:
    """The model that `words` mean, for one look-up; keep a `ModelNames` for many.

    Raises:
        BitwrightError: see `ModelNames.resolve`.
    """
    return ModelNames(catalogue).resolve(words)


def names_a_folder(words: str) -> bool:
    """Whether the words are a path: `./model`, `../model`, `/models/x`, `~/models/x`, or one with a drive."""
    return (
        words.startswith(FOLDER_STARTS)
        or words in (".", "..", "~")
        or re.match(r"[A-Za-z]:[\\/]", words) is not None
    )


def cut_name(model: ModelFacts) -> list[str]:
    """Words of a row's published name, tuning and storage suffixes left out."""
    name = model.model_id.rpartition("/")[2]
    return [word for word in cut_words(name) if word not in UNTOLD]


def make_entry(model: ModelFacts) -> Entry:
    """The row with all its names cut into words."""
    own = frozenset(cut_name(model))
    aliases = {frozenset(cut_words(alias)) - UNTOLD for alias in model.aliases}
    names = (own, *(aliases - {own}))
    return Entry(model=model, name=own, names=names, words=frozenset().union(*names))


def answers_strictly(wanted: frozenset[str], entry: Entry) -> bool:
    """Whether one of the row's names has all wanted words and, besides, only numbers."""
    return any(is_fuller(name, wanted) for name in entry.names)


def count_extra(wanted: frozenset[str], entry: Entry) -> int | None:
    """How many words the row has that were not said, numbers aside; None when it lacks a wanted one."""
    extras = [
        sum(1 for word in name - wanted if not SOFT.fullmatch(word)) for name in entry.names if wanted <= name
    ]
    return min(extras, default=None)


def choose(words: str, wanted: frozenset[str], found: Sequence[Entry]) -> tuple[ModelFacts, list[ModelFacts]]:
    """The newest of the rows found, and the others; asks when they are of several sizes and none was said.

    In a row with more words than were said the size may be another thing: `llama 4 17b` is what two models activate.
    """
    models = sorted((entry.model for entry in found), key=lambda model: model.released, reverse=True)
    is_said = says_size(wanted) and any(answers_strictly(wanted, entry) for entry in found)
    if is_said or not sizes_differ(models):
        return models[0], models[1:]
    newest = [model for model in models if release_of(model) == release_of(models[0])]
    if len(newest) > 1 and not sizes_differ(newest):
        return newest[0], [model for model in models if model is not newest[0]]
    choices = sorted(
        newest if len(newest) > 1 else models[:MAX_CHOICES], key=lambda model: model.params_total
    )
    listed = [f"{model.model_id} ({format_params(model.params_total)})" for model in choices]
    raise Ambiguous(
        "model.ambiguous",
        f'"{shorten(words)}" comes in several sizes: {", ".join(listed)}. Say which.',
        choices=[model.model_id for model in choices],
    )


def release_of(model: ModelFacts) -> tuple[str, ...]:
    """Family and release of a row: `qwen`, `3.6`; what follows them is line, size and date."""
    name = cut_name(model)
    release = next((word for word in name[1:] if re.fullmatch(r"v?\d+(?:\.\d+)*", word)), "")
    return (name[0], release)


def sizes_differ(models: Sequence[ModelFacts]) -> bool:
    """Whether parameter counts are further apart than two prints of one size."""
    counts = [model.params_total for model in models]
    return max(counts) > SIZES_DIFFER * max(1, min(counts))


def format_params(count: int) -> str:
    """A parameter count as people say it: `72.7B`, `135M`."""
    return f"{count / 1e9:,.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"
