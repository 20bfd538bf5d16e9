"""A model's name cut into words and numbers, and what kind of word each is: suffix, mark, size or date."""

import re
from collections.abc import Iterable, Sequence

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

UNTOLD = frozenset(TUNING_SUFFIXES) | STORAGE_SUFFIXES | {"meta"}
"""Words that tell no two architectures apart; `meta` opens the names of some Llama releases, never of all."""

_QUANTIZED_WORDS = """
awq gptq gguf exl2 exl3 bnb quantized quant w4a16 w8a8 w8a16 int4 int8 4bit 8bit 3bit 2bit fp8 fp4 nvfp4 mxfp4 nf4
mlx marlin autoround aqlm hqq eetq
"""
QUANTIZED_MARKS = frozenset(_QUANTIZED_WORDS.split())
"""Words that mark a checkpoint as already quantized."""

_WHOLE = "|".join(sorted(word for word in QUANTIZED_MARKS | STORAGE_SUFFIXES if re.search(r"[a-z]\d", word)))
WORD = re.compile(
    rf"(?:{_WHOLE})(?![a-z\d])"
    r"|[a-z](?:\d+(?:\.\d+)*[a-z]*)(?![a-z\d])|\d+(?:\.\d+)*(?:x\d+)?[a-z]*|[a-z]+"
)
"""A name's pieces: marks of storage whole (`fp8` is not fp + 8), a letter with its number, a number, letters."""
LATER = re.compile(r"2[3-9](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|terminus")
"""A date of a later release, `2507` or `0528`, or the word that stands for one."""
SIZE = re.compile(r"(\d+(?:\.\d+)?)([bm])|\d+x\d+b|e\d+b")
SOFT = re.compile(r"\d[\d.]*(?:[bmkex]\d*b?)?|v\d[\d.]*|[ae]\d[\d.]*b")


def cut_words(name: str) -> list[str]:
    """A name's words and numbers in order, lower case: `Qwen2.5-72B-Instruct` → qwen, 2.5, 72b, instruct."""
    text = re.sub(r"(?<=\d)_(?=\d)", ".", name.lower())
    text = re.sub(r"(?<=\d)\s*(?:billion|bn|b)\b", "b", text)
    pieces: list[str] = []
    for run in re.findall(r"[a-z\d.]+", text):
        pieces.extend(WORD.findall(run))
    return pieces


def is_name_word(word: str) -> bool:
    """Whether a word names something: no bare number or size, not a single letter."""
    return len(word) > 1 and not re.fullmatch(r"\d[\d.]*[a-z]?", word)


def is_family_only(wanted: Iterable[str]) -> bool:
    """Whether no word holds a release, a size or a date."""
    return not any(character.isdigit() for word in wanted for character in word)


def says_size(words: Iterable[str]) -> bool:
    """Whether a parameter count is among the words."""
    return any(SIZE.fullmatch(word) for word in words)


def is_fuller(name: frozenset[str], wanted: frozenset[str]) -> bool:
    """Whether a name has all wanted words and, besides, only numbers."""
    return wanted <= name and all(SOFT.fullmatch(word) for word in name - wanted)


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
