"""What a build of llama.cpp does by default: its rows of `data/engine_memory.csv` as of that build.

A row of engine `llama.cpp@2408` holds from build 2408 on, until a later row says otherwise; a plain row
(`llama.cpp`) is the newest; one of `llama.cpp@vulkan` holds where a version names that backend. llama.cpp counts its
builds (`b6325`, `6325 (bcdee0da)`); other numbers of an
engine's version are no build.
"""

import re
from collections.abc import Mapping
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.facts.spellings import shorten
from planner.domain.predict.constants import Constant, MemoryConstants

LLAMACPP_FAMILY = frozenset({"llama.cpp"})
"""Engines that run ggml graphs over GGUF files and split a model by layers; `data/engine_kin.csv` names their kin."""
OPTIONS: Mapping[str, tuple[str, float]] = {
    "flash_attn": ("flash_attention", 1),
    "fa": ("flash_attention", 1),
    "mla": ("latent_cache", 3),
    "swa_full": ("full_window_cache", 1),
}
"""Engine option → the term it sets, and the highest value it takes."""
WORDS = {"on": 1, "true": 1, "off": 0, "false": 0}
BUILD = re.compile(r"(?<![\w.])b?(\d{3,5})(?![\w.]|-\d)")
QUANTIZED_CACHE = re.compile(r"i?q\d")
"""Types of a KV cache that have blocks: q8_0, q4_0, iq4_nl, …"""
BACKENDS: Mapping[str, str] = {
    "amdvlk": "amdvlk",
    "vulkan": "vulkan",
    "hip": "hip",
    "rocm": "hip",
    "rocwmma": "hip",
}
"""Words of a version or of an engine's name → the backend that they name; the first found counts."""
LATENT_CACHE_OF_MLA = {0: 2.0, 1: 1.0, 2: 0.0, 3: 0.0}
"""ik_llama.cpp's -mla: 0 keeps whole heads, 1 the latent and its values, 2 and 3 the latent alone."""


def read_build(version: str | None) -> int | None:
    """The build that a version names, the first in it; None where it names none."""
    found = BUILD.search(version or "")
    return int(found[1]) if found else None


def read_backend(version: str | None) -> str | None:
    """The backend that a version names: `83bc2f28 (6077) llama.cpp-vulkan`."""
    words = set(re.split(r"[^a-z]+", (version or "").lower()))
    return next((backend for word, backend in BACKENDS.items() if word in words), None)


def constants_of_build(constants: MemoryConstants, engine: str, version: str | None) -> MemoryConstants:
    """The constants with the engine's own as they were in the build, and are on the backend, that `version` names."""
    build, backend = read_build(version), read_backend(version)
    dated, said = [], {}
    for (name, term), constant in constants.items():
        base, _, since = name.partition("@")
        if base != engine or not since:
            continue
        if since == backend:
            said[engine, term] = constant
        elif since.isdigit() and build is not None and int(since) <= build:
            dated.append((int(since), term))
    then = {(engine, term): constants[f"{engine}@{since}", term] for since, term in sorted(dated)}
    return {**constants, **then, **said}


def cache_constants(engine: str, kv_dtype: str) -> dict[tuple[str, str], Constant]:
    """What a type of the KV cache implies: llama.cpp takes quantized values with flash attention only."""
    if engine not in LLAMACPP_FAMILY or not QUANTIZED_CACHE.match(kv_dtype):
        return {}
    source = "llama-context.cpp: a quantized V cache requires flash attention"
    return {(engine, "flash_attention"): Constant(1, 1, 1, source)}


def read_options(engine: str, options: Mapping[str, Any]) -> dict[tuple[str, str], Constant]:
    """Constants that engine options set by hand: `flash_attn`, `mla`, `swa_full`.

    Raises:
        BadInput: `estimate.bad_field`, a value is no number in its range.
    """
    read = {}
    for name, value in options.items():
        term, highest = OPTIONS[name]
        if str(value).lower() == "auto":
            continue
        number = WORDS.get(str(value).lower(), value)
        if not isinstance(number, (int, float)) or not 0 <= number <= highest or number != int(number):
            words = " (or on, off, auto)" if highest == 1 else ""
            raise BadInput(
                "estimate.bad_field",
                f'{name} is a whole number from 0 to {highest:.0f}{words}, not "{shorten(str(value))}".',
            )
        number = LATENT_CACHE_OF_MLA[int(number)] if name == "mla" else float(number)
        read[engine, term] = Constant(number, number, number, "as asked")
    return read
