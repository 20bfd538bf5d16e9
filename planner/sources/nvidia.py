"""The NVIDIA cards of this machine as devices to plan for: the driver's figures, the table's rates.

What others hold is counted once: the driver's second memory question parts it from what is reserved; where only
the first answers, what is reserved is assumed and taken off what it calls used. A lost card is left out. A card in
MIG mode is planned for as its freest instance, because engines do not split a model over instances; its rates are
the card's by share of memory and of the seven compute slices. Each of these is said.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from planner.domain.facts.hardware import RESERVED_BYTES, Device, make_device
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.units import format_gib

COMPUTE_SLICES = 7
Said = list[str]


def read_cards(names: AcceleratorNames) -> tuple[tuple[Device, ...], Said]:
    """Devices to plan for, and what a reader must know of them; none where there is no driver."""
    try:
        import pynvml  # noqa: PLC0415 - only where a driver may be
    except ImportError:
        return (), []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if isinstance(error, pynvml.NVMLError_LibraryNotFound):
            return (), []
        return (), [f"the NVIDIA driver does not answer ({error}): no card is planned for"]
    said: Said = []
    try:
        cards = [
            device
            for index in range(pynvml.nvmlDeviceGetCount())
            if (device := _read_card(pynvml, index, names, said)) is not None
        ]
    except pynvml.NVMLError as error:
        return (), [f"the NVIDIA driver does not count its cards ({error}): none is planned for"]
    finally:
        pynvml.nvmlShutdown()
    return _choose(cards, said), said


def _choose(cards: Sequence[Device], said: Said) -> tuple[Device, ...]:
    """Whole cards together, or the freest MIG instance alone."""
    whole = [card for card in cards if not _is_instance(card)]
    if whole:
        if len(whole) < len(cards):
            said.append("cards in MIG mode are left out: engines do not split a model over instances")
        return tuple(sorted(whole, key=lambda card: -card.available_bytes))
    if len(cards) > 1:
        said.append(
            "one MIG instance is planned for, the freest: engines do not split a model over instances"
        )
    return tuple(sorted(cards, key=lambda card: -card.available_bytes)[:1])


def _is_instance(device: Device) -> bool:
    return " MIG " in device.name


def _read_card(pynvml: Any, index: int, names: AcceleratorNames, said: Said) -> Device | None:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        is_divided = False
        with suppress(pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
            is_divided = pynvml.nvmlDeviceGetMigMode(handle)[0] == 1
        if is_divided:
            return _read_freest_instance(pynvml, index, handle, names, said)
        return _make_card(pynvml, handle, names, said)
    except pynvml.NVMLError_GpuIsLost:
        said.append(f"card {index} is lost to its driver and left out: reset it or restart the host")
    except pynvml.NVMLError as error:
        said.append(f"card {index} is left out: its driver does not describe it ({error})")
    return None


def _make_card(pynvml: Any, handle: Any, names: AcceleratorNames, said: Said) -> Device:
    total, reserved, held = _read_memory(pynvml, handle, said)
    name = pynvml.nvmlDeviceGetName(handle)
    match = names.resolve_nvml(name, total)
    known = make_device(match.accelerator) if match else None
    device = known or Device(
        name=name, kind="gpu", vendor="nvidia", architecture="", total_bytes=total, reserved_bytes=reserved
    )
    sm = device.sm
    with suppress(pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        sm = 10 * major + minor
    return replace(
        device,
        total_bytes=total,
        reserved_bytes=reserved,
        held_bytes=held,
        sm=sm,
        source="NVML on this machine",
    )


def _read_memory(pynvml: Any, handle: Any, said: Said) -> tuple[int, int, int]:
    """Bytes in all, kept by the driver, and held by processes."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except (pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_NotSupported):
        first = pynvml.nvmlDeviceGetMemoryInfo(handle)
        sentence = (
            f"this driver does not say what it reserves of a card: {format_gib(RESERVED_BYTES, 2)} assumed"
        )
        if sentence not in said:
            said.append(sentence)
        return first.total, RESERVED_BYTES, max(0, first.used - RESERVED_BYTES)
    return memory.total, memory.reserved, memory.used


def _read_freest_instance(
    pynvml: Any, index: int, handle: Any, names: AcceleratorNames, said: Said
) -> Device | None:
    card = _make_card(pynvml, handle, names, said)
    found = []
    for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(pynvml.NVMLError_NotFound, pynvml.NVMLError_InvalidArgument):
            instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
            found.append(_make_instance(pynvml, instance, card))
    if not found:
        said.append(
            f"card {index} is in MIG mode without an instance, and left out: make one, or turn MIG off"
        )
        return None
    if len(found) > 1:
        said.append(f"card {index} is divided into {len(found)} MIG instances: the freest is planned for")
    return max(found, key=lambda device: device.available_bytes)


def _make_instance(pynvml: Any, instance: Any, card: Device) -> Device:
    memory = pynvml.nvmlDeviceGetMemoryInfo(instance)
    slices = COMPUTE_SLICES
    with suppress(pynvml.NVMLError):
        slices = pynvml.nvmlDeviceGetAttributes_v2(instance).computeInstanceSliceCount or slices
    compute, part = slices / COMPUTE_SLICES, memory.total / card.total_bytes
    name = pynvml.nvmlDeviceGetName(instance)

    def scale(rate: float | None, share: float) -> float | None:
        return None if rate is None else rate * share

    return replace(
        card,
        name=name if " MIG " in name else f"{card.name} MIG {slices}g",
        total_bytes=memory.total,
        reserved_bytes=0,
        held_bytes=memory.total - memory.free,
        bandwidth_bytes_per_s=scale(card.bandwidth_bytes_per_s, part),
        fp16_flops=scale(card.fp16_flops, compute),
        fp8_flops=scale(card.fp8_flops, compute),
        int8_ops=scale(card.int8_ops, compute),
        nvlink_bytes_per_s=None,
        source="NVML on this machine; rates by the instance's share of the card",
    )
