"""One door for all commands: the database of this home, or the server that holds it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from planner.domain.errors import Unreachable
from planner.live_server import LiveServer, find_live_server
from planner.settings import Settings
from planner.usecases.workshop import Workshop


class Serve(Protocol):
    """Runs the service of a home until it is told to end."""

    def __call__(
        self,
        settings: Settings,
        *,
        port: int,
        parent_pid: int | None,
        on_ready: Callable[[LiveServer], None],
    ) -> None:
        """Serve; `on_ready` is told the address."""
        ...


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

    def follow_job(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Its events until it is over."""
        ...


@runtime_checkable
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


class Door(JobDoor, Protocol):
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
        """`{columns, rows}` of one SELECT."""
        ...


class LocalDoor:
    """This process owns the database for the length of a command."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.plan_model import plan_model
        from planner.usecases.read_ask import read_ask

        return plan_model(self._workshop, read_ask(ask)).as_json()

    def plan_unrecorded(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.plan_model import plan_without_record
        from planner.usecases.read_ask import read_ask

        return plan_without_record(self._workshop, read_ask(ask))

    def list_decisions(self, row_limit: int) -> list[dict[str, Any]]:
        return self._workshop.decisions.list_decisions(row_limit)

    def show_decision(self, decision_id: str) -> dict[str, Any]:
        from planner.usecases.show_decision import show_decision

        return show_decision(self._workshop, decision_id)

    def replay_decision(self, decision_id: str) -> dict[str, Any]:
        from planner.usecases.replay_decision import replay_decision

        return replay_decision(self._workshop.decisions, self._workshop.knowledge, decision_id)

    def audit(self, sql: str) -> dict[str, Any]:
        columns, rows = self._workshop.audit(sql)
        return {"columns": columns, "rows": [list(row) for row in rows]}

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.estimate_candidate import estimate_candidate

        return estimate_candidate(self._workshop, fields)

    def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.predict_evidence import predict_evidence

        return predict_evidence(self._workshop, fields)

    def list_evidence(self, filters: Mapping[str, str | None], row_limit: int) -> list[dict[str, Any]]:
        data_sha256 = self._workshop.knowledge.version().data_sha256
        names = ("subject", "model", "scheme", "metric")
        wanted = {name: filters.get(name) for name in names}
        return self._workshop.evidence.find_rows(data_sha256, **wanted, row_limit=row_limit)

    def list_sources(self) -> list[dict[str, Any]]:
        return self._workshop.evidence.count_sources(self._workshop.knowledge.version().data_sha256)

    def submit_job(
        self, decision_id: str, choice: Mapping[str, Any], calibration_file: str | None
    ) -> dict[str, Any]:
        from planner.usecases.submit_job import submit_job

        job = submit_job(self._workshop, decision_id, choice=choice, calibration_file=calibration_file)
        return job.as_json()

    def list_jobs(self, row_limit: int) -> list[dict[str, Any]]:
        return [job.as_json() for job in self._workshop.jobs.list_jobs(None, row_limit)]

    def find_job(self, job_id: str) -> dict[str, Any]:
        return self._workshop.jobs.find_job(job_id).as_json()

    def approve_job(self, job_id: str) -> dict[str, Any]:
        from planner.usecases.approve_job import approve_job

        return approve_job(self._workshop, job_id).as_json()

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        from planner.usecases.cancel_job import cancel_job

        return cancel_job(self._workshop, job_id).as_json()

    def follow_job(self, job_id: str) -> Iterator[dict[str, Any]]:
        """What there is: while this process holds the database, no executor can add to it."""
        self._workshop.jobs.find_job(job_id)
        for row in self._workshop.job_events.list_job_events(job_id, 0):
            yield row["event"]


@contextmanager
def open_door(session: Session) -> Iterator[Door]:
    """The service that owns this home where one lives, else the database itself.

    Raises:
        MachineRefused: the home cannot be written or its database is held by another process.
    """
    server = find_live_server(session.settings.home)
    if server is not None:
        with open_server_door(server) as door:
            yield door
        return
    workshop = session.open_workshop(session.settings)
    try:
        yield LocalDoor(workshop)
    finally:
        workshop.close()


@contextmanager
def open_server_door(server: LiveServer) -> Iterator[Door]:
    """The door of a live service."""
    from planner.cli.server_door import ServerDoor
    from planner.contract.client import Client

    with Client(server.url, server.token) as client:
        yield ServerDoor(client)


def as_estimate_door(door: Door) -> EstimateDoor:
    """The same door for estimates and evidence.

    Raises:
        Unreachable: `server.not_served`, the service that owns this home does not answer these yet.
    """
    if isinstance(door, EstimateDoor):
        return door
    raise Unreachable(
        "server.not_served",
        "A service owns this home and does not answer estimates or evidence yet. Stop it, or give this command "
        "its own BITWRIGHT_HOME.",
    )
