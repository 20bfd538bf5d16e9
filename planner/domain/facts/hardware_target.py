"""Devices of one target: of one kind, a card's dies told apart, and the memory that a chip shares with its host."""

from collections.abc import Sequence
from dataclasses import replace

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Accelerator, Device, make_device


def check_kinds(devices: Sequence[Device]) -> None:
    """A target mixes cards, never kinds.

    Raises:
        BadInput: `target.mixed`.
    """
    kinds = {device.kind for device in devices}
    if len(kinds) > 1:
        names = " and ".join(dict.fromkeys(device.label for device in devices))
        raise BadInput(
            "target.mixed",
            f"{names} cannot be one target: one has memory of its own, the other shares the machine's. Plan for each "
            "alone.",
        )


def check_ecc(accelerator: Accelerator) -> None:
    """Whether error correction can be said of a device at all.

    Raises:
        BadInput: `gpu.ecc`, it is no NVIDIA card.
    """
    if accelerator.vendor != "nvidia" or accelerator.kind != "gpu":
        raise BadInput(
            "gpu.ecc", f"{accelerator.name} has no ECC switch that changes its memory: leave the words out."
        )


def share_memory(
    row: Accelerator, total_bytes: int, available_bytes: int | None, limit_bytes: int | None = None
) -> Device:
    """A chip that shares the host's memory, as the host describes it now.

    Args:
        row: the chip of the table with the nearest memory; what it keeps from the GPU is kept in proportion.
        total_bytes: the host's memory.
        available_bytes: what a new process could get; None where the host does not say.
        limit_bytes: what the GPU may take, where somebody set it (Apple's iogpu.wired_limit_mb).
    """
    described = make_device(row)
    reserved = total_bytes - min(limit_bytes, total_bytes) if limit_bytes else 0
    if not limit_bytes and described.total_bytes:
        reserved = int(total_bytes * described.reserved_bytes / described.total_bytes)
    held = 0 if available_bytes is None else max(0, total_bytes - reserved - available_bytes)
    return replace(described, total_bytes=total_bytes, reserved_bytes=reserved, held_bytes=held)


def split_card(device: Device, dies: int) -> Device:
    """One of the devices that a card of several dies shows: its share of memory, bandwidth and rates."""

    def part(rate: float | None) -> float | None:
        return None if rate is None else rate / dies

    return replace(
        device,
        total_bytes=device.total_bytes // dies,
        reserved_bytes=device.reserved_bytes // dies,
        bandwidth_bytes_per_s=part(device.bandwidth_bytes_per_s),
        fp16_flops=part(device.fp16_flops),
        fp8_flops=part(device.fp8_flops),
        int8_ops=part(device.int8_ops),
    )
