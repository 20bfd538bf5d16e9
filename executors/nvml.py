"""NVIDIA's cards in the driver's own words, through NVML.

Every question may fail by itself: a driver too old for it (FunctionNotFound), a card without it (NotSupported), a
card that fell off the bus (GpuIsLost). What was not answered is None, with a note that says why; a lost card is
left out, with a note. NVML v2 parts what the driver reserves from what processes hold; where only the first
version answers, both stay unknown and what is free still is exact.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from executors.host import read_memory
from planner.contract.inventory import Driver, GpuDevice, GpuProcess, MigInstance, Note, Pcie

NO_LIBRARY = "No NVIDIA driver here: its library (NVML) was not found. Only processor and memory are told of."
REMEDIES = {
    "NVMLError_DriverNotLoaded": "Load the nvidia kernel module, or restart the host.",
    "NVMLError_LibRmVersionMismatch": "The driver was updated while it ran: restart the host.",
    "NVMLError_NoPermission": "Let this user open /dev/nvidia*.",
}
Switch = Literal["off", "on"]


class CardLost(Exception):
    """The driver no longer reaches a card."""


@dataclass(frozen=True)
class Memory:
    """Bytes of one device; what the driver does not part is None."""

    total: int
    free: int
    reserved: int | None = None
    held: int | None = None


class Nvml:
    """An open library; what it could not answer is noted once."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.notes: list[Note] = []

    def ask(self, name: str, *arguments: Any) -> Any:
        """The answer of `nvml<name>`, or None.

        Raises:
            CardLost: the card that was asked about is gone.
        """
        nvml = self.library
        try:
            return getattr(nvml, f"nvml{name}")(*arguments)
        except nvml.NVMLError as error:
            kind = type(error).__name__
            if kind == "NVMLError_GpuIsLost":
                raise CardLost from error
            if kind == "NVMLError_FunctionNotFound":
                self.note("nvml.too_old", f"This driver has no nvml{name}: update it to be told more.")
            elif kind not in {"NVMLError_NotSupported", "NVMLError_NotFound", "NVMLError_InvalidArgument"}:
                self.note("nvml.refused", f"The driver refused nvml{name} ({error}).")
            return None
        except AttributeError:
            self.note("nvml.binding", f"nvidia-ml-py has no nvml{name}: install the pinned version.")
            return None

    def note(self, code: str, message: str) -> None:
        """Say it, once."""
        made = Note(code=code, message=message)
        if made not in self.notes:
            self.notes.append(made)


@contextmanager
def open_nvml() -> Iterator[Nvml | Note]:
    """The library, or a note on why there is none."""
    try:
        import pynvml  # noqa: PLC0415 - a host without cards may lack it
    except ImportError:
        yield Note(code="nvml.absent", message="nvidia-ml-py is not installed: no cards can be told of.")
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        kind = type(error).__name__
        if kind == "NVMLError_LibraryNotFound":
            yield Note(code="nvml.absent", message=NO_LIBRARY)
            return
        remedy = REMEDIES.get(kind, "Look at what nvidia-smi says.")
        yield Note(code="nvml.unusable", message=f"The NVIDIA driver does not answer ({error}). {remedy}")
        return
    try:
        yield Nvml(pynvml)
    finally:
        pynvml.nvmlShutdown()


def read_driver(nvml: Nvml) -> Driver:
    """Versions of the driver and of the CUDA that it runs."""
    cuda = nvml.ask("SystemGetCudaDriverVersion_v2")
    return Driver(
        version=nvml.ask("SystemGetDriverVersion"),
        cuda=None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
    )


def read_devices(nvml: Nvml) -> list[tuple[Any, GpuDevice]]:
    """Every card that answers, with its handle."""
    found = []
    for index in range(nvml.ask("DeviceGetCount") or 0):
        try:
            handle = nvml.ask("DeviceGetHandleByIndex", index)
            device = None if handle is None else _read_device(nvml, index, handle)
        except CardLost:
            nvml.note(
                "nvml.card_lost",
                f"Card {index} is lost: the driver no longer reaches it, and it is left out. Look for Xid in the "
                "kernel's log; reset the card or restart the host.",
            )
            continue
        if device is not None:
            found.append((handle, device))
    return found


def _read_device(nvml: Nvml, index: int, handle: Any) -> GpuDevice | None:
    memory = _read_memory(nvml, handle) or _read_shared(nvml, handle)
    if memory is None:
        nvml.note("nvml.no_memory", f"Card {index} does not say how much memory it has, and is left out.")
        return None
    capability = nvml.ask("DeviceGetCudaComputeCapability", handle)
    mig = _switch(nvml.ask("DeviceGetMigMode", handle))
    rates = nvml.ask("DeviceGetUtilizationRates", handle)
    power = nvml.ask("DeviceGetPowerUsage", handle)
    return GpuDevice(
        index=index,
        name=nvml.ask("DeviceGetName", handle) or "unnamed card",
        uuid=nvml.ask("DeviceGetUUID", handle) or f"index-{index}",
        compute_capability=None if capability is None else f"{capability[0]}.{capability[1]}",
        total_bytes=memory.total,
        reserved_bytes=memory.reserved,
        held_bytes=memory.held,
        free_bytes=memory.free,
        processes=list_processes(nvml, handle),
        mig=mig,
        instances=_read_instances(nvml, handle) if mig == "on" else [],
        ecc=_switch(nvml.ask("DeviceGetEccMode", handle)),
        pcie=_read_pcie(nvml, handle),
        utilization_percent=None if rates is None else rates.gpu,
        temperature_celsius=nvml.ask("DeviceGetTemperature", handle, nvml.library.NVML_TEMPERATURE_GPU),
        power_watts=None if power is None else power / 1000,
    )


def _read_memory(nvml: Nvml, handle: Any) -> Memory | None:
    memory = nvml.ask("DeviceGetMemoryInfo", handle, nvml.library.nvmlMemory_v2)
    if memory is not None:
        return Memory(memory.total, memory.free, memory.reserved, memory.used)
    first = nvml.ask("DeviceGetMemoryInfo", handle)
    return None if first is None else Memory(first.total, first.free)


def _read_shared(nvml: Nvml, handle: Any) -> Memory | None:
    """The host's memory, for a chip that has none of its own to tell of (GB10, Jetson): NVML does not support it."""
    library = nvml.library
    try:
        library.nvmlDeviceGetMemoryInfo(handle)
    except library.NVMLError_NotSupported:
        total, available = read_memory()
        return Memory(total, available or 0) if total else None
    except library.NVMLError:
        return None
    return None


def list_processes(nvml: Nvml, handle: Any) -> list[GpuProcess]:
    """Other processes with memory on the device, each once, by what they hold."""
    found: dict[int, GpuProcess] = {}
    for kind in ("Compute", "Graphics"):
        for process in nvml.ask(f"DeviceGet{kind}RunningProcesses_v3", handle) or ():
            if process.pid != os.getpid():
                name = name_process(nvml, process.pid)
                found[process.pid] = GpuProcess(pid=process.pid, held_bytes=process.usedGpuMemory, name=name)
    return sorted(found.values(), key=lambda process: (-(process.held_bytes or 0), process.pid))


def name_process(nvml: Nvml, pid: int) -> str | None:
    """What the driver calls it, or the kernel."""
    name = nvml.ask("SystemGetProcessName", pid)
    if name:
        return str(name)
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() or None
    except OSError:  # gone by now, or of another container
        return None


def _read_instances(nvml: Nvml, handle: Any) -> list[MigInstance]:
    found = []
    for number in range(nvml.ask("DeviceGetMaxMigDeviceCount", handle) or 0):
        instance = nvml.ask("DeviceGetMigDeviceHandleByIndex", handle, number)
        memory = None if instance is None else _read_memory(nvml, instance)
        if memory is None:
            continue
        attributes = nvml.ask("DeviceGetAttributes_v2", instance)
        found.append(
            MigInstance(
                name=nvml.ask("DeviceGetName", instance) or f"instance {number}",
                uuid=nvml.ask("DeviceGetUUID", instance) or f"instance-{number}",
                total_bytes=memory.total,
                free_bytes=memory.free,
                compute_slices=None if attributes is None else attributes.computeInstanceSliceCount,
                processes=list_processes(nvml, instance),
            )
        )
    return found


def _read_pcie(nvml: Nvml, handle: Any) -> Pcie:
    ask: Callable[[str], Any] = lambda name: nvml.ask(f"DeviceGet{name}", handle)  # noqa: E731 - five short questions
    place = ask("PciInfo_v3")
    return Pcie(
        bus_id=None if place is None else _text(place.busId),
        generation=ask("CurrPcieLinkGeneration"),
        max_generation=ask("MaxPcieLinkGeneration"),
        width=ask("CurrPcieLinkWidth"),
        max_width=ask("MaxPcieLinkWidth"),
    )


def _switch(states: Any) -> Switch | None:
    if states is None:
        return None
    return "on" if states[0] else "off"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
