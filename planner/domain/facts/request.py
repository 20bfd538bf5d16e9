"""What is asked: the sentence, and the workload it stands for.

`qwen-72b for 2x A6000, context 32k, for 16 users, best quality, with vllm` is one request. What the words
leave open stays None here and gets its stated default in `make_workload`.
"""

import difflib
import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NoReturn

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import DeviceKind
from planner.domain.facts.request_devices import HOST_PATTERN, DeviceAsk, match_detail, read_devices
from planner.domain.facts.request_options import OPTIONS
from planner.domain.facts.request_words import (
    CONNECTORS,
    COURTESY,
    FILLERS,
    GLUE,
    KNOWN_OPTIONS,
    OPTION_NAMES,
    PLAIN_CHARACTERS,
    VOCABULARY,
)
from planner.domain.facts.spellings import shorten

MAX_LENGTH = 2000

SEPARATOR = re.compile(r"[\s,;]+|(?<=\S)[.!?]+(?=\s|$)")
WORD = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s,;]+?(?=[.!?]*(?:[\s,;]|$))|[^\s,;]+")
Objective = Literal["balanced", "quality", "speed", "memory"]
Task = Literal["general", "coding", "math", "chat", "multilingual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A plan request as understood from words or fields; None is what was not said."""

    text: str
    model: str
    devices: tuple[DeviceAsk, ...]
    context_tokens: int | None = None
    concurrency: int | None = None
    objective: Objective = "balanced"
    engine: str | None = None
    task: Task | None = None
    kv_dtype: str | None = None
    method: str | None = None
    """Quantization method asked for by name (`awq`); None leaves it open."""
    schemes: tuple[str, ...] = ()
    """Schemes asked for by name or by width; only these may go below what the policy allows."""
    group_size: int | None = None
    """Group size asked for; None leaves it open."""
    must_quantize: bool = False
    """Whether something has to be made: 16 bits and published checkpoints are then no answer."""


@dataclass(slots=True)
class Said:
    """What a sentence has said so far, while it is read."""

    model: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    schemes: list[str] = field(default_factory=list)
    in_devices: bool = False
    is_open: bool = True
    """Whether the next word belongs to the part; an option or a comma after its first words ends it."""

    @property
    def words(self) -> list[str]:
        """Words of the part that is being read."""
        return self.devices if self.in_devices else self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What the model will serve, every default filled in."""

    context_tokens: int
    concurrency: int
    prompt_share: float = 0.75
    """Part of a sequence that is prompt: 3:1 prompt to output by default."""
    task: Task = "general"


def make_workload(request: Request, max_position: int, kind: DeviceKind) -> Workload:
    """The request's workload with every default filled in.

    Defaults: context min(8192, the model's maximum), 4 at once on GPUs and 1 on CPU or unified memory, 3:1
    prompt to output, task `general`.
    """
    return Workload(
        context_tokens=request.context_tokens or min(8192, max_position),
        concurrency=request.concurrency or (4 if kind == "gpu" else 1),
        task=request.task or "general",
    )


def parse_request(text: str) -> Request:
    """The request that a sentence states: model, `for` or `on`, devices, and options anywhere.

    Options are whole words of `request_words.py`. What is left over is the model before the first `for` or
    `on` and the devices after it; anything else is refused by name. No table is looked at.

    Raises:
        BadInput: `request.empty`, `.too_long`, `.no_model`, `.no_device`, `.not_understood`, `.count`,
            `.context`, `.concurrency`, `.contradiction` or `.scheme`.
    """
    return _parse_clean(clean_text(text))


@lru_cache(maxsize=1024)
def _parse_clean(clean: str) -> Request:
    said = read_sentence(clean)
    model = " ".join(said.model)
    if not model:
        raise BadInput("request.no_model", 'which model? Say it first, as in "qwen-72b for 2x A6000".')
    if not said.devices:
        raise BadInput(
            "request.no_device",
            f'on what should {shorten(model)} run? Say it after `for`: "{shorten(model)} for 2x A6000", '
            f'"{shorten(model)} for this machine".',
        )
    return Request(
        text=clean,
        model=model,
        devices=read_devices(" ".join(said.devices)),
        schemes=tuple(dict.fromkeys(said.schemes)),
        **said.options,
    )


def clean_text(text: str) -> str:
    """The sentence in plain characters: the multiplication sign as x, dashes as -, straight quotes.

    Raises:
        BadInput: it is empty, too long or holds control characters.
    """
    clean = text.translate(PLAIN_CHARACTERS).strip()
    if not clean:
        raise BadInput("request.empty", 'nothing was asked. Try "qwen-72b for 2x A6000".')
    if len(clean) > MAX_LENGTH:
        raise BadInput("request.too_long", f"the request has {len(clean)} characters; {MAX_LENGTH} are read.")
    if any(unicodedata.category(character) == "Cc" and not character.isspace() for character in clean):
        raise BadInput("request.not_understood", "the request holds control characters.")
    return clean


def read_sentence(text: str) -> Said:
    """Walk the sentence once: blanks, options where they match, and words for the part that is open."""
    said = Said()
    position = 0
    while position < len(text):
        position = (
            skip_blank(text, position, said)
            or take_option(text, position, said)
            or take_word(text, position, said)
        )
    return said


def skip_blank(text: str, position: int, said: Said) -> int:
    """Pass blanks and punctuation; a comma ends the part that has words. The position after, or 0."""
    blank = SEPARATOR.match(text, position)
    if blank is None:
        return 0
    if said.words and set(blank[0]) & set(",;"):
        said.is_open = False
    return blank.end()


def take_word(text: str, position: int, said: Said) -> int:
    """Read one word that is no option: a connector, or a word of model or devices. The position after.

    Raises:
        BadInput: the word stands where nothing is expected.
    """
    found = WORD.match(text, position)
    assert found is not None, text[position:]
    word = found[0].strip("\"'") if found[0][0] in "\"'" else found[0]
    lowered = word.lower()
    if lowered in CONNECTORS and said.devices and goes_on(text[position + len(word) :], lowered, said):
        said.words.append(word)
    elif lowered in CONNECTORS:
        if said.devices:
            _refuse_second_target(text[position:], said)
        said.in_devices, said.is_open = True, True
    elif lowered in COURTESY or (lowered in FILLERS and not said.words and not said.in_devices):
        pass
    elif said.is_open or (said.in_devices and said.words[-1] == "+"):
        said.words.append(word)
    elif said.devices and (detail := match_detail(text, position)):
        said.words.append(detail)
        return position + len(detail)
    elif looks_like_device(text[position:]):
        if not said.in_devices:
            known = f"{shorten(' '.join(said.model))} for {shorten(text[position:])}"
            raise BadInput("request.no_device", f'say `for` before the devices: "{known}".')
        said.words.extend(("+", word))
        said.is_open = True
    elif lowered not in GLUE:
        _not_understood(word)
    return found.end()


def take_option(text: str, position: int, said: Said) -> int:
    """Read one option at `position` into `said`; the position after it, or 0 when there is none."""
    for name, pattern, read in OPTIONS:
        found = pattern.match(text, position)
        if found is None:
            continue
        value = read(found)
        said.is_open = said.is_open and not said.words
        if name == "schemes":
            said.schemes.extend(value)
        elif said.options.setdefault(name, value) != value:
            raise BadInput(
                "request.contradiction",
                f'{OPTION_NAMES[name]} is said twice: {said.options[name]} and "{found[0].strip()}".',
            )
        return found.end()
    return 0


def goes_on(rest: str, connector: str, said: Said) -> bool:
    """Whether a second `on` still speaks of the devices: `2x A6000 on host:gpu-1`, `A6000 with ECC on`."""
    is_switch = connector == "on" and said.devices[-1].lower() == "ecc"
    return said.in_devices and (is_switch or HOST_PATTERN.match(rest.lstrip()) is not None)


def looks_like_device(text: str) -> bool:
    """Whether what follows a comma is another group of cards: it starts with a count."""
    return re.match(r"\d+\s*[x*]\s*\w", text, flags=re.IGNORECASE) is not None


def _refuse_second_target(rest: str, said: Said) -> NoReturn:
    """A second `for` or `on`: what follows is no option, or the first one was none."""
    following = shorten(" ".join(rest.split()[:3]), 40)
    _not_understood(following, f'"{shorten(" ".join(said.devices), 40)}" was taken as the devices already. ')


def _not_understood(words: str, before: str = "") -> NoReturn:
    """Refuse words, naming them and what would be understood."""
    first = shorten(words.strip(), 40)
    near = difflib.get_close_matches(first.lower(), VOCABULARY, n=1, cutoff=0.75)
    hint = f" Did you mean {near[0]}?" if near else f" Options are {KNOWN_OPTIONS}."
    raise BadInput("request.not_understood", f'{before}"{first}" is not understood.{hint}', suggestions=near)
