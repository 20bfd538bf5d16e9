"""`bitwright hosts`: which hosts have an executor, what is free on each, and how old that is."""

import json
from collections.abc import Mapping
from typing import Any

import click

from planner.cli.door import Session, open_door
from planner.cli.tables import print_rows
from planner.domain.units import format_gib, format_seconds

LISTED = ("host", "state", "heard of", "devices", "free memory", "jobs")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def hosts(session: Session, as_json: bool) -> int:
    """List hosts, for a plan `for host:NAME` or `for any host with 2 free A6000`."""
    with open_door(session) as door:
        found = door.list_hosts()
    if as_json:
        click.echo(json.dumps({"hosts": found}, ensure_ascii=False))
        return 0
    if not found:
        click.echo("no hosts yet; on each GPU host start: bitwright executor --server URL --token-file FILE")
        return 0
    print_rows(LISTED, [_list_host(host) for host in found])
    return 0


def _list_host(host: Mapping[str, Any]) -> list[Any]:
    snapshot = host["snapshot"]
    devices = snapshot["devices"]
    counts: dict[str, int] = {}
    for device in devices:
        counts[device["name"]] = counts.get(device["name"], 0) + 1
    what = " + ".join(f"{count} × {name}" for name, count in counts.items()) or snapshot["cpu"]["name"]
    free = [device["free_bytes"] for device in devices] or [snapshot["ram_available_bytes"]]
    said = " + ".join("–" if size is None else format_gib(size) for size in free)
    age = f"{format_seconds(host['age_seconds'])} ago"
    return [host["name"], host["state"], age, what, said, ", ".join(host["jobs"]) or "–"]
