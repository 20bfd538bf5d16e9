"""One door for all commands: the database of this home, or the server that holds it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from planner.settings import Settings
from planner.usecases.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Session:
    """What a command starts from."""

    settings: Settings
    open_workshop: Callable[[Settings], Workshop]


class Door(Protocol):
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


@contextmanager
def open_door(session: Session) -> Iterator[Door]:
    """The door of this home.

    Raises:
        MachineRefused: the home cannot be written or its database is held by another process.
    """
    workshop = session.open_workshop(session.settings)
    try:
        yield LocalDoor(workshop)
    finally:
        workshop.close()
