"""Every way to spread a model over devices that is worth weighing.

All devices are used: tensor x pipeline x replicas, or layers x replicas. Where they are uneven, the larger ones alone
are weighed too, because equal shards are bounded by the smallest; so is the largest power of two of them, because
heads rarely divide by three. Experts are spread whole over the ranks, too. MIG
instances serve replicas: nothing is split over them; nor are layers over machines with unified memory.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Finding, Placement

MOST_RANKS = 16
"""Cards that one host holds at most (HGX boards of sixteen A100): no more ranks, and no more stages, are weighed."""
EVEN = 0.02
"""Devices whose available memory differs by no more than this share are taken as alike."""


def find_placements(devices: Sequence[Device], split: str, experts: int = 0) -> list[Placement]:
    """Placements over the first of the devices, which stand largest first.

    Args:
        devices: the target's, largest first.
        split: `tensor` or `layer`, the engine's way of spreading one replica.
        experts: of the model; where they divide by the ranks of one stage, each rank may hold whole ones.
    """
    are_machines = devices[0].kind == "unified" and split == "layer"
    if are_machines or any(device.is_instance for device in devices):
        return [Placement(dp=len(devices))]
    found = placements(len(devices), split)
    for count in _fewer(devices):
        found += [place for place in placements(count, split) if place.dp == 1 or split == "tensor"]
    found += [
        replace(place, ep=place.tp)
        for place in found
        if experts and place.tp > 1 and place.pp == place.dp == 1 and experts % place.tp == 0
    ]
    return list(dict.fromkeys(found))


def placements(devices: int, split: str) -> list[Placement]:
    """Every way to use so many devices: tensor x pipeline x replicas, or layer split x replicas."""
    found = []
    for dp in _divisors(devices):
        each = devices // dp
        ranks = [1] if split == "layer" else reversed(_divisors(each))
        found += [Placement(tp=tp, pp=each // tp, dp=dp) for tp in ranks]
    return [place for place in found if max(place.tp, place.pp) <= MOST_RANKS]


def judge_placement(place: Placement, devices: Sequence[Device]) -> tuple[Finding, ...]:
    """The verdict on a placement that no device of its kind can serve; empty where one can."""
    if not any(device.is_instance for device in devices) or place.tp * place.pp == 1:
        return ()
    return (
        Finding(
            code="placement.mig",
            message=f"{place.label} would split a model over {place.tp * place.pp} MIG instances: CUDA shows a "
            "process one of them",
            numbers={"tp": place.tp, "pp": place.pp},
            way_out=(f"{len(devices)} replicas, one on each instance", "whole cards, with MIG off"),
            source="NVIDIA MIG user guide: CUDA can only enumerate a single compute instance",
        ),
    )


def is_uneven(devices: Sequence[Device]) -> bool:
    """Whether the devices differ in what they have available."""
    return bool(_edges(devices))


def _fewer(devices: Sequence[Device]) -> list[int]:
    """How many of the first devices are weighed alone."""
    counts = set(_edges(devices))
    power = 1 << (len(devices).bit_length() - 1)
    return sorted({*counts, *([power] if power < len(devices) else [])}, reverse=True)


def _edges(devices: Sequence[Device]) -> list[int]:
    """Counts at which the next device is smaller than the one before."""
    sizes = [device.available_bytes for device in devices]
    return [
        number
        for number, (one, next_one) in enumerate(pairwise(sizes), start=1)
        if next_one < one * (1 - EVEN)
    ]


def _divisors(number: int) -> list[int]:
    return [part for part in range(1, number + 1) if number % part == 0]
