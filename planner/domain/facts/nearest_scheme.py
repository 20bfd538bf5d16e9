"""The scheme to reckon with where a spelling names no scheme of its own: a mix, a class, a KV cache beside it.

Evidence does not join by these words (`spellings.csv` leaves them without a canonical word): they only bound
what is stored. Of several widths the largest counts, so that what is estimated is rather too much than too little.
"""

import re
from dataclasses import dataclass

from planner.domain.facts.spellings import GGUF_TYPES, SchemeReading, read_group_size, read_scheme

PLAIN_16 = "BF16"
KV_BESIDE = re.compile(r"(?P<scheme>.+?)\+kv (?P<kv>[a-z]+\d(?:_\w+)?)(?:/\S+)?")
KV_WIDTH = re.compile(r"w16a16kv(?P<kv>\d+)")
KV_ALONE = re.compile(r"kv[- ](?P<kv>(?:fp8|int8|int4)\S*)")
KV_BY_WIDTH = {"4": "q4_0", "8": "int8", "int4": "q4_0", "int8": "int8", "q3_k": "q4_0"}
SOFT_WORDS = re.compile(r"\((?:modified|low-bit[^)]*)\)|\b(?:mix(?:ed)?|class|smol|ubergarm|modelopt)\b")
WIDTH = re.compile(r"(?:int|fp|w|uint)(\d(?:\.\d+)?)(?![\da-z.]*a\d)|(\d(?:\.\d+)?)[- ]?bits?\b")
FLOATS = {"mxfp8": "MXFP8", "mxfp4": "MXFP4", "nvfp4": "NVFP4", "fp8": "FP8_DYNAMIC"}
BY_LENGTH = sorted(GGUF_TYPES, key=len, reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """What to reckon with."""

    reading: SchemeReading
    kv_dtype: str | None = None


def nearest_scheme(text: str, note: str) -> Nearest | None:
    """The scheme that bounds what these words store; None where they say no width, or mean several schemes.

    Args:
        text: as it is written.
        note: why the table of spellings gives it no word; empty where it does not list it.
    """
    lowered = " ".join(text.lower().split())
    beside = KV_BESIDE.fullmatch(lowered)
    if beside is not None:
        reading = read_scheme(beside["scheme"])
        kv = KV_BY_WIDTH.get(beside["kv"], beside["kv"])
        return None if reading is None else Nearest(reading=reading, kv_dtype=kv)
    for pattern in (KV_WIDTH, KV_ALONE):
        cache = pattern.fullmatch(lowered)
        if cache is not None:
            kv = cache["kv"].replace("-", "_")
            return Nearest(reading=SchemeReading(scheme=PLAIN_16), kv_dtype=KV_BY_WIDTH.get(kv, kv))
    if not note or "schemes" in note or "two widths" in note:
        return None
    found = _gguf_type(lowered) or _float_type(lowered) or _integers(lowered)
    return None if found is None else Nearest(reading=found)


def _gguf_type(lowered: str) -> SchemeReading | None:
    """The widest llama.cpp type among the words: `IQ3_S mix`, `Q2_K_S/Q4_K_S mix`, `ubergarm Q2_K_R4`."""
    words = re.split(r"[\s/,+-]+", SOFT_WORDS.sub(" ", lowered))
    readings = [reading for word in words if word and (reading := read_scheme(word))]
    types = [reading for reading in readings if reading.scheme in GGUF_TYPES]
    return max(types, key=lambda reading: _first_digit(reading.scheme), default=None)


def _first_digit(name: str) -> int:
    found = re.search(r"\d", name)
    return int(found[0]) if found else 0


def _float_type(lowered: str) -> SchemeReading | None:
    """The widest float type among the words: FP8 of `NVFP4 experts + FP8`, MXFP8 of `MXFP4/8 mixed`."""
    if re.search(r"mxfp4/8", lowered):
        return SchemeReading(scheme=FLOATS["mxfp8"])
    found = [name for name in FLOATS if re.search(rf"(?<![a-z]){name}", lowered)]
    widest = max(found, key=lambda name: name[-1], default=None)
    return SchemeReading(scheme=FLOATS[widest]) if widest else None


def _integers(lowered: str) -> SchemeReading | None:
    """The widest weight width among the words: four bits of `attention 4-bit, experts 3-bit`."""
    widths = [float(pair[0] or pair[1]) for pair in WIDTH.findall(lowered)]
    widths += [float(width) for width in re.findall(r"\bw(\d(?:\.\d+)?)a\d", lowered)]
    if not widths:
        return None
    return SchemeReading(scheme=f"W{max(widths):g}A16", group_size=read_group_size(lowered))
