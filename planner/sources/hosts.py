"""Targets on hosts that have an executor: one by name, or the one with enough free cards; all other words go on.

What is known of a host is as old as its last heartbeat, which is said; a stale one is warned about, and one that is
gone is not planned for.
"""

import difflib
import re
from collections.abc import Sequence

from planner.domain.errors import Ambiguous, BadInput
from planner.domain.facts.hardware import Device, LinkKind, Target
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.facts.request_words import ANY_HOST, HOST_MARK
from planner.domain.record.host import Host, judge_host
from planner.domain.units import format_seconds
from planner.ports import ClaimStore, Clock, HostStore, Inventory
from planner.sources.host_devices import HostDevices, read_host_devices

FREE_SHARE = 0.05
"""A card counts as free while others hold no more than this of it: a desktop's windows are no tenant."""
LINK_NAMES = {"nvlink": "NVLink", "pcie": "PCIe alone"}
NAME_TOKEN = re.compile(r"[a-z]+\d+[a-z\d]*|\d+[a-z]*|[a-z]+", re.IGNORECASE)


class Hosts:
    """An inventory that knows registered hosts beside what `others` knows."""

    def __init__(
        self, others: Inventory, names: AcceleratorNames, hosts: HostStore, claims: ClaimStore, clock: Clock
    ) -> None:
        self._others = others
        self._names = names
        self._hosts = hosts
        self._claims = claims
        self._clock = clock

    def find_target(self, asks: Sequence[DeviceAsk]) -> Target:
        """The target that the words describe.

        Raises:
            BadInput: `host.unknown`, `host.gone`, `host.too_few`, `host.none`, `host.none_free`, `target.mixed`, or
                what `others` refuses.
            Ambiguous: words that mean several cards.
        """
        named = [ask for ask in asks if ask.words.startswith((HOST_MARK, ANY_HOST))]
        if not named:
            return self._others.find_target(asks)
        hosts = {ask.words.partition(" ")[0] for ask in asks}
        if len(asks) > 1 and (
            len(hosts) > 1 or len(named) < len(asks) or hosts == {ANY_HOST.partition(" ")[0]}
        ):
            raise BadInput(
                "target.mixed",
                "A host cannot be mixed with other devices in one target. Name its cards: `2x A6000 on host:NAME`.",
            )
        if not asks[0].words.startswith(HOST_MARK):
            return self._find_free(asks[0])
        host = self._find_host(asks[0].words.partition(" ")[0].removeprefix(HOST_MARK))
        found = self._look_at(host)
        return self._make_target(host, found, self._choose_cards(host, found, asks), asks[0].link)

    def _choose_cards(
        self, host: Host, found: HostDevices, asks: Sequence[DeviceAsk]
    ) -> tuple[Device, ...] | None:
        """The cards of a host that words name, the freest first; None where they name the host alone.

        Raises:
            BadInput: `host.too_few`, it has fewer of them, or none.
        """
        chosen: list[Device] = []
        left = list(found.devices)
        for ask in asks:
            card = ask.words.partition(" ")[2]
            if not card:
                return None
            wanted = self._name_card(card)
            matching = [device for device in left if _is_called(device, card, wanted)]
            if len(matching) < ask.count:
                there = Target(devices=found.devices).label
                raise BadInput("host.too_few", f"{host.name} has {there}, not {ask.count} × {card}.")
            for device in matching[: ask.count]:
                left.remove(device)
                chosen.append(device)
        return tuple(sorted(chosen, key=lambda device: -device.available_bytes))

    def _find_host(self, name: str) -> Host:
        hosts = self._hosts.list_hosts(self._clock.now())
        there = [f"{HOST_MARK}{host.name}" for host in hosts if judge_host(host) != "gone"]
        host = next((host for host in hosts if host.name.lower() == name.lower()), None)
        if host is None:
            raise _refuse_unknown(name, there)
        if judge_host(host) == "gone":
            how = "it said that it leaves" if host.left_at else "it fell silent"
            instead = f" or plan for {there[0]}" if there else ""
            raise BadInput(
                "host.gone",
                f"{host.name} is gone: {how}, and was last heard of {format_seconds(host.age_seconds)} ago. "
                f"Start its executor again{instead}.",
                suggestions=there,
            )
        return host

    def _find_free(self, ask: DeviceAsk) -> Target:
        hosts = [host for host in self._hosts.list_hosts(self._clock.now()) if judge_host(host) != "gone"]
        if not hosts:
            raise BadInput(
                "host.none", "No host is there now. On each one start: bitwright executor --server URL"
            )
        card = ask.words.removeprefix(ANY_HOST).strip()
        wanted = self._name_card(card) if card else ""
        fitting, counts = [], []
        for host in hosts:
            found = self._look_at(host)
            matching = [device for device in found.devices if not card or _is_called(device, card, wanted)]
            free = [device for device in matching if not card or _is_free(device)]
            if matching:
                counts.append(f"{host.name} has {len(matching)}, {len(free)} of them free")
            if len(free) >= ask.count:
                chosen = tuple(free[: ask.count]) if card else found.devices
                memory = sum(device.available_bytes for device in chosen)
                fitting.append((judge_host(host) == "stale", -memory, host.name, host, found, chosen))
        if not fitting:
            there = "; ".join(counts) or f"none of {', '.join(host.name for host in hosts)} has any"
            raise BadInput("host.none_free", f"No host has {ask.count} free {card or 'devices'}: {there}.")
        _, _, _, host, found, chosen = min(fitting, key=lambda item: item[:3])
        return self._make_target(host, found, chosen, ask.link)

    def _name_card(self, card: str) -> str:
        """The row that words mean; empty where they are several, which the host's own cards may tell apart."""
        try:
            return self._names.resolve(card).accelerator.name
        except Ambiguous:
            return ""

    def _look_at(self, host: Host) -> HostDevices:
        return read_host_devices(host, self._claims.list_running_jobs(host.name), self._names)

    def _make_target(
        self,
        host: Host,
        found: HostDevices,
        chosen: tuple[Device, ...] | None,
        asked_link: LinkKind | None = None,
    ) -> Target:
        age = format_seconds(host.age_seconds)
        said = f"{host.name} as it was {age} ago"
        if judge_host(host) == "stale":
            said = (
                f"what is known of {host.name} is stale: it was last heard of {age} ago, and what is free there may "
                "have changed. Is its executor still running?"
            )
        devices = chosen or found.devices
        driver = host.snapshot.get("driver") or {}
        link = found.link(devices)
        joined: tuple[str, ...] = ()
        if asked_link and link and asked_link != link:
            joined = (
                f"{host.name} tells of {LINK_NAMES[link]} between these cards, and that is planned with",
            )
        return Target(
            devices=devices,
            link=link,
            driver=driver.get("version"),
            cuda=driver.get("cuda"),
            host=host.name,
            ram_bytes=found.ram_bytes,
            cpu_cores=host.snapshot["cpu"]["cores"],
            disk_free_bytes=host.snapshot["disk_free_bytes"],
            assumed=(said, *joined, *found.said),
        )


def _refuse_unknown(name: str, there: Sequence[str]) -> BadInput:
    near = [
        f"{HOST_MARK}{word}"
        for word in difflib.get_close_matches(
            name, [item.removeprefix(HOST_MARK) for item in there], n=3, cutoff=0.5
        )
    ]
    known = f"Hosts that are there: {', '.join(there)}." if there else "No host has registered yet."
    hint = f"Did you mean {near[0]}?" if near else known
    return BadInput(
        "host.unknown", f'No host called "{name}" has registered. {hint}', suggestions=near or list(there)
    )


def _is_called(device: Device, card: str, wanted: str) -> bool:
    """Whether a device is the card that words mean: its row, or another form of it (`A100 80GB`, PCIe or SXM)."""
    if device.name == wanted:
        return True
    said, own = _tokens(card), _tokens(device.name)
    return said <= own and ("laptop" in said or "laptop" not in own)


def _tokens(name: str) -> set[str]:
    return {token.lower() for token in NAME_TOKEN.findall(name)}


def _is_free(device: Device) -> bool:
    return device.held_bytes <= FREE_SHARE * device.total_bytes
