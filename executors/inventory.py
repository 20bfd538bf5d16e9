"""What this host has, in the contract's words: processor, memory, disk, cards, engines, backends.

Figures are of the moment they are taken: what other processes hold changes a second later.
"""

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from executors.backend import Backend, list_backends
from executors.environments import EnvironmentSpec, find_interpreter, name_build, read_environment
from executors.errors import EnvironmentFailed
from executors.host import has_unified_memory, read_cpu, read_disk_free, read_gpu_limit, read_memory
from executors.links import read_links
from executors.nvml import open_nvml, read_devices, read_driver
from planner.contract.inventory import (
    BackendEnvironment,
    Driver,
    GpuDevice,
    HostSnapshot,
    InstalledEngine,
    Link,
    Note,
)


def take_snapshot(
    host: str, folder: Path, engines: Callable[[], list[InstalledEngine]] = list
) -> HostSnapshot:
    """This host now; disk is that of the folder."""
    driver, devices, links, notes = read_cards()
    total, available = read_memory()
    return HostSnapshot(
        host=host,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=read_cpu(),
        ram_total_bytes=total,
        ram_available_bytes=available,
        has_unified_memory=has_unified_memory(),
        gpu_limit_bytes=read_gpu_limit() if has_unified_memory() else None,
        disk_free_bytes=read_disk_free(folder),
        driver=driver,
        devices=devices,
        links=links,
        engines=engines(),
        notes=notes,
    )


def read_cards() -> tuple[Driver | None, list[GpuDevice], list[Link], list[Note]]:
    """The driver, its cards and the ways between them; where there is none, the note says why."""
    with open_nvml() as nvml:
        if isinstance(nvml, Note):
            return None, [], [], [nvml]
        cards = read_devices(nvml)
        return read_driver(nvml), [device for _, device in cards], read_links(nvml, cards), nvml.notes


def find_free_vram_bytes() -> int | None:
    """Free memory of the emptiest card or MIG instance; None where there is none to ask."""
    _, devices, _, _ = read_cards()
    free = [device.free_bytes for device in devices if device.mig != "on"]
    free += [instance.free_bytes for device in devices for instance in device.instances]
    return max(free, default=None)


def list_environments(backends: Path, cache: Path) -> list[BackendEnvironment]:
    """Every backend of this host and the state of its environment."""
    return [_describe_environment(backend, cache) for backend in list_backends(backends)]


def _describe_environment(backend: Backend, cache: Path) -> BackendEnvironment:
    spec = EnvironmentSpec(
        name=backend.name,
        requirements=backend.requirements,
        expected_seconds=backend.install_seconds,
        expected_disk_bytes=backend.install_disk_bytes,
        expected_packages=backend.install_packages,
        python_at_least=backend.python_at_least,
        python_below=backend.python_below,
    )
    try:
        build = name_build(backend.requirements, find_interpreter(spec))
    except EnvironmentFailed as error:
        return BackendEnvironment(name=backend.name, state="broken", message=error.message)
    folder = cache / "environments" / f"{backend.name}-{build}"
    if not folder.exists():
        cost = f"built on first use: about {backend.install_seconds:.0f} s"
        return BackendEnvironment(
            name=backend.name, state="not built", disk_bytes=backend.install_disk_bytes, message=cost
        )
    is_built = read_environment(folder) is not None
    return BackendEnvironment(
        name=backend.name,
        state="built" if is_built else "broken",
        folder=str(folder),
        disk_bytes=measure_folder(folder),
        message="" if is_built else "unfinished, or its Python is gone: it is built again on next use",
    )


def measure_folder(folder: Path) -> int:
    """Bytes that its files take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if not path.is_dir())
