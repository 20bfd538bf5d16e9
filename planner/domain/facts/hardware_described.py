"""A card that no table knows, described by hand: `48GB 768GB/s sm86`.

Memory is in GiB as vendors advertise it, bandwidth in decimal gigabytes a second, and the compute capability
says what kernels it runs. Tensor rates are not asked for and stay unknown.
"""

import re

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.spellings import shorten

ARCHITECTURES = {
    60: "Pascal",
    61: "Pascal",
    70: "Volta",
    72: "Volta",
    75: "Turing",
    80: "Ampere",
    86: "Ampere",
    87: "Ampere",
    89: "Ada",
    90: "Hopper",
    100: "Blackwell",
    103: "Blackwell Ultra",
    110: "Blackwell",
    120: "Blackwell",
    121: "Blackwell",
}
"""NVIDIA's architecture by compute capability times ten."""

MEMORY = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)\s*(gib|gb|g|mib|tib|tb)\b(?!/s)")
BANDWIDTH = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)\s*(t|g)i?b/s")
BY_HAND = "described by hand"
"""Source of a card that somebody described."""
GIB_OF = {"mib": 1 / 1024, "tb": 1024, "tib": 1024}
"""GiB of one unit of memory; of gigabytes, as vendors write them, one."""
_PLAIN_WORDS = """
a an and at bandwidth card cards each gpu gpus graphics memory nvidia of per ram the unknown vram with
"""
PLAIN_WORDS = frozenset(_PLAIN_WORDS.split())
"""Words that say nothing beside a description."""
CAPABILITY = re.compile(r"\bsm[ _]?(\d{2,3})\b|\b(?:cc|compute capability)\s*(\d{1,2}\.\d)\b")


def describe_by_hand(words: str) -> Accelerator | None:
    """A card that no table knows, from `48GB 768GB/s sm86`; None when the words describe none.

    Raises:
        BadInput: `gpu.description` when a part is missing or cannot be.
    """
    text = words.lower()
    bandwidth = BANDWIDTH.search(text)
    capability = CAPABILITY.search(text)
    if bandwidth is None and capability is None:
        return None
    memory = MEMORY.search(text)
    if memory is None or bandwidth is None or capability is None:
        raise BadInput(
            "gpu.description",
            f'"{shorten(words)}" describes a card in part: memory, bandwidth and compute capability are '
            "needed, as in `48GB 768GB/s sm86`.",
        )
    sm = int((capability[1] or capability[2]).replace(".", ""))
    architecture = ARCHITECTURES.get(sm)
    if architecture is None:
        known = ", ".join(f"sm{number}" for number in ARCHITECTURES)
        raise BadInput("gpu.description", f"no NVIDIA GPU has compute capability sm{sm}; known are {known}.")
    rest = MEMORY.sub(" ", BANDWIDTH.sub(" ", CAPABILITY.sub(" ", text)))
    beside = [word for word in re.findall(r"[^\s,;()]+", rest) if word not in PLAIN_WORDS]
    if beside or len(MEMORY.findall(text)) > 1:
        what = f'"{shorten(" ".join(beside))}"' if beside else "a second size of memory"
        raise BadInput(
            "gpu.description",
            f'{what} beside a card described by hand is not understood: "{shorten(words)}". Name a card, or '
            "describe one: `48GB 768GB/s sm86`.",
        )
    gib = float(memory[1]) * GIB_OF.get(memory[2], 1)
    rate = float(bandwidth[1]) * (1e12 if bandwidth[2] == "t" else 1e9)
    if gib <= 0 or rate <= 0:
        raise BadInput("gpu.description", f'"{shorten(words)}" describes a card without memory or bandwidth.')
    return Accelerator(
        name=f"card of {gib:g} GiB, {rate / 1e9:g} GB/s, sm{sm}",
        vendor="nvidia",
        nvml_names=(),
        aliases=(),
        memory_gib=gib,
        visible_bytes=None,
        bandwidth_bytes_per_s=rate,
        sm=sm,
        architecture=architecture,
        fp16_flops=None,
        fp8_flops=None,
        int8_ops=None,
        nvlink_bytes_per_s=None,
        form="",
        source=BY_HAND,
    )
