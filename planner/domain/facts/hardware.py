"""What the weights will live on: one device, and a target of several.

Memory of a device, in bytes: `total` is what the driver reports; `reserved` is what the driver keeps for
itself and never hands out; `held` is what other processes hold now. Usable memory starts from
`total - reserved - held` and is then cut by the engine's own utilisation (predict/memory.py).
"""

from dataclasses import dataclass, field
from typing import Literal

from planner.domain.units import GIB, MIB

DeviceKind = Literal["gpu", "unified", "cpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One row of `data/accelerators.csv`: a card, an APU, an Apple chip or a CPU platform."""

    name: str
    vendor: str
    nvml_names: tuple[str, ...]
    aliases: tuple[str, ...]
    memory_gib: float | None
    """Advertised memory in GiB; None where the machine decides (CPUs)."""
    visible_bytes: int | None
    """What the driver reports as total, where it was read."""
    bandwidth_bytes_per_s: float | None
    sm: int | None
    """CUDA compute capability times ten: 86 for 8.6; None outside NVIDIA."""
    architecture: str
    fp16_flops: float | None
    """Dense tensor rate at 16 bits in FLOP/s, FP32 accumulate where the two differ."""
    fp8_flops: float | None
    int8_ops: float | None
    nvlink_bytes_per_s: float | None
    form: str
    source: str

    @property
    def kind(self) -> DeviceKind:
        """Where its memory is: on a card, shared with the host, or the host's own."""
        if self.vendor == "cpu":
            return "cpu"
        return "unified" if self.form == "unified" else "gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator (or the CPU with the host's memory) as a plan uses it."""

    name: str
    kind: DeviceKind
    vendor: str
    architecture: str
    total_bytes: int
    reserved_bytes: int
    held_bytes: int = 0
    sm: int | None = None
    bandwidth_bytes_per_s: float | None = None
    fp16_flops: float | None = None
    fp8_flops: float | None = None
    int8_ops: float | None = None
    nvlink_bytes_per_s: float | None = None
    source: str = ""

    @property
    def available_bytes(self) -> int:
        """Bytes that one process could get now, before any engine's utilisation."""
        return max(0, self.total_bytes - self.reserved_bytes - self.held_bytes)

    @property
    def label(self) -> str:
        """How people call it, without the vendor's prefixes."""
        short = self.name
        for prefix in ("NVIDIA GeForce ", "NVIDIA ", "AMD Radeon ", "Apple "):
            short = short.removeprefix(prefix)
        return short


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The devices on one host that a plan may use."""

    devices: tuple[Device, ...]
    host: str | None = None
    """Name of the host when it was looked at; None when the target was only described."""
    ram_bytes: int | None = None
    cpu_cores: int | None = None
    disk_free_bytes: int | None = None
    assumed: tuple[str, ...] = field(default=())
    """What the words did not say and was taken for granted, one sentence each."""

    @property
    def label(self) -> str:
        """The target in words: `2 × RTX A6000`."""
        counts: dict[str, int] = {}
        for device in self.devices:
            counts[device.label] = counts.get(device.label, 0) + 1
        return " + ".join(f"{count} × {name}" for name, count in counts.items())

    @property
    def kind(self) -> DeviceKind:
        """Kind of its first device; a target mixes cards, never kinds."""
        return self.devices[0].kind


RESERVED_BYTES = 450 * MIB
"""What a driver keeps of an NVIDIA card where NVML v2 does not say: 0.42 GiB on an RTX 3090 (24.0 reported,
23.58 given to vLLM) and 0.47 GiB on an H100 (79.65 and 79.18); the figure between the two, called assumed."""

UNIFIED_SHARE = 0.75
"""Part of unified memory that Metal lets a GPU wire by default on machines above 36 GiB
(recommendedMaxWorkingSetSize, as llama.cpp prints it); below that two thirds."""


VISIBLE_SHARE_ECC = 0.937
VISIBLE_SHARE = 0.992
"""Part of the advertised GiB that an NVIDIA driver reports, where the table has no figure of its own: cards with
GDDR memory that ship with ECC on show 0.937 (T4, A10, L4, L40S), the others at least 0.992 (V100 32GB)."""
GDDR_BANDWIDTH_LIMIT = 1e12
"""Below this many bytes a second a PCIe card has GDDR memory, which ECC may shrink."""


def make_device(accelerator: Accelerator, ram_bytes: int | None = None) -> Device:
    """A device as the tables describe it, nothing else running on it.

    Args:
        accelerator: the row.
        ram_bytes: the machine's memory, for a CPU row that has none of its own.
    """
    total = accelerator.visible_bytes or _derive_visible(accelerator) or ram_bytes or 0
    reserved = 0
    if accelerator.vendor == "nvidia" and accelerator.kind == "gpu":
        reserved = RESERVED_BYTES
    elif accelerator.kind == "unified":
        share = UNIFIED_SHARE if total > 36 * GIB else 2 / 3
        reserved = total - int(total * share)
    return Device(
        name=accelerator.name,
        kind=accelerator.kind,
        vendor=accelerator.vendor,
        architecture=accelerator.architecture,
        total_bytes=total,
        reserved_bytes=reserved,
        sm=accelerator.sm,
        bandwidth_bytes_per_s=accelerator.bandwidth_bytes_per_s,
        fp16_flops=accelerator.fp16_flops,
        fp8_flops=accelerator.fp8_flops,
        int8_ops=accelerator.int8_ops,
        nvlink_bytes_per_s=accelerator.nvlink_bytes_per_s,
        source=accelerator.source,
    )


def _derive_visible(accelerator: Accelerator) -> int:
    """Bytes that the driver will report at least, from the advertised memory; 0 where none is advertised."""
    advertised = int((accelerator.memory_gib or 0) * GIB)
    if accelerator.vendor != "nvidia" or accelerator.kind != "gpu":
        return advertised
    may_have_ecc = (
        accelerator.form == "pcie" and (accelerator.bandwidth_bytes_per_s or 0) < GDDR_BANDWIDTH_LIMIT
    )
    return int(advertised * (VISIBLE_SHARE_ECC if may_have_ecc else VISIBLE_SHARE))
