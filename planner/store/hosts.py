"""Hosts in the store: one row each, replaced with every word from its executor."""

import json
from datetime import datetime
from typing import Any

from planner.domain.record.host import Host
from planner.store.connection import Database
from planner.store.queries import load_queries


class HostStore:
    """Every host that ever registered."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("hosts")

    def register_host(self, host: Host) -> None:
        """Keep a host that is new, or there again."""
        with self._database.writer() as cursor:
            cursor.execute(self._queries["register_host"], {**_parameters(host), "at": host.seen_at})

    def hear_host(self, host: Host) -> bool:
        """Keep what a known host has now; False when no host has that name."""
        parameters = {**_parameters(host), "at": host.seen_at, "left_at": host.left_at}
        with self._database.writer() as cursor:
            return cursor.execute(self._queries["hear_host"], parameters).fetchone() is not None

    def list_hosts(self, now: str) -> list[Host]:
        """By name, each with its age."""
        with self._database.cursor() as cursor:
            rows = cursor.execute(self._queries["list_hosts"]).fetchall()
        return [
            Host(
                name=name,
                registered_at=registered_at,
                seen_at=seen_at,
                left_at=left_at,
                snapshot=json.loads(snapshot),
                own_pids=tuple(own_pids),
                own_ram_bytes=own_ram_bytes,
                age_seconds=_seconds_between(seen_at, now),
            )
            for name, registered_at, seen_at, left_at, snapshot, own_pids, own_ram_bytes in rows
        ]


def _seconds_between(earlier: str, later: str) -> float:
    return max(0.0, (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds())


def _parameters(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "snapshot": json.dumps(host.snapshot),
        "own_pids": list(host.own_pids),
        "own_ram_bytes": host.own_ram_bytes,
    }
