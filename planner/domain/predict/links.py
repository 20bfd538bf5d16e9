"""What tensor parallel spends on talking: two all-reduces a layer, after attention and after the feed-forward.

    one step     2 x layers x (latency + bytes / bandwidth), where bytes = sequences x width x 2 x 2 (n - 1) / n
    a prompt     the same bytes for each of its tokens; its latency is hidden in its length

Latency and bandwidth are rows of `data/links.csv`. Pipeline stages and layer splits hand over once a stage, which is
left out. Known error: one fit each for NVLink and PCIe; boards differ by half.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.domain.facts.hardware import Device, LinkKind
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.predict.constants import Constant

LinkConstants = Mapping[tuple[str, str], Constant]
"""By (link, term)."""
HIDDEN_BYTES = 2
"""Of one number of a hidden state, at 16 bits."""
MESH_FORMS = frozenset({"sxm", "oam"})
"""Boards whose cards are joined as by NVLink where nobody said by what."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Seconds that ranks spend on each other."""

    step_low: float = 0.0
    step_likely: float = 0.0
    step_high: float = 0.0
    """For one token of every sequence."""
    prompt_token: float = 0.0
    """For one token of a prompt."""


def predict_exchange(
    model: ModelFacts,
    placement: Placement,
    devices: Sequence[Device],
    link: LinkKind | None,
    sequences: int,
    constants: LinkConstants,
) -> Exchange:
    """Seconds of talk of one replica; none without tensor parallel.

    Args:
        model: its layers and width.
        placement: how many ranks.
        devices: the cards in use.
        link: how they reach each other; None where nobody said, then as boards of their form have it.
        sequences: how many are decoded at once.
        constants: `data/links.csv`.
    """
    ranks = placement.tp
    if ranks < 2:
        return Exchange()
    way = link or ("nvlink" if devices[0].form in MESH_FORMS else "pcie")
    rounds = 2 * model.num_layers
    moved = model.hidden_size * HIDDEN_BYTES * 2 * (ranks - 1) / ranks
    latency, rate = constants[way, "latency"], constants[way, "bandwidth"]
    one_way = devices[0].nvlink_bytes_per_s or min(
        (device.nvlink_bytes_per_s for device in devices if device.nvlink_bytes_per_s), default=0.0
    )
    scale = one_way / 2 if way == "nvlink" and one_way else 1e9 if way == "pcie" else 0.0

    def seconds(microseconds: float, speed: float) -> float:
        transfer = sequences * moved / (speed * scale) if scale else 0.0
        return rounds * (microseconds * 1e-6 + transfer)

    return Exchange(
        step_low=seconds(latency.low, rate.high),
        step_likely=seconds(latency.likely, rate.likely),
        step_high=seconds(latency.high, rate.low),
        prompt_token=rounds * moved / (rate.likely * scale) if scale else 0.0,
    )


def pace_of(devices: Sequence[Device], *, is_by_layer: bool) -> Device:
    """The device whose bandwidth stands for all: the slowest; of layers split by memory their mean."""
    slowest = min(devices, key=lambda device: device.bandwidth_bytes_per_s or 0)
    total = sum(device.available_bytes for device in devices)
    if not is_by_layer or not slowest.bandwidth_bytes_per_s or not total:
        return slowest
    seconds = sum(device.available_bytes / (device.bandwidth_bytes_per_s or 1) for device in devices)
    return replace(slowest, bandwidth_bytes_per_s=total / seconds)
