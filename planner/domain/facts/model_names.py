"""Which checkpoint the words mean: `qwen-72b`, `llama 3.1 8b instruct`, `Qwen/Qwen2.5-72B-Instruct`.

A name is cut into words and numbers (`qwen27b` is qwen + 27b, `qwen2-7b` is qwen + 2 + 7b), and a row answers
when it has every one of them. What the row has besides may only be numbers: a release, a size, a date. So
`qwen 7b` meets Qwen2.5-7B but neither Qwen2.5-Coder-7B nor DeepSeek-R1-Distill-Qwen-7B; rows with more words
answer only where no other does. Several releases of one size: the newest, said aloud. Several sizes: asked.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from planner.domain.errors import Ambiguous, BadInput, UnknownModel
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.spellings import shorten

TUNING_SUFFIXES = {
    "instruct": "Instruct",
    "chat": "Chat",
    "it": "it",
    "hf": "hf",
    "base": "Base",
    "pt": "PT",
    "inst": "inst",
}
"""Endings that change the weights but no shape, and how publishers write them."""

STORAGE_SUFFIXES = frozenset({"bf16", "fp16", "f16", "safetensors"})
"""Endings that say how a 16-bit checkpoint is stored."""

UNTOLD = frozenset(TUNING_SUFFIXES) | STORAGE_SUFFIXES
"""Words that tell no two architectures apart."""

_QUANTIZED_WORDS = """
awq gptq gguf exl2 exl3 bnb quantized quant w4a16 w8a8 w8a16 int4 int8 4bit 8bit 3bit 2bit fp8 nvfp4 mxfp4
mlx marlin autoround aqlm hqq eetq
"""
QUANTIZED_MARKS = frozenset(_QUANTIZED_WORDS.split())
"""Words that mark a checkpoint as already quantized."""

SIZES_DIFFER = 1.05
"""Parameter counts further apart than this are different sizes, not two prints of one."""

NEAR = 0.7
"""Likeness of spelling plus the share of words in common from which a name is suggested."""
MAX_SUGGESTIONS = 3
MAX_CHOICES = 8
MAX_NAME_LENGTH = 200

WORD = re.compile(r"[a-z](?:\d+(?:\.\d+)*[a-z]*)(?![a-z\d])|\d+(?:\.\d+)*(?:x\d+)?[a-z]*|[a-z]+")
SIZE = re.compile(r"(\d+(?:\.\d+)?)([bm])|\d+x\d+b|e\d+b")
SOFT = re.compile(r"\d[\d.]*(?:[bmkex]\d*b?)?|v\d[\d.]*|[ae]\d[\d.]*b")
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
        """Index every row except padded shapes, which nobody asks for by name."""
        rows = [model for model in catalogue if "padded" not in model.flags]
        self._entries = [make_entry(model) for model in rows]
        self._by_id = {model.model_id.lower(): model for model in catalogue}
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
        if publisher:
            return self._resolve_id(words, publisher, wanted)
        found = self._find(wanted)
        if not found:
            raise self._unknown(words)
        chosen, others = choose(words, wanted, found)
        note = f"newest of {len(others) + 1} called {shorten(words)}" if others else ""
        if not any(answers_strictly(wanted, entry) for entry in found):
            note = f"{shorten(words)} is taken to mean {chosen.model_id}"
        typed = add_suffix(chosen.model_id, asked)
        return ModelMatch(
            model=chosen, typed=typed, others=tuple(other.model_id for other in others), note=note
        )

    def _resolve_id(self, words: str, publisher: str, wanted: frozenset[str]) -> ModelMatch:
        """An id that is no row itself: the row of the same name, suffixes aside."""
        same = [entry.model for entry in self._entries if wanted in entry.names]
        own = [model for model in same if model.model_id.lower().startswith(publisher.lower() + "/")]
        named = [entry.model for entry in self._entries if wanted == entry.name]
        candidates = own or named
        if not candidates:
            raise self._unknown(words)
        model = max(candidates, key=lambda model: (wanted == frozenset(cut_name(model)), model.released))
        if publisher.lower() in self._publishers:
            return ModelMatch(model=model, typed=words)
        note = f"{shorten(publisher)} is not in the catalogue; taken to have the shape of {model.model_id}"
        return ModelMatch(model=model, typed=words, note=note)

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
        found = self._find(frozenset(asked[: asked.index(marks[0])]) - UNTOLD)
        if not found:
            return
        newest = max((entry.model for entry in found), key=lambda model: model.released)
        original = add_suffix(newest.model_id, asked)
        raise BadInput(
            "model.quantized",
            f'"{shorten(words)}" is quantized already ({marks[0]}), and a plan starts from the original. '
            f"Ask for {original}: published quantized checkpoints of it are weighed as well.",
            suggestions=[original],
        )

    def _unknown(self, words: str) -> UnknownModel:
        """The error for words that name no row, with up to three near misses."""
        shown = shorten(words)
        if names_a_folder(words):
            return UnknownModel("model.unknown", f'no model folder "{shown}" was found.')
        near = self._near_misses(words)
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


def cut_words(name: str) -> list[str]:
    """A name's words and numbers in order, lower case: `Qwen2.5-72B-Instruct` → qwen, 2.5, 72b, instruct."""
    text = re.sub(r"(?<=\d)_(?=\d)", ".", name.lower())
    text = re.sub(r"(?<=\d)\s*(?:billion|bn|b)\b", "b", text)
    pieces: list[str] = []
    for run in re.findall(r"[a-z\d.]+", text):
        pieces.extend(WORD.findall(run))
    return pieces


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


def is_name_word(word: str) -> bool:
    """Whether a word names something: no bare number or size, not a single letter."""
    return len(word) > 1 and not re.fullmatch(r"\d[\d.]*[a-z]?", word)


def is_family_only(wanted: Iterable[str]) -> bool:
    """Whether no word holds a release, a size or a date."""
    return not any(character.isdigit() for word in wanted for character in word)


def answers_strictly(wanted: frozenset[str], entry: Entry) -> bool:
    """Whether one of the row's names has all wanted words and, besides, only numbers."""
    return any(wanted <= name and all(SOFT.fullmatch(word) for word in name - wanted) for name in entry.names)


def count_extra(wanted: frozenset[str], entry: Entry) -> int | None:
    """How many words the row has that were not said, numbers aside; None when it lacks a wanted one."""
    extras = [
        sum(1 for word in name - wanted if not SOFT.fullmatch(word)) for name in entry.names if wanted <= name
    ]
    return min(extras, default=None)


def choose(words: str, wanted: frozenset[str], found: Sequence[Entry]) -> tuple[ModelFacts, list[ModelFacts]]:
    """The newest of the rows found, and the others; asks when they are of several sizes and none was said."""
    models = sorted((entry.model for entry in found), key=lambda model: model.released, reverse=True)
    says_size = any(SIZE.fullmatch(word) for word in wanted)
    if says_size or not sizes_differ(models):
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


def add_suffix(model_id: str, asked: Sequence[str]) -> str:
    """The catalogue's id with the tuning suffix that was typed, unless it has one already."""
    suffix = next((TUNING_SUFFIXES[word] for word in asked if word in TUNING_SUFFIXES), None)
    present = {*cut_words(model_id.rpartition("/")[2])} & frozenset(TUNING_SUFFIXES)
    if suffix is None or suffix.lower() == "hf" or present - {"hf"}:
        return model_id
    if present:  # meta-llama/Llama-2-7b-hf has its tuned sister at meta-llama/Llama-2-7b-chat-hf
        stem = model_id.removesuffix("-hf")
        return f"{stem}-{suffix.lower() if suffix == 'Chat' else suffix}-hf"
    return f"{model_id}-{suffix}"


def format_params(count: int) -> str:
    """A parameter count as people say it: `72.7B`, `135M`."""
    return f"{count / 1e9:,.1f}B" if count >= 1e9 else f"{count / 1e6:.0f}M"
