"""What is said of cards whose names are shared: the question, the slower one taken, what else is called so."""

from collections.abc import Mapping, Sequence

from planner.domain.errors import Ambiguous
from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.spellings import shorten

MAX_CHOICES = 8
SAY_WHICH = (
    "Say which card, `this machine` or `cpu`; a card that no table knows is described: `48GB 768GB/s sm86`."
)

NOT_COVERED: Mapping[str, str] = {
    r"\btpu\b": "no engine that is planned for here serves on TPUs. Say a GPU, a Mac or a processor.",
    r"\b(?:inferentia|trainium|inf[12]|trn[12])": "no engine that is planned for here serves on AWS Neuron chips. "
    "Say a GPU, a Mac or a processor.",
    r"\b(?:groq|cerebras|sambanova|tenstorrent|graphcore|wormhole)": "no table knows this maker's chips. "
    "Say a GPU, a Mac or a processor.",
    r"\bascend\b|\b910b\b": "no table knows Ascend's memory and rates. Say a GPU, a Mac or a processor.",
    r"\b(?:iphone|ipad|android|pixel|galaxy|snapdragon|raspberry pi)\b": "phones and small boards are not in the "
    "tables. For one with a processor alone, describe it: `CPU 16GB`.",
}
"""Words for what no table holds on purpose, and what to say about it."""


def differ(rows: Sequence[Accelerator]) -> bool:
    """Whether the rows differ in advertised memory or in capability."""
    return len({(row.memory_gib, row.sm if row.sm is not None else row.architecture) for row in rows}) > 1


def speed_of(row: Accelerator) -> tuple[float, float]:
    """Bandwidth, then tensor rate: what makes one of two like cards the slower."""
    return (row.bandwidth_bytes_per_s or 0.0, row.fp16_flops or 0.0)


def ambiguous(words: str, found: Sequence[Accelerator]) -> Ambiguous:
    """The question which of several cards is meant."""
    choices = [describe(row) for row in sorted(found, key=lambda row: (row.memory_gib or 0, row.name))]
    return Ambiguous(
        "gpu.ambiguous",
        f'"{shorten(words)}" is several cards: {", ".join(choices)}. Say which.',
        choices=choices,
    )


def say_slower(words: str, chosen: Accelerator, found: Sequence[Accelerator]) -> str:
    """What was taken for granted when like cards share a name."""
    others = ", ".join(short_name(row) for row in found if row is not chosen)
    taken = f"{shorten(words)} is taken as {short_name(chosen)}"
    return f"{taken}, the slowest of those with its memory (also {others})"


def say_others(chosen: Accelerator, found: Sequence[Accelerator]) -> str:
    """What else goes by the full name that was said."""
    others = ", ".join(describe(row) for row in found if row is not chosen)
    return f"taken as {describe(chosen)}; also called so: {others}"


def short_name(row: Accelerator) -> str:
    """A card's name without its vendor: `RTX A6000`."""
    name = row.name
    for prefix in ("NVIDIA GeForce ", "NVIDIA ", "AMD Radeon ", "AMD ", "Intel ", "Apple "):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def describe(row: Accelerator) -> str:
    """A card as a choice: `RTX A6000 (48 GiB, Ampere)`."""
    memory = f"{row.memory_gib:g} GiB, " if row.memory_gib else ""
    return f"{short_name(row)} ({memory}{row.architecture})"


def describe_changed(row: Accelerator, memory_gib: float) -> str:
    """How a card with other memory than its row is described by hand; an example where the row lacks the rates."""
    if row.sm is None or not row.bandwidth_bytes_per_s:
        return "48GB 768GB/s sm86"
    return f"{memory_gib:g}GB {row.bandwidth_bytes_per_s / 1e9:g}GB/s sm{row.sm}"
