"""Constants of transformers as they were in the version that somebody names.

Rows `transformers@4.45` of `data/engine_memory.csv` hold from that version on, `transformers@0` before any other
that is named; the rows without a version are the newest known, and what a version that nobody names gets.
"""

import re

from planner.domain.predict.constants import MemoryConstants

VERSION = re.compile(r"\d+(?:\.\d+)+")
OTHER_PARTS = re.compile(r"(?i)\b(?:pytorch|torch|cuda)\s*v?[\d.]+")
"""Versions of what runs below it: `PyTorch 2.0.1` names none of transformers."""


TRIMMED_ON = "2024-09-25"
"""Release of transformers 4.45.0 on PyPI, the first that keeps the last position's logits alone."""
OF_THEIR_TIME = "4.44"
"""The last before it: what models of that time were run and measured with."""


def version_of_its_time(version: str | None, released: str) -> str | None:
    """The version to reckon with where none is named: of an older model the one of its time, which takes more.

    Memory of a prompt then counts the logits of all its tokens, as models of that time were measured; who runs them
    with a newer version names it.
    """
    return version if version or not released or released >= TRIMMED_ON else OF_THEIR_TIME


def constants_of_version(constants: MemoryConstants, engine: str, version: str | None) -> MemoryConstants:
    """The constants with the engine's own as they were in `version`, whose first number with a point counts."""
    found = VERSION.search(OTHER_PARTS.sub("", version or ""))
    if found is None:
        return constants
    asked = _parts(found[0])
    dated = []
    for name, term in constants:
        base, _, since = name.partition("@")
        if base == engine and since and _parts(since) <= asked:
            dated.append((_parts(since), name, term))
    return {**constants, **{(engine, term): constants[name, term] for _, name, term in sorted(dated)}}


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
