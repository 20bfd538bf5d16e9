"""MIG instances: parts of one card that are devices of their own, as `3g.40gb` names them.

The first number counts compute slices (of seven; of four on an A30 or an RTX PRO 6000), the second is the share of
the card's memory in gigabytes as advertised. Instances are never joined: CUDA shows a process one of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Accelerator, Device
from planner.domain.facts.spellings import shorten
from planner.domain.units import GIB

PROFILE = re.compile(r"\b(?:mig[- ]?)?(?P<compute>\d)g\.(?P<memory>\d+)gb(?:\+me)?\b(?:[- ]?mig\b)?")

MEMORY_EIGHTHS: Mapping[int, tuple[tuple[int, int], ...]] = {
    7: ((1, 1), (1, 2), (2, 2), (3, 4), (4, 4), (7, 8)),
    4: ((1, 2), (2, 4), (4, 8)),
}
"""By the card's compute slices: compute slices of each profile, and the eighths of its memory that belong to it
(NVIDIA's MIG user guide, supported profiles)."""

USUAL_SLICES = 7
"""Of a card that no row speaks of."""
ALIKE = 0.95
"""Instances count as alike when they have, and have free, at least this part of what the freest has."""
INSTANCE_SHARE = 0.98
INSTANCE_FIXED_BYTES = int(0.3 * GIB)
"""Of its share of what the driver reports an instance shows this much less these bytes, at least: nvidia-smi lists
9.50 of 10.0 GiB, 19.50 of 20.0, 39.25 of 40.0, 78.75 of 80.0 on an A100, 5.81 of 6.0 on an A30 (error up to 4 %)."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of one card: `3g.40gb`."""

    name: str
    compute: float
    """Share of the card's compute slices."""
    memory: float
    """Share of the card's memory."""


def take_profile(words: str) -> tuple[str, tuple[int, int] | None]:
    """Words without the profile in them, and its two numbers; None where there is none."""
    found = PROFILE.search(words.lower())
    if found is None:
        return words, None
    rest = " ".join(f"{words[: found.start()]} {words[found.end() :]}".split())
    return rest, (int(found["compute"]), int(found["memory"]))


def list_profiles(accelerator: Accelerator) -> list[Profile]:
    """The profiles of a card, empty where it has no MIG; sizes are rounded up, as NVIDIA does."""
    slices, advertised = accelerator.mig_slices, accelerator.memory_gib
    if slices is None or advertised is None:
        return []
    return [
        Profile(f"{compute}g.{_round_up(advertised * eighths / 8)}gb", compute / slices, eighths / 8)
        for compute, eighths in MEMORY_EIGHTHS[slices]
    ]


def find_profile(accelerator: Accelerator, numbers: tuple[int, int]) -> Profile | None:
    """The card's profile with these numbers; sizes that drivers round either way count as the same."""
    compute, gigabytes = numbers
    for profile in list_profiles(accelerator):
        own = profile.name.removesuffix("gb").split("g.")
        if int(own[0]) == compute and abs(int(own[1]) - gigabytes) <= 1:
            return profile
    return None


def make_instance(accelerator: Accelerator, profile: Profile) -> Accelerator:
    """A card's instance as an accelerator of its own: its share of memory, bandwidth and rates."""
    reported = accelerator.visible_bytes or int((accelerator.memory_gib or 0) * GIB)
    visible = int(reported * profile.memory * INSTANCE_SHARE) - INSTANCE_FIXED_BYTES
    return replace(
        accelerator,
        name=f"{accelerator.name} MIG {profile.name}",
        nvml_names=(),
        aliases=(),
        memory_gib=visible / GIB,
        visible_bytes=visible,
        bandwidth_bytes_per_s=_scale(accelerator.bandwidth_bytes_per_s, profile.memory),
        fp16_flops=_scale(accelerator.fp16_flops, profile.compute),
        fp8_flops=_scale(accelerator.fp8_flops, profile.compute),
        int8_ops=_scale(accelerator.int8_ops, profile.compute),
        nvlink_bytes_per_s=None,
        reserved_bytes=0,
        is_instance=True,
    )


def cut_device(
    card: Device, *, name: str, total_bytes: int, free_bytes: int, slices: int | None, uuid: str | None = None
) -> Device:
    """An instance that a driver reported, from its card: rates by its share of memory and of compute slices."""
    share = total_bytes / card.total_bytes
    in_all = card.mig_slices or USUAL_SLICES
    compute = (slices or in_all) / in_all
    return replace(
        card,
        name=name if " MIG " in name else f"{card.name} MIG {name}",
        total_bytes=total_bytes,
        reserved_bytes=0,
        held_bytes=max(0, total_bytes - free_bytes),
        bandwidth_bytes_per_s=_scale(card.bandwidth_bytes_per_s, share),
        fp16_flops=_scale(card.fp16_flops, compute),
        fp8_flops=_scale(card.fp8_flops, compute),
        int8_ops=_scale(card.int8_ops, compute),
        nvlink_bytes_per_s=None,
        uuid=uuid,
        is_instance=True,
    )


def choose_alike(instances: Sequence[Device]) -> tuple[Device, ...]:
    """The freest instance and those like it, the freest first: each can serve a replica of its own."""
    ordered = sorted(instances, key=lambda device: -device.available_bytes)
    return tuple(
        device
        for device in ordered
        if device.total_bytes >= ALIKE * ordered[0].total_bytes
        and device.available_bytes >= ALIKE * ordered[0].available_bytes
    )


def refuse_profile(words: str, numbers: tuple[int, int], cards: list[Accelerator]) -> BadInput:
    """No such card has that profile, or no MIG at all; what they do have."""
    wanted = f"{numbers[0]}g.{numbers[1]}gb"
    known = list(dict.fromkeys(profile.name for card in cards for profile in list_profiles(card)))
    if not known:
        return BadInput(
            "gpu.mig", f'"{shorten(words)}": {cards[0].name} cannot be divided into MIG instances.'
        )
    return BadInput(
        "gpu.mig",
        f'"{shorten(words)}": {cards[0].name} has no MIG profile {wanted}. It has {", ".join(known)}.',
        choices=known,
    )


def _round_up(gigabytes: float) -> int:
    return int(gigabytes) + (gigabytes > int(gigabytes))


def _scale(rate: float | None, share: float) -> float | None:
    return None if rate is None else rate * share
