"""A host's snapshot as devices to plan for: the driver's figures, the table's rates.

What others hold is counted once. What Bitwright's own job on the host holds is part of the driver's figure already,
so only what it was promised beyond that is kept back for it: on the card that it is on, else on the freest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from planner.domain.facts.hardware import Device, LinkKind, assume_reserved, make_device
from planner.domain.facts.hardware_links import join_links
from planner.domain.facts.hardware_mig import choose_alike, cut_device
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.hardware_target import share_memory
from planner.domain.record.host import Host
from planner.domain.record.job import Job
from planner.domain.units import format_gib


@dataclass(frozen=True, slots=True)
class HostDevices:
    """What of a host can be planned with, the freest first."""

    devices: tuple[Device, ...]
    ram_bytes: int | None
    said: tuple[str, ...]
    """What a reader must know of it, one sentence each."""
    nvlinks: Mapping[tuple[int, int], int]
    """Active NVLinks between two cards, by the driver's numbers, the smaller first."""

    def link(self, chosen: Sequence[Device]) -> LinkKind | None:
        """How the chosen cards reach each other."""
        return join_links(chosen, lambda first, second: self.nvlinks.get((first, second), 0))


def read_host_devices(host: Host, jobs: Sequence[Job], names: AcceleratorNames) -> HostDevices:
    """A host's cards, or its processor where it has none, with room kept for the jobs that run there."""
    snapshot = host.snapshot
    said: list[str] = []
    ram_extra = max(0, sum(_needs(job, "ram_bytes") for job in jobs) - host.own_ram_bytes)
    available = snapshot["ram_available_bytes"]
    ram = None if available is None else max(0, available - ram_extra)
    cards = [card for entry in snapshot["devices"] for card in _read_card(entry, host, names, said)]
    whole = [(card, own) for card, own in cards if not card.is_instance]
    if whole and len(whole) < len(cards):
        said.append("cards in MIG mode are left out: engines do not split a model over instances")
    if not cards:
        device = _read_shared(snapshot, host.name, ram, names) or _read_cpu(snapshot, host.name, ram)
        return HostDevices((device,), ram, (*said, *_name_jobs(jobs, host, ram_extra, "memory")), {})
    alike = choose_alike([card for card, _ in cards])
    chosen = whole or [(card, own) for card, own in cards if card in alike]
    devices, kept = _keep_for_jobs(chosen, sum(_needs(job, "vram_bytes") for job in jobs))
    ordered = tuple(sorted(devices, key=lambda device: -device.available_bytes))
    told = tuple(dict.fromkeys([*said, *_name_jobs(jobs, host, kept, "a card")]))
    return HostDevices(ordered, ram, told, _count_nvlinks(snapshot))


def _count_nvlinks(snapshot: Mapping[str, Any]) -> dict[tuple[int, int], int]:
    links = snapshot.get("links") or ()
    return {
        (min(link["first"], link["second"]), max(link["first"], link["second"])): link["nvlinks"]
        for link in links
    }


def _name_jobs(jobs: Sequence[Job], host: Host, kept: int, what: str) -> tuple[str, ...]:
    if not jobs:
        return ()
    room = (
        f"{format_gib(kept)} of {what} is kept for what it has yet to take"
        if kept
        else "what it holds is counted"
    )
    return (f"{', '.join(job.job_id for job in jobs)} runs on {host.name}: {room}",)


def _keep_for_jobs(cards: Sequence[tuple[Device, int]], promised: int) -> tuple[list[Device], int]:
    """The cards with what running jobs were promised and do not hold yet taken off, and how much that is."""
    devices = [card for card, _ in cards]
    extra = max(0, promised - sum(own for _, own in cards))
    if extra:
        at = max(range(len(cards)), key=lambda index: (cards[index][1], devices[index].available_bytes))
        devices[at] = replace(devices[at], held_bytes=devices[at].held_bytes + extra)
    return devices, extra


def _needs(job: Job, name: str) -> int:
    return int((job.specification.get("needs") or {}).get(name) or 0)


def _read_card(
    entry: Mapping[str, Any], host: Host, names: AcceleratorNames, said: list[str]
) -> list[tuple[Device, int]]:
    """A card, or each of its MIG instances, with the bytes that our own processes hold on it."""
    total, reserved, held = entry["total_bytes"], entry["reserved_bytes"], entry["held_bytes"]
    match = names.resolve_nvml(entry["name"], total)
    if match is not None and match.accelerator.kind == "unified":
        shared = share_memory(match.accelerator, total, entry["free_bytes"])
        said_of = f"NVML on {host.name} at {host.snapshot['taken_at']}"
        return [(replace(shared, index=entry["index"], source=said_of), _own_bytes(entry, host))]
    device = make_device(match.accelerator) if match else _unknown_card(entry)
    if match is None:
        said.append(f"{entry['name']} is in no table: its memory is planned with, its speed is not known")
    if reserved is None or held is None:
        reserved = min(device.reserved_bytes, total) if match else assume_reserved(total)
        held = max(0, total - entry["free_bytes"] - reserved)
        said.append(f"this driver does not say what it reserves of a card: {format_gib(reserved, 2)} assumed")
    capability = entry["compute_capability"]
    card = replace(
        device,
        total_bytes=total,
        reserved_bytes=reserved,
        held_bytes=held,
        sm=int(capability.replace(".", "")) if capability else device.sm,
        source=f"NVML on {host.name} at {host.snapshot['taken_at']}",
        ecc=_read_switch(entry.get("ecc")),
        index=entry["index"],
    )
    if entry["mig"] != "on":
        return [(card, _own_bytes(entry, host))]
    if not entry["instances"]:
        said.append(f"card {entry['index']} is in MIG mode without an instance, and left out")
    return [(_make_instance(instance, card), _own_bytes(instance, host)) for instance in entry["instances"]]


def _unknown_card(entry: Mapping[str, Any]) -> Device:
    return Device(
        name=entry["name"],
        kind="gpu",
        vendor="nvidia",
        architecture="",
        total_bytes=entry["total_bytes"],
        reserved_bytes=0,
    )


def _own_bytes(entry: Mapping[str, Any], host: Host) -> int:
    return sum(
        process["held_bytes"] or 0 for process in entry["processes"] if process["pid"] in host.own_pids
    )


def _make_instance(instance: Mapping[str, Any], card: Device) -> Device:
    return cut_device(
        card,
        name=instance["name"],
        total_bytes=instance["total_bytes"],
        free_bytes=instance["free_bytes"],
        slices=instance["compute_slices"],
        uuid=instance["uuid"],
    )


def _read_switch(state: str | None) -> bool | None:
    return None if state is None else state == "on"


def _read_shared(
    snapshot: Mapping[str, Any], host: str, available: int | None, names: AcceleratorNames
) -> Device | None:
    """An accelerator that shares the processor's memory (Apple's chips); None where the table does not know it."""
    total = snapshot["ram_total_bytes"]
    if not snapshot.get("has_unified_memory") or not total:
        return None
    row = names.resolve_chip(snapshot["cpu"]["name"], total)
    if row is None:
        return None
    device = share_memory(row, total, available, snapshot.get("gpu_limit_bytes"))
    return replace(device, source=f"{host} at {snapshot['taken_at']}")


def _read_cpu(snapshot: Mapping[str, Any], host: str, available: int | None) -> Device:
    total = snapshot["ram_total_bytes"] or available or 0
    return Device(
        name=f"CPU {snapshot['cpu']['name']}",
        kind="cpu",
        vendor="cpu",
        architecture=snapshot["system"].rpartition(" ")[2],
        total_bytes=total,
        reserved_bytes=0,
        held_bytes=0 if available is None else max(0, total - available),
        bandwidth_bytes_per_s=snapshot["cpu"].get("bandwidth_bytes_per_s"),
        source=f"{host} at {snapshot['taken_at']}",
    )
