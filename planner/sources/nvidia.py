"""The NVIDIA cards of this machine as devices to plan for: the driver's figures, the table's rates.

What others hold is counted once: the driver's second memory question parts it from what is reserved; where only
the first answers, what is reserved is assumed and taken off what it calls used. A lost card is left out. A card in
MIG mode is planned for as its freest instance and those like it, because no engine splits a model over them; rates
are the card's by share of memory and of compute slices. Each of these is said.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from planner.domain.facts.hardware import Device, LinkKind, assume_reserved, make_device
from planner.domain.facts.hardware_links import join_links
from planner.domain.facts.hardware_mig import choose_alike, cut_device
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.hardware_target import share_memory
from planner.domain.units import format_gib
from planner.sources.memory import read_memory

Said = list[str]


@dataclass(frozen=True, slots=True)
class Cards:
    """The cards of this machine and what joins and drives them; no devices where there is no driver."""

    devices: tuple[Device, ...] = ()
    said: tuple[str, ...] = ()
    """What a reader must know of them, one sentence each."""
    link: LinkKind | None = None
    driver: str | None = None
    cuda: str | None = None


def read_cards(names: AcceleratorNames) -> Cards:
    """Devices to plan for, and what a reader must know of them."""
    try:
        import pynvml  # noqa: PLC0415 - only where a driver may be
    except ImportError:
        return Cards()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if isinstance(error, pynvml.NVMLError_LibraryNotFound):
            return Cards()
        return Cards(said=(f"the NVIDIA driver does not answer ({error}): no card is planned for",))
    said: Said = []
    try:
        found = [
            device
            for index in range(pynvml.nvmlDeviceGetCount())
            for device in _read_card(pynvml, index, names, said)
        ]
        devices = _choose(found, said)
        driver, cuda = _read_versions(pynvml)
        return Cards(devices, tuple(dict.fromkeys(said)), _find_link(pynvml, devices), driver, cuda)
    except pynvml.NVMLError as error:
        return Cards(said=(f"the NVIDIA driver does not count its cards ({error}): none is planned for",))
    finally:
        pynvml.nvmlShutdown()


def _read_versions(pynvml: Any) -> tuple[str | None, str | None]:
    """The driver's version and the newest CUDA that it runs."""
    driver = cuda = None
    with suppress(pynvml.NVMLError):
        driver = pynvml.nvmlSystemGetDriverVersion()
    with suppress(pynvml.NVMLError):
        number = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        cuda = f"{number // 1000}.{number % 1000 // 10}"
    return driver, cuda


def _choose(cards: Sequence[Device], said: Said) -> tuple[Device, ...]:
    """Whole cards together, or the freest MIG instance and those like it."""
    whole = [card for card in cards if not card.is_instance]
    if whole:
        if len(whole) < len(cards):
            said.append("cards in MIG mode are left out: engines do not split a model over instances")
        return tuple(sorted(whole, key=lambda card: -card.available_bytes))
    alike = choose_alike(cards) if cards else ()
    if len(cards) > 1:
        said.append(
            f"{len(alike)} of {len(cards)} MIG instances are planned for, the freest and its likes: engines do not "
            "split a model over instances, each serves a replica"
        )
    return alike


def _read_card(pynvml: Any, index: int, names: AcceleratorNames, said: Said) -> tuple[Device, ...]:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        is_divided = False
        with suppress(pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
            is_divided = pynvml.nvmlDeviceGetMigMode(handle)[0] == 1
        if is_divided:
            return _read_instances(pynvml, index, handle, names, said)
        return (replace(_make_card(pynvml, handle, names, said), index=index),)
    except pynvml.NVMLError_GpuIsLost:
        said.append(f"card {index} is lost to its driver and left out: reset it or restart the host")
    except pynvml.NVMLError as error:
        said.append(f"card {index} is left out: its driver does not describe it ({error})")
    return ()


def _make_card(pynvml: Any, handle: Any, names: AcceleratorNames, said: Said) -> Device:
    name = pynvml.nvmlDeviceGetName(handle)
    try:
        total, reserved, held = _read_memory(pynvml, handle)
    except pynvml.NVMLError_NotSupported:
        shared = _read_shared(pynvml, handle, names)
        if shared is None:
            raise
        return shared
    match = names.resolve_nvml(name, total)
    known = make_device(match.accelerator) if match else None
    if known is None:
        said.append(f"{name} is in no table: its memory is planned with, its speed is not known")
    if reserved is None:
        reserved = known.reserved_bytes if known else assume_reserved(total)
        held = max(0, held - reserved)
        said.append(f"this driver does not say what it reserves of a card: {format_gib(reserved, 2)} assumed")
    device = known or Device(
        name=name, kind="gpu", vendor="nvidia", architecture="", total_bytes=total, reserved_bytes=reserved
    )
    sm, ecc = device.sm, None
    with suppress(pynvml.NVMLError):
        ecc = pynvml.nvmlDeviceGetEccMode(handle)[0] == 1
    with suppress(pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
        sm = 10 * major + minor
    return replace(
        device,
        total_bytes=total,
        reserved_bytes=reserved,
        held_bytes=held,
        sm=sm,
        ecc=ecc,
        source="NVML on this machine",
    )


def _read_memory(pynvml: Any, handle: Any) -> tuple[int, int | None, int]:
    """Bytes in all, kept by the driver (None: it counts them as held), and held by processes."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except (pynvml.NVMLError_FunctionNotFound, pynvml.NVMLError_NotSupported):
        first = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return first.total, None, first.used
    return memory.total, memory.reserved, memory.used


def _read_instances(
    pynvml: Any, index: int, handle: Any, names: AcceleratorNames, said: Said
) -> tuple[Device, ...]:
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
    return tuple(found)


def _make_instance(pynvml: Any, instance: Any, card: Device) -> Device:
    memory = pynvml.nvmlDeviceGetMemoryInfo(instance)
    slices = None
    with suppress(pynvml.NVMLError):
        slices = pynvml.nvmlDeviceGetAttributes_v2(instance).computeInstanceSliceCount
    name = pynvml.nvmlDeviceGetName(instance)
    made = cut_device(
        card,
        name=name if " MIG " in name or not slices else f"{slices}g",
        total_bytes=memory.total,
        free_bytes=memory.free,
        slices=slices,
        uuid=pynvml.nvmlDeviceGetUUID(instance),
    )
    return replace(made, source="NVML on this machine; rates by the instance's share of the card")


def _read_shared(pynvml: Any, handle: Any, names: AcceleratorNames) -> Device | None:
    """A chip that has no memory of its own to tell of (GB10, Jetson): the host's is its own."""
    total, available = read_memory()
    row = names.resolve_chip(pynvml.nvmlDeviceGetName(handle), total)
    return None if row is None else share_memory(row, total, available)


def _find_link(pynvml: Any, devices: Sequence[Device]) -> LinkKind | None:
    """NVLink where every two of the cards have it, directly or through a switch; else PCIe."""
    ends = {
        device.index: _list_link_ends(pynvml, device.index) for device in devices if device.index is not None
    }
    places = {
        index: _text(pynvml.nvmlDeviceGetPciInfo_v3(pynvml.nvmlDeviceGetHandleByIndex(index)).busId)
        for index in ends
    }

    def count(first: int, second: int) -> int:
        direct = ends[first].count(places[second])
        switches = set(ends[first]) & set(ends[second]) - set(places.values())
        return direct or len(switches)

    return join_links(devices, count)


def _list_link_ends(pynvml: Any, index: int) -> list[str]:
    """Bus ids at the other ends of a card's active NVLinks."""
    ends: list[str] = []
    with suppress(pynvml.NVMLError):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
            is_up = pynvml.nvmlDeviceGetNvLinkState(handle, link)
            ends += [_text(pynvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId)] if is_up else []
    return ends


def _text(value: Any) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).lower()
