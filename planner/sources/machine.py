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
from contextlib import suppress
from pathlib import Path

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, Target, make_device
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.request import DeviceAsk
from planner.domain.units import GIB, MIB
from planner.sources.nvidia import read_cards

HERE_WORDS = frozenset({"this machine", "this host", "here", "local"})
CPU_WORDS = frozenset({"cpu"})
CONTROL_GROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Limit and use, of version 2 and of version 1."""
COPY_BYTES = 64 * MIB
COPY_ROUNDS = 4


class Machine:
    """Targets from words and from this machine."""

    def __init__(self, names: AcceleratorNames, home: Path) -> None:
        self._names = names
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
            match = self._names.resolve(ask.words)
            if match.accelerator.kind == "cpu":
                raise BadInput(
                    "target.cpu_by_name",
                    f"{match.accelerator.name} has no memory of its own: plan for it on that machine, "
                    'as "cpu" or "this machine".',
                )
            devices += [make_device(match.accelerator)] * ask.count
            assumed += match.notes
            assumed += _assumptions(devices[-1], ask.count, match.accelerator.visible_bytes is None)
        if len({device.kind for device in devices}) > 1:
            raise BadInput("target.mixed", "Cards and unified-memory machines cannot be one target.")
        ordered = tuple(sorted(devices, key=lambda device: -device.available_bytes))
        return Target(devices=ordered, assumed=tuple(dict.fromkeys(assumed)))

    def _this_machine(self, *, cpu_only: bool) -> Target:
        total, available = read_memory()
        gpus, said = ((), []) if cpu_only else read_cards(self._names)
        devices = gpus or (self._cpu(total, available),)
        return Target(
            devices=devices,
            host=os.uname().nodename,
            ram_bytes=available,
            cpu_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            disk_free_bytes=_disk_free(self._home),
            assumed=tuple(said),
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


def _assumptions(device: Device, count: int, is_memory_advertised: bool) -> list[str]:
    said = [f"{device.label}: as its table row says, nothing else running on it"]
    if is_memory_advertised:
        said.append(
            f"{device.label}: {device.total_bytes / GIB:.1f} GiB derived from what is advertised, "
            "no driver's figure is known"
        )
    if count > 1 and device.nvlink_bytes_per_s:
        said.append(f"{device.label}: no NVLink bridge assumed")
    return said


def read_memory(
    meminfo: Path = Path("/proc/meminfo"), control_group: Path = Path("/sys/fs/cgroup")
) -> tuple[int, int]:
    """Bytes in all and available to a new process, within what a control group allows and already uses.

    An executor counts the same way before it starts a job.
    """
    fields: dict[str, int] = {}
    try:
        with meminfo.open(encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                fields[name] = int(rest.split()[0]) * 1024
        total, available = fields["MemTotal"], fields["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        available = total
    for limit_file, use_file in CONTROL_GROUP_FILES:
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            limit = int((control_group / limit_file).read_text(encoding="ascii"))
            used = int((control_group / use_file).read_text(encoding="ascii"))
            total, available = min(total, limit), min(available, max(0, limit - used))
    return total, available


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
