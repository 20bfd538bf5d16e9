"""A host says that it is there, what it has now, and when it leaves; and who asks is told of all of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.record.host import Host, judge_host
from planner.usecases.workshop import Workshop

LONGEST_NAME = 120


def register_host(
    workshop: Workshop, snapshot: Mapping[str, Any], *, own_pids: Sequence[int] = (), own_ram_bytes: int = 0
) -> dict[str, Any]:
    """Keep a host by the name in its snapshot, new or there again.

    Raises:
        BadInput: `host.name`.
    """
    name = str(snapshot["host"])
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or any(part.isspace() for part in name):
        raise BadInput("host.name", f"A host's name has 1 to {LONGEST_NAME} characters and no blanks.")
    workshop.hosts.register_host(_make_host(workshop, snapshot, own_pids, own_ram_bytes))
    return describe_host(workshop, name)


def hear_host(
    workshop: Workshop,
    name: str,
    snapshot: Mapping[str, Any],
    *,
    own_pids: Sequence[int] = (),
    own_ram_bytes: int = 0,
    is_leaving: bool = False,
) -> dict[str, Any]:
    """Keep what a registered host has now.

    Raises:
        BadInput: `host.unknown`, it has to register first; `host.name`, the snapshot is another host's.
    """
    if snapshot["host"] != name:
        raise BadInput("host.name", f"This is {name}'s heartbeat, the snapshot is of {snapshot['host']}.")
    host = _make_host(workshop, snapshot, own_pids, own_ram_bytes, is_leaving=is_leaving)
    if not workshop.hosts.hear_host(host):
        raise BadInput("host.unknown", f"No host called {name} has registered: POST /v1/hosts first.")
    return describe_host(workshop, name)


def describe_host(workshop: Workshop, name: str) -> dict[str, Any]:
    """One host as `list_hosts` has it."""
    return next(row for row in list_hosts(workshop) if row["name"] == name)


def list_hosts(workshop: Workshop) -> list[dict[str, Any]]:
    """Every host with its state, its age, its running jobs and its last snapshot."""
    return [
        {
            "name": host.name,
            "state": judge_host(host),
            "age_seconds": round(host.age_seconds, 1),
            "registered_at": host.registered_at,
            "seen_at": host.seen_at,
            "left_at": host.left_at,
            "jobs": [job.job_id for job in workshop.claims.list_running_jobs(host.name)],
            "snapshot": dict(host.snapshot),
        }
        for host in workshop.hosts.list_hosts(workshop.clock.now())
    ]


def _make_host(
    workshop: Workshop,
    snapshot: Mapping[str, Any],
    own_pids: Sequence[int],
    own_ram_bytes: int,
    *,
    is_leaving: bool = False,
) -> Host:
    now = workshop.clock.now()
    return Host(
        name=str(snapshot["host"]),
        registered_at=now,
        seen_at=now,
        snapshot=snapshot,
        own_pids=tuple(own_pids),
        own_ram_bytes=own_ram_bytes,
        left_at=now if is_leaving else None,
    )
