"""A card's name cut into tokens and glued to keys: vendor words left out, sizes and forms told apart."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from planner.domain.facts.hardware_described import GIB_OF, MEMORY

_NOISE_WORDS = """
nvidia amd apple intel geforce tesla radeon instinct gpu gpus graphics card cards generation edition
each per mac the an unified memory vram ram with of class inc corporation processor colab kaggle
"""
NOISE = frozenset(_NOISE_WORDS.split())
"""Words that tell no two cards apart."""

BRANDS = frozenset({"rtx", "gtx", "rx", "arc", "jetson", "quadro", "apple", "a", "my", "ryzen"})
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


def take_apart(words: str) -> Asked:
    """Words for a card as key, memory, form and laptop."""
    text = CHOICE_TAIL.sub("", words.strip()) if CHOICE_TAIL.search(words) else words.strip()
    tail = words.strip()[len(text) :].lower()
    text = text.lower()
    tokens = cut_tokens(text)
    if not leave_out_details(tokens):
        text, tail, tokens = words.strip().lower(), "", cut_tokens(words.strip().lower())
    return Asked(
        words=words.strip(),
        key=glue(tokens),
        bare_key=glue(leave_out_details(tokens)),
        memory_gib=read_memory_gib(text) or read_memory_gib(tail),
        form=next((FORMS[token] for token in tokens if token in FORMS), None),
        is_laptop=any(token in LAPTOP_WORDS for token in tokens),
        tokens=tuple(tokens),
    )


def read_memory_gib(text: str) -> float | None:
    """The first size in the words, in GiB: vendors' GB are GiB here, MiB are what a driver shows."""
    found = MEMORY.search(text.lower())
    if found is None:
        return None
    return float(found[1]) * GIB_OF.get(found[2], 1)


def leave_out_memory(text: str) -> str:
    """The words without sizes."""
    return " ".join(MEMORY.sub(" ", text.lower()).split())


def cut_tokens(text: str) -> list[str]:
    """Lower-case words and numbers of a card's name, vendor words left out; memory sizes become `80gb`."""
    text = re.sub(r"\((?:r|tm)\)|\bmac(?:book)? ?(?:pro|air|mini|studio)?\b|\b\d+\W?cores?\b", " ", text)
    text = MEMORY.sub(lambda found: f" {found[1]}{found[2] if found[2] in {'mib', 'tb'} else 'gb'} ", text)
    tokens = re.findall(r"[a-z\d.+]+", re.sub(r"\bmax\+", "max", text))
    return [token for token in tokens if token not in NOISE]


def leave_out_details(tokens: Iterable[str]) -> list[str]:
    """Tokens without memory, form and laptop words."""
    return [
        token
        for token in tokens
        if token not in FORMS
        and token not in LAPTOP_WORDS
        and not re.fullmatch(r"\d[\d.]*(?:gb|mib|tb)", token)
    ]


def glue(tokens: Iterable[str]) -> str:
    """Tokens as one key."""
    return "".join(tokens)


def possible_keys(asked: Asked) -> list[str]:
    """Keys to try: without memory, without details, without brands, without a plural s."""
    bare = leave_out_details(asked.tokens)
    unbranded = [token for token in bare if token not in BRANDS]
    with_form = [token for token in asked.tokens if not re.fullmatch(r"\d[\d.]*(?:gb|mib|tb)", token)]
    keys = [glue(with_form), glue(bare), glue(unbranded)]
    keys += ["rtx" + key for key in keys if key.isdigit()]
    keys += [key.removesuffix("s") for key in keys if key.endswith("s")]
    return [key for key in keys if key]
