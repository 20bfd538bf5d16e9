"""One run of a decision on a host: its states and the moves between them, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from planner.domain.errors import BadInput

JobState = Literal["submitted", "approved", "claimed", "completed", "failed", "cancelled"]

TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    "submitted": frozenset({"approved", "cancelled"}),
    "approved": frozenset({"claimed", "cancelled"}),
    "claimed": frozenset({"completed", "failed", "cancelled", "approved"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
"""From each state the states it may move to; `claimed → approved` is a lost lease handed out again."""

FINAL_STATES: frozenset[JobState] = frozenset(state for state, onward in TRANSITIONS.items() if not onward)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as recorded."""

    job_id: str
    decision_id: str
    state: JobState
    specification: Mapping[str, Any]
    """What the executor is given: model folder, backend, scheme, method, group size, calibration, needs."""
    host: str | None = None
    claim_id: str | None = None
    created_at: str = ""
    updated_at: str = ""
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    submitted_by: str | None = None
    """Who asked for it: a token's name, with the person it spoke for; None before that was recorded."""
    approved_by: str | None = None
    wanted_host: str | None = None
    """The host that its decision was made for by name; None lets any host have it."""

    def as_json(self) -> dict[str, Any]:
        """The job as everyone sees it; its claim stays between the service and the host that holds it."""
        return {
            "job_id": self.job_id,
            "decision_id": self.decision_id,
            "state": self.state,
            "specification": dict(self.specification),
            "host": self.host,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "result": None if self.result is None else dict(self.result),
            "error": None if self.error is None else dict(self.error),
            "submitted_by": self.submitted_by,
            "approved_by": self.approved_by,
            "wanted_host": self.wanted_host,
        }


def check_move(job: Job, state: JobState) -> None:
    """Refuse a move that the table does not have.

    Raises:
        BadInput: `job.illegal_move`.
    """
    if state not in TRANSITIONS[job.state]:
        raise BadInput("job.illegal_move", f"Job {job.job_id} is {job.state}: it cannot become {state}.")
