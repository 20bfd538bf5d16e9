"""Every question that can be put to the service, one function a `/v1` route: what goes out, and how the answer reads.

`Client.send` and `AsyncClient.send` send a call. A call goes out again when its answer was lost. That is safe for
all: the service compares states before it moves a job, and a job is submitted under an idempotency key, which the
call keeps. What is asked twice costs no more than a second record of one plan, or a second line of progress; only
a token's name is taken then (revoke it, make it again).
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from planner.contract.answers import (
    AuditAnswer,
    Claim,
    ClaimState,
    DecisionList,
    DecisionSummary,
    DeviceList,
    EvidenceRows,
    Health,
    HostList,
    HostRecord,
    JobEvent,
    JobList,
    JobRecord,
    NewToken,
    PlanAnswers,
    TokenList,
    TokenRecord,
)
from planner.contract.pages import Page
from planner.contract.requests import (
    AuditQuestion,
    ClaimAsk,
    HostReport,
    JobFailure,
    JobReport,
    JobSubmission,
    PlanBatch,
    ReportedEvents,
    TokenAsk,
)

AnswerT = TypeVar("AnswerT")

ANSWER_SECONDS = 60.0
SILENCE_SECONDS = 30.0
"""Longer than the service's own pings: a stream this quiet is dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[AnswerT]):
    """One question: what goes out, and how what comes back is read."""

    method: Literal["GET", "POST"]
    path: str
    read: Callable[[Any], AnswerT]
    """Makes the answer of the JSON that came; a ValueError when it is something else."""
    body: Mapping[str, Any] | None = None
    parameters: Mapping[str, str | int] | None = None
    headers: Mapping[str, str] | None = None
    silence_seconds: float = ANSWER_SECONDS
    """How long nothing may come before the connection counts as lost."""


def check_health() -> Call[Health]:
    """Whether the service lives and takes the token."""
    return _get("/health/live", Health.model_validate)


def plan(ask: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """A recorded decision."""
    return _post("/v1/plans", _read_object, dict(ask))


def plan_batch(asks: Sequence[Mapping[str, Any]], *, record: bool) -> Call[list[dict[str, Any]]]:
    """Decisions or `{"error": …}` objects, in order."""
    batch = PlanBatch(plans=[dict(ask) for ask in asks], record=record)
    return _post("/v1/plans:batch", lambda sent: PlanAnswers.model_validate(sent).answers, batch)


def list_decisions(row_limit: int, cursor: str | None) -> Call[Page[DecisionSummary]]:
    """Newest decisions in short."""

    def read(sent: Any) -> Page[DecisionSummary]:
        listed = DecisionList.model_validate(sent)
        return Page(listed.decisions, listed.next_cursor)

    return _get("/v1/decisions", read, {"limit": row_limit, "cursor": cursor})


def show_decision(decision_id: str) -> Call[dict[str, Any]]:
    """One decision with its jobs and measurements."""
    return _get(f"/v1/decisions/{_segment(decision_id)}", _read_object)


def replay_decision(decision_id: str) -> Call[dict[str, Any]]:
    """The decision computed again and compared."""
    return _post(f"/v1/decisions/{_segment(decision_id)}:replay", _read_object)


def estimate(fields: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Numbers and verdicts of one candidate."""
    return _post("/v1/estimates", _read_object, dict(fields))


def predict_evidence(fields: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """What one benchmark loses."""
    return _post("/v1/evidence:predict", _read_object, dict(fields))


def list_evidence(
    filters: Mapping[str, str | None], row_limit: int, cursor: str | None
) -> Call[Page[dict[str, Any]]]:
    """Rows of evidence, newest first."""

    def read(sent: Any) -> Page[dict[str, Any]]:
        listed = EvidenceRows.model_validate(sent)
        return Page(listed.rows, listed.next_cursor)

    return _get("/v1/evidence", read, {**filters, "limit": row_limit, "cursor": cursor})


def list_sources() -> Call[list[dict[str, Any]]]:
    """Sources with their number of rows."""
    return _get("/v1/evidence/sources", lambda sent: EvidenceRows.model_validate(sent).rows)


def submit_job(
    submission: JobSubmission, idempotency_key: str | None, *, person: str | None
) -> Call[JobRecord]:
    """A job that waits for approval; one key makes one job."""
    headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16), **_for_whom(person)}
    return _post("/v1/jobs", JobRecord.model_validate, submission, headers)


def list_jobs(decision_id: str | None, row_limit: int, cursor: str | None) -> Call[Page[JobRecord]]:
    """Newest jobs."""

    def read(sent: Any) -> Page[JobRecord]:
        listed = JobList.model_validate(sent)
        return Page(listed.jobs, listed.next_cursor)

    return _get("/v1/jobs", read, {"decision_id": decision_id, "limit": row_limit, "cursor": cursor})


def find_job(job_id: str) -> Call[JobRecord]:
    """One job."""
    return _get(f"/v1/jobs/{_segment(job_id)}", JobRecord.model_validate)


def approve_job(job_id: str, *, person: str | None) -> Call[JobRecord]:
    """The job, now for executors to take."""
    headers = _for_whom(person)
    return _post(f"/v1/jobs/{_segment(job_id)}:approve", JobRecord.model_validate, headers=headers)


def cancel_job(job_id: str) -> Call[JobRecord]:
    """The job, stopped wherever it is."""
    return _post(f"/v1/jobs/{_segment(job_id)}:cancel", JobRecord.model_validate)


def retry_job(job_id: str) -> Call[JobRecord]:
    """A new job that makes what this one did not; asked again, the same one."""
    return _post(f"/v1/jobs/{_segment(job_id)}:retry", JobRecord.model_validate)


def follow_job(job_id: str, after: int) -> Call[JobEvent]:
    """A stream of the job's events after number `after`."""
    return Call(
        method="GET",
        path=f"/v1/jobs/{_segment(job_id)}/events",
        read=JobEvent.model_validate,
        headers={"Last-Event-ID": str(after), "Accept": "text/event-stream"},
        silence_seconds=SILENCE_SECONDS,
    )


def claim_job(host: str, job_id: str | None, wait_seconds: float) -> Call[Claim]:
    """Work for a host; an empty claim when there was none."""
    ask = ClaimAsk(job_id=job_id, wait_seconds=wait_seconds)
    return _post(f"/v1/hosts/{_segment(host)}/claims", Claim.model_validate, ask)


def report_events(claim_id: str, events: Sequence[Mapping[str, Any]]) -> Call[ClaimState]:
    """Progress of a claimed job."""
    body = ReportedEvents(events=[dict(event) for event in events])
    return _post(f"/v1/claims/{_segment(claim_id)}/events", ClaimState.model_validate, body)


def renew_claim(claim_id: str) -> Call[ClaimState]:
    """The claim under another lease."""
    return _post(f"/v1/claims/{_segment(claim_id)}/renew", ClaimState.model_validate)


def complete_job(claim_id: str, report: JobReport) -> Call[ClaimState]:
    """A claimed job with what was made and measured."""
    return _post(f"/v1/claims/{_segment(claim_id)}/complete", ClaimState.model_validate, report)


def fail_job(claim_id: str, failure: JobFailure) -> Call[ClaimState]:
    """A claimed job with why there is no artifact."""
    return _post(f"/v1/claims/{_segment(claim_id)}/fail", ClaimState.model_validate, failure)


def register_host(report: HostReport) -> Call[HostRecord]:
    """A host that is there, new or again."""
    return _post("/v1/hosts", HostRecord.model_validate, report)


def send_heartbeat(report: HostReport) -> Call[HostRecord]:
    """What a registered host has now."""
    path = f"/v1/hosts/{_segment(report.snapshot.host)}/heartbeat"
    return _post(path, HostRecord.model_validate, report)


def list_hosts() -> Call[list[HostRecord]]:
    """Every host that ever registered, by name."""
    return _get("/v1/hosts", lambda sent: HostList.model_validate(sent).hosts)


def list_devices() -> Call[list[dict[str, Any]]]:
    """Cards of all hosts that are there, each with `host`, `host_state` and `age_seconds`."""
    return _get("/v1/inventory", lambda sent: DeviceList.model_validate(sent).devices)


def create_token(ask: TokenAsk) -> Call[NewToken]:
    """A new token; its text comes back this once."""
    return _post("/v1/tokens", NewToken.model_validate, ask)


def list_tokens() -> Call[list[TokenRecord]]:
    """Tokens, oldest first."""
    return _get("/v1/tokens", lambda sent: TokenList.model_validate(sent).tokens)


def revoke_token(name: str) -> Call[TokenRecord]:
    """The token of that name or id, ended."""
    return _post(f"/v1/tokens/{_segment(name)}:revoke", TokenRecord.model_validate)


def audit(sql: str) -> Call[AuditAnswer]:
    """Columns and rows of one SELECT."""
    return _post("/v1/audit/query", AuditAnswer.model_validate, AuditQuestion(sql=sql))


def _get(
    path: str,
    read: Callable[[Any], AnswerT],
    parameters: Mapping[str, str | int | None] | None = None,
) -> Call[AnswerT]:
    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    return Call(method="GET", path=path, read=read, parameters=given or None)


def _post(
    path: str,
    read: Callable[[Any], AnswerT],
    body: BaseModel | dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Call[AnswerT]:
    sent = body.model_dump(mode="json", exclude_none=True) if isinstance(body, BaseModel) else body
    return Call(method="POST", path=path, read=read, body=sent, headers=headers)


def _read_object(sent: Any) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - as of every answer that reads as something else
    return sent


def _for_whom(person: str | None) -> dict[str, str]:
    """The header that names a person; what a header cannot hold is left out."""
    named = (person or "").encode("ascii", "ignore").decode().strip()
    return {"On-Behalf-Of": named} if named else {}


def _segment(name: str) -> str:
    """An id as one path segment, whatever was typed."""
    return quote(name, safe="") or "-"
