"""A processor with its memory, as words describe it: `EPYC 9654 384GB`, `8-channel DDR5-4800 512GB`, `64GB RAM`.

A processor serves from the host's memory, so its size has to be said; peak bandwidth is channels x 8 bytes x
transfers a second, for one socket.
"""

import re
from dataclasses import replace

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.hardware_described import BY_HAND
from planner.domain.facts.spellings import shorten
from planner.domain.units import GIB

CHANNEL_WORDS = {
    "single": 1,
    "dual": 2,
    "triple": 3,
    "quad": 4,
    "six": 6,
    "octa": 8,
    "eight": 8,
    "twelve": 12,
}
CHANNELS = re.compile(
    rf"\b(?P<count>\d{{1,2}}|{'|'.join(CHANNEL_WORDS)})[- ]?(?:channels?|ch)\b(?: of)?", re.IGNORECASE
)
MEMORY_KIND = re.compile(
    r"\b(?:lp)?ddr(?P<generation>[345])x?(?:[- ]?(?P<rate>\d{4,5}))?(?:[- ]?mt/s)?\b", re.IGNORECASE
)
PLAIN = re.compile(
    r"(?:an? )?(?:(?:x86|arm) )?(?:cpu|processor|server|machine|pc|host)?(?: only)?,?(?: ?with)?(?: ?of)?"
    r"(?: ?\d+ cores?)?,?(?: ?and)?(?: ?with)?(?: ?of)?(?: ?(?:ram|memory|system ram|system memory))?",
    re.IGNORECASE,
)
"""What may stand around sizes and channels when no processor is named."""
BYTES_A_TRANSFER = 8
SYSTEM_BYTES = 2 * GIB
"""What a system without a desktop is assumed to hold of its own memory."""


def describe_processor(words: str, memory_gib: float | None, rest: str) -> Accelerator | None:
    """A processor that is not named but described; None when the words describe none.

    Args:
        words: as typed.
        memory_gib: the size in them.
        rest: the words without that size.

    Raises:
        BadInput: `cpu.memory`, its memory is not said.
    """
    channels, kind = CHANNELS.search(rest), MEMORY_KIND.search(rest)
    bare = MEMORY_KIND.sub(" ", CHANNELS.sub(" ", rest))
    bare = " ".join(bare.replace("-", " ").split())
    says_processor = re.search(r"\b(?:cpu|processor|ram|memory)\b", rest, re.IGNORECASE)
    if not (says_processor or (channels and kind)) or PLAIN.fullmatch(bare) is None:
        return None
    if memory_gib is None:
        raise refuse_without_memory(words, words)
    rate = None
    if channels is not None and kind is not None and kind["rate"]:
        count = CHANNEL_WORDS.get(channels["count"].lower()) or int(channels["count"])
        rate = count * BYTES_A_TRANSFER * int(kind["rate"]) * 1e6
    how = "" if rate is None else f", {rate / 1e9:g} GB/s"
    return Accelerator(
        name=f"CPU of {memory_gib:g} GiB{how}",
        vendor="cpu",
        nvml_names=(),
        aliases=(),
        memory_gib=memory_gib,
        visible_bytes=int(memory_gib * GIB),
        bandwidth_bytes_per_s=rate,
        sm=None,
        architecture="processor",
        fp16_flops=None,
        fp8_flops=None,
        int8_ops=None,
        nvlink_bytes_per_s=None,
        form="unified",
        source=BY_HAND,
        reserved_bytes=SYSTEM_BYTES,
    )


def with_memory(row: Accelerator, memory_gib: float) -> Accelerator:
    """A processor of the table with the memory that was said."""
    return replace(
        row,
        name=f"{row.name}, {memory_gib:g} GiB",
        memory_gib=memory_gib,
        visible_bytes=int(memory_gib * GIB),
        reserved_bytes=SYSTEM_BYTES,
    )


def refuse_without_memory(words: str, name: str) -> BadInput:
    """A processor's memory is in its machine, not in the table."""
    typed = shorten(words, 40)
    return BadInput(
        "cpu.memory",
        f"{shorten(name)} has as much memory as was put beside it: say how much, as in `{typed} 256GB`. "
        "For the machine that you are at, say `cpu` or `this machine`.",
        suggestions=[f"{typed} 256GB"],
    )
