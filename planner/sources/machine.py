"""Devices by words: rows of the accelerator table, or what this machine has.

Its cards are read in nvidia.py where a driver is installed; otherwise the CPU with the memory that the kernel says
is available answers for this machine. Memory bandwidth of a CPU is measured once (a copy of a
large buffer) and kept in the home.
"""

import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from planner.domain.choose.placements import MOST_RANKS
from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, Target, make_device
from planner.domain.facts.hardware_cpu import refuse_without_memory
from planner.domain.facts.hardware_described import BY_HAND
from planner.domain.facts.hardware_links import describe_link
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.hardware_rented import RentedMachine, find_rented
from planner.domain.facts.hardware_target import check_ecc, check_kinds, split_card
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.units import GIB, MIB, format_gib
from planner.sources.memory import read_memory
from planner.sources.nvidia import Cards, read_cards
from planner.sources.unified import name_amd_card, read_shared

HERE_WORDS = frozenset({"this machine", "this host", "here", "local"})
CPU_WORDS = frozenset({"cpu"})
COPY_BYTES = 64 * MIB
COPY_ROUNDS = 4


class Machine:
    """Targets from words and from this machine."""

    def __init__(self, names: AcceleratorNames, home: Path, rented: Sequence[RentedMachine] = ()) -> None:
        self._names = names
        self._rented = rented
        self._home = home
        self._measuring = threading.Lock()

    def find_target(self, asks: Sequence[DeviceAsk]) -> Target:
        """The target that the words describe.

        Raises:
            BadInput: an unknown card, or kinds of device that cannot be one target.
            Ambiguous: words that mean several cards.
        """
        words = [ask.words.lower() for ask in asks]
        if any(word in HERE_WORDS | CPU_WORDS for word in words):
            if len(asks) > 1:
                raise BadInput(
                    "target.mixed", "This machine cannot be mixed with other devices in one target."
                )
            return self._this_machine(cpu_only=words[0] in CPU_WORDS)
        devices: list[Device] = []
        assumed: list[str] = []
        for ask in asks:
            found, said = self._describe(ask)
            devices += found
            assumed += said
        check_kinds(devices)
        ordered = tuple(sorted(devices, key=lambda device: -device.available_bytes))
        link, said = describe_link(ordered, asks[0].link)
        return Target(
            devices=ordered,
            ram_bytes=ordered[0].available_bytes if ordered[0].kind == "cpu" else None,
            assumed=tuple(dict.fromkeys([*assumed, *said])),
            link=link,
        )

    def _describe(self, ask: DeviceAsk) -> tuple[list[Device], list[str]]:
        """The devices of one group as the tables describe them, and what is taken for granted."""
        rented = find_rented(ask.words, self._rented)
        if rented is not None:
            return self._describe_rented(ask, rented)
        match = self._names.resolve(ask.words)
        row = match.accelerator
        if row.kind == "cpu" and row.memory_gib is None:
            raise refuse_without_memory(ask.words, row.name.removeprefix("CPU "))
        if row.kind == "cpu" and ask.count > 1:
            raise BadInput(
                "request.count",
                f"{ask.count} processors: a machine with several sockets is described as one, with all its memory.",
            )
        if ask.ecc is not None:
            check_ecc(row)
        device = make_device(row, ecc=ask.ecc)
        said = [*match.notes, *_assumptions(device, is_memory_advertised=row.visible_bytes is None)]
        if row.devices_per_card > 1:
            device = split_card(device, row.devices_per_card)
            said.append(f"{device.label}: one card shows {row.devices_per_card} devices")
        if device.kind == "gpu" and ask.count > MOST_RANKS:
            said.append(
                f"{device.label}: {ask.count} are taken as one host, though none holds more than {MOST_RANKS}; "
                "hosts apart are planned for one by one"
            )
        if device.kind == "unified" and ask.count > 1:
            said.append(
                f"{device.label}: {ask.count} machines; only Ray splits a model over them, at PCIe's pace at best"
            )
        return [device] * (ask.count * row.devices_per_card), said

    def _describe_rented(self, ask: DeviceAsk, rented: RentedMachine) -> tuple[list[Device], list[str]]:
        """The cards of one machine of a cloud.

        Raises:
            BadInput: `request.count`, several machines, over which nothing is split.
        """
        if ask.count > 1:
            raise BadInput(
                "request.count",
                f"{ask.count} x {ask.words} are {ask.count} hosts, and a plan is for one: plan for `{ask.words}`.",
            )
        devices, said = self._describe(replace(ask, count=rented.count, words=rented.device))
        return devices, [f"{ask.words} has {rented.count} × {devices[0].label}", *said]

    def _this_machine(self, *, cpu_only: bool) -> Target:
        total, available = read_memory()
        cards = Cards() if cpu_only else read_cards(self._names)
        shared = (
            None if cpu_only or cards.devices else read_shared(self._names, _cpu_name(), total, available)
        )
        devices = cards.devices or (shared or self._cpu(total, available),)
        said = cards.said if cards.devices or shared or cpu_only else (*cards.said, *name_amd_card())
        return Target(
            devices=devices,
            host=os.uname().nodename,
            ram_bytes=available,
            cpu_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            disk_free_bytes=_disk_free(self._home),
            assumed=said,
            link=cards.link,
            driver=cards.driver,
            cuda=cards.cuda,
        )

    def _cpu(self, total: int, available: int) -> Device:
        return Device(
            name=_cpu_name(),
            kind="cpu",
            vendor="cpu",
            architecture=os.uname().machine,
            total_bytes=total,
            reserved_bytes=0,
            held_bytes=total - available,
            bandwidth_bytes_per_s=self._bandwidth(),
            source="the kernel's figures on this machine; bandwidth by copying a buffer",
        )

    def _bandwidth(self) -> float:
        # One thread measures: several at once would each see a part of the bandwidth.
        with self._measuring:
            return self._read_or_measure_bandwidth()

    def _read_or_measure_bandwidth(self) -> float:
        kept = self._home / "machine.json"
        try:
            return float(json.loads(kept.read_text(encoding="utf-8"))["bandwidth_bytes_per_s"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        measured = _measure_bandwidth()
        temporary = kept.with_suffix(f".{os.getpid()}")
        try:
            temporary.write_text(json.dumps({"bandwidth_bytes_per_s": measured}), encoding="utf-8")
            temporary.replace(kept)
        except OSError:  # a full disk: it is measured again next time
            temporary.unlink(missing_ok=True)
        return measured


def _assumptions(device: Device, *, is_memory_advertised: bool) -> list[str]:
    is_desktop = device.form in {"consumer", "laptop"}
    is_worth_saying = device.ecc is not None and (device.ecc or not is_desktop)
    ecc = f"ECC {'on' if device.ecc else 'off'}, " if is_worth_saying else ""
    desktop = " (no desktop either)" if is_desktop else ""
    said = [f"{device.label}: as its table row says, {ecc}nothing else running on it{desktop}"]
    if device.source == BY_HAND:
        said = []
    elif is_memory_advertised and device.kind == "gpu":
        said.append(
            f"{device.label}: {device.total_bytes / GIB:.1f} GiB derived from what is advertised, "
            "no driver's figure is known"
        )
    if device.kind == "unified":
        counted, total = format_gib(device.available_bytes), format_gib(device.total_bytes)
        said.append(f"{device.label}: {counted} of {total} are counted on, the rest is the system's")
    return said


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return "CPU " + line.partition(":")[2].strip()
    except OSError:
        pass
    return f"CPU {os.uname().machine}"


def _disk_free(folder: Path) -> int | None:
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def _measure_bandwidth() -> float:
    source, sink = bytearray(COPY_BYTES), bytearray(COPY_BYTES)
    best = 0.0
    for _ in range(COPY_ROUNDS):
        start = time.perf_counter()
        sink[:] = source
        best = max(best, 2 * COPY_BYTES / (time.perf_counter() - start))
    return best
