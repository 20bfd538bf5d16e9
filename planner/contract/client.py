"""The typed client of the service: one method a route. Executors, the bot and the command line use nothing else.

Every method raises ContractError for a refusal and ServiceGone when nothing answers for `patience.seconds`.
POST /jobs carries an idempotency key, so that asking again after a lost answer makes no second job; the other
POSTs are safe to repeat because the service compares states before it moves a job.
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from planner.contract.answers import (
    AuditAnswer,
    Claim,
    ClaimState,
    DecisionList,
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
from planner.contract.errors import ContractError, ServiceGone, read_problem
from planner.contract.events import read_events
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
from planner.contract.retries import Patience

Received = TypeVar("Received", bound=BaseModel)

ANSWER_SECONDS = 60.0
SILENCE_SECONDS = 30.0
"""Longer than the service's own pings: a stream this quiet is dead."""


class BearerToken(httpx.Auth):
    """A token, or where to read one: a service takes a new token at every start, so a refused one is read again."""

    def __init__(self, token: str | Callable[[], str]) -> None:
        self._read = token if callable(token) else lambda: token
        self._token = self._read()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token; where it is refused and another is there by now, send that."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        refused, self._token = self._token, self._read()
        if self._token != refused:
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


class Client:
    """A connection to one service."""

    def __init__(self, url: str, token: str | Callable[[], str], *, patience: Patience | None = None) -> None:
        self.url = url.rstrip("/")
        self._patience = patience or Patience()
        self._http = httpx.Client(
            base_url=self.url,
            auth=BearerToken(token),
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=5.0),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def check_health(self) -> Health:
        """Whether the service lives and takes this token."""
        return self._get("/health/live", Health)

    def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        """A recorded decision."""
        return self._object("POST", "/v1/plans", body=dict(ask))

    def plan_batch(self, asks: Sequence[Mapping[str, Any]], *, record: bool = False) -> list[dict[str, Any]]:
        """Decisions or `{"error": …}` objects, in order."""
        body = PlanBatch(plans=[dict(ask) for ask in asks], record=record)
        return self._post("/v1/plans:batch", body, PlanAnswers).answers

    def list_decisions(self, row_limit: int = 20) -> list[dict[str, Any]]:
        """Newest decisions in short."""
        answer = self._get("/v1/decisions", DecisionList, {"limit": row_limit})
        return [summary.model_dump() for summary in answer.decisions]

    def show_decision(self, decision_id: str) -> dict[str, Any]:
        """One decision with its jobs and measurements."""
        return self._object("GET", f"/v1/decisions/{_segment(decision_id)}")

    def replay_decision(self, decision_id: str) -> dict[str, Any]:
        """Compute it again and compare."""
        return self._object("POST", f"/v1/decisions/{_segment(decision_id)}:replay")

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers and verdicts of one candidate."""
        return self._object("POST", "/v1/estimates", body=dict(fields))

    def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What one benchmark loses."""
        return self._object("POST", "/v1/evidence:predict", body=dict(fields))

    def list_evidence(self, filters: Mapping[str, str | None], row_limit: int) -> list[dict[str, Any]]:
        """Rows of evidence, newest first."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        return self._get("/v1/evidence", EvidenceRows, {**wanted, "limit": row_limit}).rows

    def list_sources(self) -> list[dict[str, Any]]:
        """Sources with their number of rows."""
        return self._get("/v1/evidence/sources", EvidenceRows).rows

    def submit_job(
        self, submission: JobSubmission, idempotency_key: str | None = None, *, person: str | None = None
    ) -> JobRecord:
        """Submit a job once, however often the request has to be sent; `person` is for whom it is done."""
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16), **_for_whom(person)}
        sent = self._json("POST", "/v1/jobs", body=_body(submission), headers=headers)
        return JobRecord.model_validate(sent)

    def list_jobs(self, decision_id: str | None = None, row_limit: int = 20) -> list[JobRecord]:
        """Newest jobs."""
        parameters = {"limit": row_limit, **({"decision_id": decision_id} if decision_id else {})}
        return self._get("/v1/jobs", JobList, parameters).jobs

    def find_job(self, job_id: str) -> JobRecord:
        """One job."""
        return self._get(f"/v1/jobs/{_segment(job_id)}", JobRecord)

    def approve_job(self, job_id: str, *, person: str | None = None) -> JobRecord:
        """Let executors have it; `person` is who allowed it."""
        path = f"/v1/jobs/{_segment(job_id)}:approve"
        return JobRecord.model_validate(self._json("POST", path, headers=_for_whom(person)))

    def cancel_job(self, job_id: str) -> JobRecord:
        """Stop it, wherever it is."""
        return self._post(f"/v1/jobs/{_segment(job_id)}:cancel", None, JobRecord)

    def retry_job(self, job_id: str) -> JobRecord:
        """A new job that makes what this one did not."""
        return self._post(f"/v1/jobs/{_segment(job_id)}:retry", None, JobRecord)

    def follow_job(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Events after number `after` until the job is over; a broken stream is taken up where it broke."""
        patience = self._patience
        while True:
            try:
                for event in self._stream(job_id, after):
                    after = event.sequence
                    yield event
            except httpx.TransportError as error:
                if not self._lives():
                    raise ServiceGone(self.url, type(error).__name__) from error
                patience.sleep(0.2)
            else:
                return

    def claim_job(self, host: str, job_id: str | None = None, wait_seconds: float = 0.0) -> Claim:
        """Ask for work, waiting up to `wait_seconds` for some."""
        ask = ClaimAsk(job_id=job_id, wait_seconds=wait_seconds)
        return self._post(f"/v1/hosts/{_segment(host)}/claims", ask, Claim)

    def report_events(self, claim_id: str, events: Sequence[Mapping[str, Any]]) -> ClaimState:
        """Append progress."""
        body = ReportedEvents(events=[dict(event) for event in events])
        return self._post(f"/v1/claims/{_segment(claim_id)}/events", body, ClaimState)

    def renew_claim(self, claim_id: str) -> ClaimState:
        """Keep the lease."""
        return self._post(f"/v1/claims/{_segment(claim_id)}/renew", None, ClaimState)

    def complete_job(self, claim_id: str, report: JobReport) -> ClaimState:
        """Hand in what was made and measured."""
        return self._post(f"/v1/claims/{_segment(claim_id)}/complete", report, ClaimState)

    def fail_job(self, claim_id: str, failure: JobFailure) -> ClaimState:
        """Say why there is no artifact."""
        return self._post(f"/v1/claims/{_segment(claim_id)}/fail", failure, ClaimState)

    def register_host(self, report: HostReport) -> HostRecord:
        """Say that a host is there."""
        return self._post("/v1/hosts", report, HostRecord)

    def send_heartbeat(self, report: HostReport) -> HostRecord:
        """Say what a registered host has now."""
        return self._post(f"/v1/hosts/{_segment(report.snapshot.host)}/heartbeat", report, HostRecord)

    def list_hosts(self) -> list[HostRecord]:
        """Every host that ever registered."""
        return self._get("/v1/hosts", HostList).hosts

    def create_token(self, ask: TokenAsk) -> NewToken:
        """Make a token; its text comes back this once."""
        return self._post("/v1/tokens", ask, NewToken)

    def list_tokens(self) -> list[TokenRecord]:
        """Oldest first."""
        return self._get("/v1/tokens", TokenList).tokens

    def revoke_token(self, name: str) -> TokenRecord:
        """End a token, by its name or id."""
        return self._post(f"/v1/tokens/{_segment(name)}:revoke", None, TokenRecord)

    def audit(self, sql: str) -> AuditAnswer:
        """Columns and rows of one SELECT."""
        return self._post("/v1/audit/query", AuditQuestion(sql=sql), AuditAnswer)

    def _lives(self) -> bool:
        try:
            self.check_health()
        except ContractError:
            return False
        return True

    def _stream(self, job_id: str, after: int) -> Iterator[JobEvent]:
        with self._http.stream(
            "GET",
            f"/v1/jobs/{_segment(job_id)}/events",
            headers={"Last-Event-ID": str(after), "Accept": "text/event-stream"},
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=5.0),
        ) as response:
            if response.is_error:
                response.read()
                raise _read_error(response)
            yield from read_events(response.iter_lines())

    def _get(
        self, path: str, answer: type[Received], parameters: Mapping[str, Any] | None = None
    ) -> Received:
        return answer.model_validate(self._json("GET", path, parameters=parameters))

    def _post(self, path: str, body: BaseModel | None, answer: type[Received]) -> Received:
        return answer.model_validate(self._json("POST", path, body=None if body is None else _body(body)))

    def _object(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return dict(self._json(method, path, body=body))

    def _json(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            response = self._patience.send(
                lambda: self._http.request(method, path, json=body, params=parameters, headers=headers)
            )
        except httpx.TransportError as error:
            raise ServiceGone(self.url, type(error).__name__) from error
        if response.is_error:
            raise _read_error(response)
        return response.json()


def _body(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)


def _for_whom(person: str | None) -> dict[str, str]:
    """The header that names a person; what a header cannot hold is left out."""
    named = (person or "").encode("ascii", "ignore").decode().strip()
    return {"On-Behalf-Of": named} if named else {}


def _segment(name: str) -> str:
    """An id as one path segment, whatever was typed."""
    return quote(name, safe="") or "-"


def _read_error(response: httpx.Response) -> ContractError:
    try:
        document = response.json()
    except ValueError:
        document = None
    return read_problem(response.status_code, document)
