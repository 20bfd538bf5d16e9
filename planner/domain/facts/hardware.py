"""What the weights will live on: one device, and a target of several.

Memory of a device, in bytes: `total` is what the driver reports; `reserved` is what the driver keeps for
itself and never hands out; `held` is what other processes hold now. Usable memory starts from
`total - reserved - held` and is then cut by the engine's own utilisation (predict/memory.py).
"""

from dataclasses import dataclass, field
from typing import Literal

from planner.domain.units import GIB, MIB

DeviceKind = Literal["gpu", "unified", "cpu"]
LinkKind = Literal["nvlink", "pcie"]


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
    reserved_bytes: int | None = None
    """What the driver keeps of it (on unified memory: what no GPU may take); None where no row says."""
    ecc_default: str = ""
    """`on` or `off` as the card ships, with remarks; empty where nobody said."""
    pcie_generation: float | None = None
    mig_slices: int | None = None
    """Compute slices that MIG divides it into; None without MIG."""
    devices_per_card: int = 1
    """Devices that the driver shows for one card: two dies on an MI250."""
    model_pattern: str = ""
    """Regular expression of the glued names of single models that this row stands for (EPYC 9654 for EPYC 9004)."""
    is_instance: bool = False
    """Whether it is a MIG instance of a card."""

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
    ecc: bool | None = None
    """Whether error correction is on; None where nobody said, or the memory corrects by itself."""
    pcie_generation: float | None = None
    form: str = ""
    """How it is built: `pcie`, `sxm`, `oam`, `consumer`, `laptop`, `unified`; empty where nobody said."""
    mig_slices: int | None = None
    """Compute slices that MIG divides it into; None without MIG."""
    uuid: str | None = None
    """A MIG instance's identifier, where the driver was asked."""
    index: int | None = None
    """The driver's own number of the card, where it was asked."""
    is_instance: bool = False
    """Whether it is a MIG instance, which no engine joins to another device."""

    def __hash__(self) -> int:
        """By what tells cards apart; a plan looks devices up hundreds of times."""
        return hash((self.name, self.total_bytes, self.held_bytes, self.index))

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
    link: LinkKind | None = None
    """How the devices reach each other, the slowest way between two of them; None: one device, or not known."""
    cuda: str | None = None
    """The newest CUDA that the host's driver runs (`12.4`); None when nobody looked."""
    driver: str | None = None

    def __hash__(self) -> int:
        """By host and devices, as far as tells most targets apart."""
        return hash((self.host, len(self.devices), self.devices[0]))

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


RESERVED_BASE_BYTES = 440 * MIB
RESERVED_SHARE = 0.0016
"""What a driver keeps of an NVIDIA card where neither NVML v2 nor a row says: 0.42 GiB on an RTX 3090 (24.0 reported,
23.58 given to vLLM), 0.47 on an H100 (79.65, 79.18), 0.71 on a B200; a line through the three, called assumed."""

HBM_CAPABILITIES = frozenset({60, 70, 80, 90, 100, 103})
"""Compute capabilities times ten of NVIDIA's dies with HBM, whose ECC takes none of the memory."""
ECC_SHARE = 15 / 16
"""What inline ECC leaves of GDDR memory: 46,068 of 49,140 MiB on an RTX A6000, an A40 and an L40S alike."""
ON_DIE_ECC = 120
"""From this compute capability on, GDDR7 corrects on the die: an RTX PRO 6000 shows 97,887 MiB either way."""
VISIBLE_SHARE = 0.985
"""Part of the advertised GiB that a driver reports at least with ECC off, where the table has no figure of its own:
1.000 (RTX 3090) down to 0.986 (V100 16GB) and 0.985 (Quadro RTX 6000)."""


def make_device(accelerator: Accelerator, ram_bytes: int | None = None, *, ecc: bool | None = None) -> Device:
    """A device as the tables describe it, nothing else running on it.

    Args:
        accelerator: the row.
        ram_bytes: the machine's memory, for a CPU row that has none of its own.
        ecc: error correction as somebody said it is; None: as the card ships.
    """
    total = accelerator.visible_bytes or _derive_visible(accelerator) or ram_bytes or 0
    has_ecc = _ships_with_ecc(accelerator)
    if ecc is not None and has_inline_ecc(accelerator):
        total = int(total * (ECC_SHARE if ecc else 1) / (ECC_SHARE if has_ecc else 1))
        has_ecc = ecc
    reserved = accelerator.reserved_bytes
    if reserved is None:
        is_card = accelerator.vendor == "nvidia" and accelerator.kind == "gpu" and not accelerator.is_instance
        reserved = assume_reserved(total) if is_card else 0
    return Device(
        name=accelerator.name,
        kind=accelerator.kind,
        vendor=accelerator.vendor,
        architecture=accelerator.architecture,
        total_bytes=total,
        reserved_bytes=min(reserved, total),
        sm=accelerator.sm,
        bandwidth_bytes_per_s=accelerator.bandwidth_bytes_per_s,
        fp16_flops=accelerator.fp16_flops,
        fp8_flops=accelerator.fp8_flops,
        int8_ops=accelerator.int8_ops,
        nvlink_bytes_per_s=accelerator.nvlink_bytes_per_s,
        source=accelerator.source,
        ecc=has_ecc if has_inline_ecc(accelerator) else None,
        pcie_generation=accelerator.pcie_generation,
        form=accelerator.form,
        mig_slices=accelerator.mig_slices,
        is_instance=accelerator.is_instance,
    )


def assume_reserved(total_bytes: int) -> int:
    """Bytes that a driver is assumed to keep of an NVIDIA card that it reports `total_bytes` of."""
    return min(total_bytes, RESERVED_BASE_BYTES + int(RESERVED_SHARE * total_bytes))


def has_inline_ecc(accelerator: Accelerator) -> bool:
    """Whether switching ECC on takes a sixteenth of this card's memory: NVIDIA's cards with GDDR before GDDR7."""
    return (
        accelerator.vendor == "nvidia"
        and accelerator.kind == "gpu"
        and accelerator.sm is not None
        and accelerator.sm not in HBM_CAPABILITIES
        and accelerator.sm < ON_DIE_ECC
    )


def _ships_with_ecc(accelerator: Accelerator) -> bool:
    """Whether ECC is on unless somebody switches it: as its row says, else on cards of data centres (no RTX)."""
    if accelerator.ecc_default:
        return accelerator.ecc_default.startswith("on")
    return has_inline_ecc(accelerator) and accelerator.form == "pcie" and "RTX" not in accelerator.name


def _derive_visible(accelerator: Accelerator) -> int:
    """Bytes that the driver will report at least, from the advertised memory; 0 where none is advertised."""
    advertised = int((accelerator.memory_gib or 0) * GIB)
    if accelerator.vendor != "nvidia" or accelerator.kind != "gpu" or accelerator.is_instance:
        return advertised
    with_ecc = has_inline_ecc(accelerator) and _ships_with_ecc(accelerator)
    return int(advertised * VISIBLE_SHARE * (ECC_SHARE if with_ecc else 1))
