"""`bitwright inventory`: what this machine has, as its executor reports it."""

import json
import subprocess
from typing import Any

import click

from planner.cli.processes import bitwright
from planner.cli.saying import say
from planner.cli.tables import print_rows
from planner.contract.inventory import GpuDevice, HostSnapshot
from planner.domain.errors import MachineRefused
from planner.domain.units import format_gib

ANSWER_SECONDS = 60.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def inventory(as_json: bool) -> int:
    """Show this machine: processor, memory, cards, engines, backends."""
    snapshot = take_inventory()
    if as_json:
        click.echo(snapshot.model_dump_json())
    else:
        print_inventory(snapshot)
    return 0


def take_inventory() -> HostSnapshot:
    """This machine's snapshot, taken by a process of the executors.

    Raises:
        MachineRefused: `inventory.failed`.
    """
    try:
        done = subprocess.run(
            bitwright("executor", "inventory", "--json"),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=ANSWER_SECONDS,
            check=True,
        )
        return HostSnapshot.model_validate(json.loads(done.stdout))
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise MachineRefused(
            "inventory.failed",
            f"This machine's inventory could not be taken ({said[-1] if said else 'no reason given'}). "
            "Run it by itself: bitwright executor inventory",
        ) from error


def print_inventory(snapshot: HostSnapshot) -> None:
    """For a person."""
    available, total = _size(snapshot.ram_available_bytes), _size(snapshot.ram_total_bytes)
    kind = "unified memory" if snapshot.has_unified_memory else "memory"
    say(f"{snapshot.host} · {snapshot.system} · {snapshot.cpu.name}, {snapshot.cpu.cores} cores")
    say(f"{kind} {available} available of {total} · disk {_size(snapshot.disk_free_bytes)} free")
    if snapshot.driver is not None:
        click.echo(f"driver {snapshot.driver.version or '–'} · CUDA {snapshot.driver.cuda or '–'}")
    if snapshot.devices:
        click.echo()
        _print_devices(snapshot)
    if snapshot.engines or snapshot.backends:
        click.echo()
    for engine in snapshot.engines:
        say(f"engine   {engine.name} {engine.version or '(version unknown)'}  {engine.where}", 9)
    for backend in snapshot.backends:
        say(f"backend  {backend.name}: {backend.state} {backend.message}".rstrip(), 9)
    for note in snapshot.notes:
        say(f"mind     {note.message}", 9)


def _print_devices(snapshot: HostSnapshot) -> None:
    names = ("card", "name", "total", "reserved", "held", "free", "cc", "ecc", "mig", "pcie", "°C", "busy")
    rows: list[list[Any]] = []
    for device in snapshot.devices:
        rows.append(_describe_device(device))
        for instance in device.instances:
            sizes = [_size(instance.total_bytes), None, None, _size(instance.free_bytes)]
            rows.append([None, instance.name, *sizes, *[None] * 6])
    print_rows(names, rows)
    for device in snapshot.devices:
        for process in device.processes:
            held = _size(process.held_bytes)
            say(f"card {device.index}: process {process.pid} {process.name or ''} holds {held}")
    for link in snapshot.links:
        nvlink = f"{link.nvlinks} NVLinks" if link.nvlinks else "no NVLink"
        peer = {True: ", peer access", False: ", no peer access", None: ""}[link.has_peer_access]
        say(f"cards {link.first} and {link.second}: {nvlink}, PCIe meets at {link.path or '–'}{peer}")


def _describe_device(device: GpuDevice) -> list[Any]:
    pcie = device.pcie
    slot = f"gen {pcie.max_generation or '–'} x{pcie.width or '–'}"
    busy = None if device.utilization_percent is None else f"{device.utilization_percent} %"
    return [
        device.index,
        device.name,
        _size(device.total_bytes),
        _size(device.reserved_bytes),
        _size(device.held_bytes),
        _size(device.free_bytes),
        device.compute_capability,
        device.ecc,
        device.mig,
        slot,
        device.temperature_celsius,
        busy,
    ]


def _size(size_bytes: int | None) -> str:
    if size_bytes == 0:
        return "0"
    return "–" if size_bytes is None else format_gib(size_bytes)
