"""How the cards of a host reach each other: NVLink, and where their PCIe paths meet."""

from itertools import combinations
from typing import Any

from executors.nvml import CardLost, Nvml
from planner.contract.inventory import GpuDevice, Link

PATHS = {
    0: "one board",
    10: "one PCIe switch",
    20: "several PCIe switches",
    30: "one host bridge",
    40: "one NUMA node",
    50: "across processor sockets",
}
"""nvmlGpuTopologyLevel_t in words."""
READ_ACCESS = 0
"""NVML_P2P_CAPS_INDEX_READ; nvidia-ml-py 13.615 has a tuple under that name."""


def read_links(nvml: Nvml, cards: list[tuple[Any, GpuDevice]]) -> list[Link]:
    """The way between each two cards."""
    ends = {device.index: _list_ends(nvml, handle) for handle, device in cards}
    own = {str(device.pcie.bus_id).lower() for _, device in cards}
    return [
        _read_link(
            nvml, first, second, count_nvlinks(second[1], ends[first[1].index], ends[second[1].index], own)
        )
        for first, second in combinations(cards, 2)
    ]


def count_nvlinks(second: GpuDevice, ends_first: list[str], ends_second: list[str], own: set[str]) -> int:
    """Active links from the first card to the second: straight ones, else those to switches that both reach."""
    direct = ends_first.count(str(second.pcie.bus_id).lower())
    switches = set(ends_first) & set(ends_second) - own
    return direct or sum(end in switches for end in ends_first)


def _read_link(nvml: Nvml, first: tuple[Any, GpuDevice], second: tuple[Any, GpuDevice], nvlinks: int) -> Link:
    level = status = None
    try:
        level = nvml.ask("DeviceGetTopologyCommonAncestor", first[0], second[0])
        status = nvml.ask("DeviceGetP2PStatus", first[0], second[0], READ_ACCESS)
    except CardLost:  # between two questions: the next snapshot leaves it out
        nvml.note(
            "nvml.card_lost", f"Card {first[1].index} or {second[1].index} was lost while it was asked."
        )
    return Link(
        first=first[1].index,
        second=second[1].index,
        nvlinks=nvlinks,
        path=PATHS.get(level) if level is not None else None,
        has_peer_access=None if status is None else status == nvml.library.NVML_P2P_STATUS_OK,
    )


def _list_ends(nvml: Nvml, handle: Any) -> list[str]:
    """Bus ids at the other ends of a card's active NVLinks, one for each link."""
    ends = []
    try:
        for link in range(nvml.library.NVML_NVLINK_MAX_LINKS):
            state = nvml.ask("DeviceGetNvLinkState", handle, link)
            if state is None:  # past the last link, or none at all
                break
            place = nvml.ask("DeviceGetNvLinkRemotePciInfo", handle, link) if state else None
            if place is not None:
                bus = place.busId
                ends.append((bus.decode() if isinstance(bus, bytes) else str(bus)).lower())
    except CardLost:
        return []
    return ends
