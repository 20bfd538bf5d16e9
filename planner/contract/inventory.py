"""What a host has, at one moment: as an executor reports it, and as `bitwright inventory` prints it.

All sizes are bytes. None means that the host did not say; it never stands for zero. What could not be read, and
why, stands in `notes`, one sentence each.
"""

from typing import Literal

from pydantic import Field

from planner.contract.answers import Answer


class Note(Answer):
    """Something about this host that a person should know."""

    code: str
    message: str


class Cpu(Answer):
    """The processor, and how many of its cores this process may use."""

    name: str
    cores: int
    bandwidth_bytes_per_s: float | None = None
    """What one thread moves in memory, where it was measured."""


class Driver(Answer):
    """NVIDIA's driver, and the newest CUDA that it runs."""

    version: str | None = None
    cuda: str | None = None


class GpuProcess(Answer):
    """Another process on a card."""

    pid: int
    held_bytes: int | None = None
    """None where the driver does not tell, as for processes of another container."""
    name: str | None = None


class Pcie(Answer):
    """How a card is plugged in."""

    bus_id: str | None = None
    generation: int | None = None
    """Of now; an idle card may have stepped down from `max_generation`."""
    max_generation: int | None = None
    width: int | None = None
    max_width: int | None = None


class MigInstance(Answer):
    """A part of a card that is a device of its own."""

    name: str
    uuid: str
    total_bytes: int
    free_bytes: int
    compute_slices: int | None = None
    """Of the card's seven."""
    processes: list[GpuProcess] = Field(default_factory=list)


class GpuDevice(Answer):
    """One NVIDIA card as its driver describes it."""

    index: int
    name: str
    uuid: str
    compute_capability: str | None = None
    total_bytes: int
    reserved_bytes: int | None = None
    """What the driver keeps for itself; None where it counts that as held."""
    held_bytes: int | None = None
    """What processes hold, without what is reserved; None where the driver does not part the two."""
    free_bytes: int
    processes: list[GpuProcess] = Field(default_factory=list)
    mig: Literal["off", "on"] | None = None
    """None: the card has no MIG, or the driver does not say."""
    instances: list[MigInstance] = Field(default_factory=list)
    ecc: Literal["off", "on"] | None = None
    pcie: Pcie = Pcie()
    utilization_percent: int | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None


class Link(Answer):
    """The way between two cards."""

    first: int
    second: int
    nvlinks: int
    """Active NVLinks between the two, straight or through switches that both reach."""
    path: str | None = None
    """The nearest point where their PCIe paths meet."""
    has_peer_access: bool | None = None


class InstalledEngine(Answer):
    """Something here that can serve a model."""

    name: str
    version: str | None = None
    where: str
    """The interpreter or the command."""


class BackendEnvironment(Answer):
    """A backend of this host and its environment."""

    name: str
    state: Literal["built", "not built", "broken"]
    folder: str | None = None
    disk_bytes: int | None = None
    message: str = ""


class HostSnapshot(Answer):
    """A host at one moment."""

    host: str
    taken_at: str
    system: str
    cpu: Cpu
    ram_total_bytes: int | None = None
    ram_available_bytes: int | None = None
    has_unified_memory: bool = False
    """The processor's memory is the accelerator's too (Apple)."""
    gpu_limit_bytes: int | None = None
    """What of unified memory the accelerator may take, where somebody set it; None: the system's default."""
    disk_free_bytes: int | None = None
    driver: Driver | None = None
    devices: list[GpuDevice] = Field(default_factory=list)
    links: list[Link] = Field(default_factory=list)
    engines: list[InstalledEngine] = Field(default_factory=list)
    backends: list[BackendEnvironment] = Field(default_factory=list)
    notes: list[Note] = Field(default_factory=list)
