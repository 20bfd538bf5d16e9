"""The devices of an estimate: cards by name, and a card that nobody named by the memory that was read off it."""

import re

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, Target, assume_reserved
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.facts.spellings import Spellings, shorten
from planner.domain.units import GIB, MIB
from planner.usecases.workshop import Workshop

SEEN = re.compile(r"(?:total (\d+(?:\.\d+)?)|(?<![\d.])(\d+\.\d+))\s*gib", re.IGNORECASE)
"""What a process sees of a card, the driver's own part left out: `24GB class (total 23.57GiB)`."""
REPORTED = re.compile(r"(\d{4,6})\s*mib", re.IGNORECASE)
ADVERTISED = re.compile(r"(?<![\d.])(\d{1,3})\s*gi?b\b", re.IGNORECASE)


def find_devices(workshop: Workshop, asks: tuple[DeviceAsk, ...]) -> Target:
    """The target, where words that evidence uses for an unnamed card stand for one of that memory.

    Raises:
        BadInput: `gpu.unknown` and its kin, the words name no card and no memory.
        Ambiguous: they mean several cards.
    """
    try:
        return workshop.inventory.find_target(asks)
    except BadInput as error:
        if error.code not in {"gpu.unknown", "gpu.memory"}:
            raise
        spellings = workshop.knowledge.spellings()
        cards = [unnamed_card(ask.words, spellings) for ask in asks]
        devices = [card for card, ask in zip(cards, asks, strict=True) for _ in range(ask.count)]
        if None in cards:
            raise
        told = f"{shorten(asks[0].words)}: no card is named; only its memory is known, so nothing says what loads"
        return Target(devices=tuple(device for device in devices if device), assumed=(told,))


def unnamed_card(words: str, spellings: Spellings) -> Device | None:
    """A card of which evidence says the memory alone; None for words that it does not use, or without a size."""
    if not spellings.note("gpu", words) or spellings.read("gpu", words) is not None:
        return None
    seen, reported, advertised = SEEN.search(words), REPORTED.search(words), ADVERTISED.search(words)
    if seen is not None:
        total, reserved = int(float(seen[1] or seen[2]) * GIB), 0
    elif reported is not None or advertised is not None:
        total = int(reported[1]) * MIB if reported else int(advertised[1]) * GIB if advertised else 0
        reserved = assume_reserved(total)
    else:
        return None
    return Device(
        name=f"card of {total / GIB:.2f} GiB",
        kind="gpu",
        vendor="",
        architecture="",
        total_bytes=total,
        reserved_bytes=reserved,
        source="its memory as evidence says it",
    )
