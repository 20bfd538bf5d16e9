"""What this host has: processor, memory, disk, and its NVIDIA cards through NVML where there is a driver.

Figures are of the moment they are taken: what other processes hold changes a second later.
"""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executors.preflight import available_ram_bytes


def take_inventory(folder: Path) -> dict[str, Any]:
    """This host's snapshot; disk is that of the folder."""
    return {
        "host": platform.node(),
        "cpu": {"name": _cpu_name(), "cores": _cpu_cores()},
        "ram_total_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "ram_available_bytes": available_ram_bytes(),
        "disk_free_bytes": shutil.disk_usage(folder if folder.is_dir() else Path("/")).free,
        "devices": list_devices(),
    }


def list_devices() -> list[dict[str, Any]]:
    """NVIDIA cards as NVML reports them; none where there is no driver."""
    with _open_nvml() as nvml:
        if nvml is None:
            return []
        return [_describe_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]


def find_free_vram_bytes() -> int | None:
    """Free memory of the emptiest card; None where there is none to ask."""
    return max((int(device["free_bytes"]) for device in list_devices()), default=None)


def _describe_device(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return {
        "index": index,
        "name": nvml.nvmlDeviceGetName(handle),
        "uuid": nvml.nvmlDeviceGetUUID(handle),
        "total_bytes": memory.total,
        "reserved_bytes": memory.reserved,
        "free_bytes": memory.free,
        "compute_capability": f"{major}.{minor}",
    }


@contextmanager
def _open_nvml() -> Iterator[Any]:
    try:
        import pynvml  # noqa: PLC0415 - a host without a driver may lack it

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - no package, no driver, or one that is being replaced: no cards to tell of
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _cpu_name() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _cpu_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
