"""What the service answers. Unknown fields are let pass, so that an older client reads a newer service."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

JobState = Literal["submitted", "approved", "claimed", "completed", "failed", "cancelled"]
FINAL_STATES: frozenset[JobState] = frozenset({"completed", "failed", "cancelled"})


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class JobRecord(Answer):
    """A job as the record has it."""

    job_id: str
    decision_id: str
    state: JobState
    specification: dict[str, Any]
    host: str | None = None
    created_at: str
    updated_at: str
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    submitted_by: str | None = None
    approved_by: str | None = None
    wanted_host: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self.state in FINAL_STATES


class JobList(Answer):
    """Jobs, newest first."""

    jobs: list[JobRecord]
    next_cursor: str | None = None


class DecisionSummary(Answer):
    """A decision in a list."""

    decision_id: str
    created_at: str
    request: str
    model: str
    target: str
    scheme: str | None = None
    method: str | None = None
    engine: str | None = None


class DecisionList(Answer):
    """Decisions, newest first."""

    decisions: list[DecisionSummary]
    next_cursor: str | None = None


class PlanAnswers(Answer):
    """Decisions or `{"error": …}` objects, in the order asked."""

    answers: list[dict[str, Any]]


class HostRecord(Answer):
    """A host as it was when it was last heard of."""

    name: str
    state: Literal["live", "stale", "gone"]
    age_seconds: float
    registered_at: str
    seen_at: str
    left_at: str | None = None
    jobs: list[str]
    """Jobs that it runs."""
    snapshot: dict[str, Any]
    """As `HostSnapshot` (contract/inventory.py) writes it."""


class HostList(Answer):
    """Hosts, by name."""

    hosts: list[HostRecord]


class DeviceList(Answer):
    """Cards of all hosts that are there, each with `host`, `host_state` and `age_seconds`."""

    devices: list[dict[str, Any]]


class TokenRecord(Answer):
    """A token, without its text."""

    token_id: str
    name: str
    scopes: list[str]
    speaks_for_others: bool
    created_at: str
    revoked_at: str | None = None


class NewToken(TokenRecord):
    """A token with its text, answered once."""

    token: str


class TokenList(Answer):
    """Tokens, oldest first."""

    tokens: list[TokenRecord]


class Claim(Answer):
    """Work handed to an executor; null where there was none."""

    claim_id: str | None = None
    leased_until: str | None = None
    job: JobRecord | None = None


class ClaimState(Answer):
    """What became of a claimed job; anything but `claimed` tells the executor to stop."""

    job_id: str
    state: JobState
    leased_until: str | None = None


class JobEvent(Answer):
    """One event of a job: its place in the order, and what happened."""

    sequence: int
    recorded_at: str
    event: dict[str, Any]

    @property
    def ends_job(self) -> bool:
        """Whether it is the last one: the job came to its end."""
        return self.event.get("event") == "state" and self.event.get("state") in FINAL_STATES


class AuditAnswer(Answer):
    """Columns and rows of one SELECT; `truncated` when there were more rows than one answer holds."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool = False


class EvidenceRows(Answer):
    """Rows of evidence, or of its sources."""

    rows: list[dict[str, Any]]
    next_cursor: str | None = None


class Health(Answer):
    """Whether the service lives, and who it is."""

    status: Literal["live", "ready"]
    version: str
    pid: int
