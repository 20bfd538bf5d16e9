"""One door for all commands: the database of this home, or the server that holds it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from planner.domain.errors import MachineRefused
from planner.live_server import LiveServer, find_live_server, is_claimed
from planner.settings import Settings
from planner.usecases.workshop import Workshop


class Serve(Protocol):
    """Runs the service of a home until it is told to end."""

    def __call__(
        self,
        settings: Settings,
        *,
        host: str | None,
        port: int,
        parent_pid: int | None,
        token: str | None,
        on_ready: Callable[[LiveServer], None],
    ) -> None:
        """Serve, answering to `token` or one made now; `on_ready` is told the address."""
        ...


HANDOVER_SECONDS = 25.0
"""How long a service that is ending may hold the file: an audit question that it was asked may take twenty."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a command starts from."""

    settings: Settings
    open_workshop: Callable[[Settings], Workshop]
    serve: Serve


class JobDoor(Protocol):
    """What commands ask about jobs."""

    def submit_job(
        self, decision_id: str, choice: Mapping[str, Any], calibration_file: str | None
    ) -> dict[str, Any]:
        """A job that waits for approval."""
        ...

    def list_jobs(self, row_limit: int) -> list[dict[str, Any]]:
        """Newest first."""
        ...

    def find_job(self, job_id: str) -> dict[str, Any]:
        """One job."""
        ...

    def approve_job(self, job_id: str) -> dict[str, Any]:
        """Let executors have it."""
        ...

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Stop it."""
        ...

    def retry_job(self, job_id: str) -> dict[str, Any]:
        """A new job that makes what this one did not."""
        ...

    def follow_job(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Its events until it is over."""
        ...


class EstimateDoor(Protocol):
    """What commands ask about one candidate and about the evidence."""

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers and verdicts of one candidate."""
        ...

    def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What one benchmark loses."""
        ...

    def list_evidence(self, filters: Mapping[str, str | None], row_limit: int) -> list[dict[str, Any]]:
        """Rows, newest first."""
        ...

    def list_sources(self) -> list[dict[str, Any]]:
        """Sources with their number of rows."""
        ...


class TokenDoor(Protocol):
    """What commands ask about who may call."""

    def create_token(self, scopes: list[str], name: str | None, speaks_for_others: bool) -> dict[str, Any]:
        """A new token with its text."""
        ...

    def list_tokens(self) -> list[dict[str, Any]]:
        """Oldest first."""
        ...

    def revoke_token(self, name: str) -> dict[str, Any]:
        """End one."""
        ...


class HostDoor(Protocol):
    """What commands ask about hosts."""

    def list_hosts(self) -> list[dict[str, Any]]:
        """By name."""
        ...


class Door(JobDoor, EstimateDoor, TokenDoor, HostDoor, Protocol):
    """What commands ask for, as JSON objects in the contract's names."""

    def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        """Plan and record."""
        ...

    def plan_unrecorded(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        """Plan without a record."""
        ...

    def list_decisions(self, row_limit: int) -> list[dict[str, Any]]:
        """Newest first."""
        ...

    def show_decision(self, decision_id: str) -> dict[str, Any]:
        """One decision with its measurements."""
        ...

    def replay_decision(self, decision_id: str) -> dict[str, Any]:
        """Compute it again and compare."""
        ...

    def audit(self, sql: str) -> dict[str, Any]:
        """`{columns, rows, truncated}` of one SELECT."""
        ...


@contextmanager
def open_door(session: Session) -> Iterator[Door]:
    """The service that owns this home where one lives, else the database itself.

    Raises:
        MachineRefused: the home cannot be written or its database is held by another process.
    """
    from planner.cli.steady_door import make_steady

    with ExitStack() as opened:
        door = _open_either(session, opened, is_served=is_claimed(session.settings.home))
        yield make_steady(door, lambda: _open_either(session, opened, is_served=True))


def _open_either(session: Session, opened: ExitStack, *, is_served: bool) -> Door:
    """A door that `opened` closes; a service that was there just now, and is ending, is waited for."""
    from planner.cli.local_door import LocalDoor

    deadline = time.monotonic() + HANDOVER_SECONDS
    while True:
        server = find_live_server(session.settings.home)
        if server is not None:
            return opened.enter_context(open_server_door(server))
        try:
            workshop = session.open_workshop(session.settings)
        except MachineRefused as error:
            if not is_served or error.code != "database.held" or time.monotonic() > deadline:
                raise
            continue
        opened.callback(workshop.close)
        return LocalDoor(workshop)


@contextmanager
def open_server_door(server: LiveServer) -> Iterator[Door]:
    """The door of a live service."""
    from planner.cli.server_door import ServerDoor
    from planner.contract.client import Client

    with Client(server.url, server.token) as client:
        yield ServerDoor(client)
