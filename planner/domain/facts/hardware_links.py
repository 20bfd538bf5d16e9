"""How a target's devices reach each other: NVLink or PCIe, as words say it, as boards have it, as a driver told."""

from collections.abc import Callable, Sequence
from itertools import combinations

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, LinkKind
from planner.domain.facts.hardware_described import BY_HAND

BRIDGED = 2
"""Cards that one NVLink bridge joins (NVIDIA: PCIe cards with bridges come in pairs)."""
BOARD_FORMS = frozenset({"sxm"})
"""Forms that sit on a board whose NVLink joins all of its cards."""


def describe_link(devices: Sequence[Device], asked: LinkKind | None) -> tuple[LinkKind | None, list[str]]:
    """How described devices reach each other, and what was taken for granted about it.

    Raises:
        BadInput: `link.none`, NVLink was said of cards that have none.
    """
    without = next((device for device in devices if not _has_nvlink(device)), None)
    if asked == "nvlink" and without is not None:
        raise BadInput(
            "link.none", f"{without.label} has no NVLink: it reaches others over PCIe. Leave it out."
        )
    if len(devices) < 2 or devices[0].kind != "gpu":
        return None, []
    if any(device.is_instance for device in devices):
        return None, ["MIG instances: no engine splits a model over them, each serves a replica of its own"]
    return _say_link(devices, asked) if asked else _assume_link(devices)


def _say_link(devices: Sequence[Device], asked: LinkKind) -> tuple[LinkKind, list[str]]:
    if asked == "pcie" or _are_on_a_board(devices) or len(devices) <= BRIDGED:
        return asked, []
    said = f"{devices[0].label}: an NVLink bridge joins two cards, {len(devices)} reach each other over PCIe"
    return "pcie", [said]


def _assume_link(devices: Sequence[Device]) -> tuple[LinkKind | None, list[str]]:
    label = devices[0].label
    if _are_on_a_board(devices):
        return "nvlink", [f"{label}: NVLink between the cards, as on boards with {devices[0].form.upper()}"]
    if any(device.vendor != "nvidia" for device in devices):
        return None, []
    bridged = [device for device in devices if _has_nvlink(device)]
    said = f"{label}: no NVLink bridge assumed, the cards reach each other over PCIe"
    return "pcie", [said] if bridged else []


def join_links(devices: Sequence[Device], count_nvlinks: Callable[[int, int], int]) -> LinkKind | None:
    """How cards that a driver told of reach each other: NVLink only where every two of them have it.

    Args:
        devices: the chosen cards.
        count_nvlinks: active NVLinks between two cards, by the driver's numbers.
    """
    numbers = [device.index for device in devices if device.index is not None and not device.is_instance]
    if len(numbers) < 2:
        return None
    return "nvlink" if all(count_nvlinks(*pair) for pair in combinations(sorted(numbers), 2)) else "pcie"


def _are_on_a_board(devices: Sequence[Device]) -> bool:
    return (
        all(device.form in BOARD_FORMS for device in devices)
        and len({device.name for device in devices}) == 1
    )


def _has_nvlink(device: Device) -> bool:
    """Whether it has NVLink, by its row or its form; of a card that was described nobody else knows."""
    return bool(device.nvlink_bytes_per_s) or device.form in BOARD_FORMS or device.source == BY_HAND
