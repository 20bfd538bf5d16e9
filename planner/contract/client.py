"""The typed clients of the service: one method a route. Executors, the bot and the command line use nothing else.

`Client` waits for its answers, `AsyncClient` is awaited; what is sent and how the answer reads stands once, in
`calls.py`. Every method raises ContractError for a refusal and ServiceGone when nothing answers for
`patience.seconds`; both are safe to repeat (see `calls.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from planner.contract import calls
from planner.contract.answers import (
    AuditAnswer,
    Claim,
    ClaimState,
    DecisionSummary,
    Health,
    HostRecord,
    JobEvent,
    JobRecord,
    NewToken,
    TokenRecord,
)
from planner.contract.async_client import AsyncClient
from planner.contract.calls import Call
from planner.contract.connection import (
    Token,
    check_address,
    check_answer,
    describe_connection,
    describe_request,
    read_answer,
)
from planner.contract.errors import ServiceGone
from planner.contract.events import AGAIN_SECONDS, EventReader
from planner.contract.pages import PAGE_ROWS, Page
from planner.contract.requests import (
    HostReport,
    JobFailure,
    JobReport,
    JobSubmission,
    TokenAsk,
)
from planner.contract.retries import Patience

__all__ = ["AsyncClient", "Client"]

AnswerT = TypeVar("AnswerT")
Row = TypeVar("Row")


class Client:
    """A connection to one service, which threads may share."""

    def __init__(self, url: str, token: Token, *, patience: Patience | None = None) -> None:
        self.url = check_address(url)
        self._patience = patience or Patience()
        self._http = httpx.Client(**describe_connection(self.url, token))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def send(self, call: Call[AnswerT]) -> AnswerT:
        """The answer to a call, asked for again where that can help."""
        return read_answer(call, self._ask(call), self.url)

    def check_health(self) -> Health:
        """Whether the service lives and takes this token."""
        return self.send(calls.check_health())

    def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        """A recorded decision."""
        return self.send(calls.plan(ask))

    def plan_batch(self, asks: Sequence[Mapping[str, Any]], *, record: bool = False) -> list[dict[str, Any]]:
        """Decisions or `{"error": …}` objects, in order."""
        return self.send(calls.plan_batch(asks, record=record))

    def list_decisions(self, row_limit: int = 20, cursor: str | None = None) -> Page[DecisionSummary]:
        """Newest decisions in short, or those after a page's `next_cursor`."""
        return self.send(calls.list_decisions(row_limit, cursor))

    def iterate_decisions(self, page_rows: int = PAGE_ROWS) -> Iterator[DecisionSummary]:
        """All decisions, newest first, fetched as they are needed."""
        return self._iterate(calls.list_decisions, page_rows)

    def show_decision(self, decision_id: str) -> dict[str, Any]:
        """One decision with its jobs and measurements."""
        return self.send(calls.show_decision(decision_id))

    def replay_decision(self, decision_id: str) -> dict[str, Any]:
        """Compute it again and compare."""
        return self.send(calls.replay_decision(decision_id))

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Numbers and verdicts of one candidate."""
        return self.send(calls.estimate(fields))

    def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """What one benchmark loses."""
        return self.send(calls.predict_evidence(fields))

    def list_evidence(
        self, filters: Mapping[str, str | None], row_limit: int = 20, cursor: str | None = None
    ) -> Page[dict[str, Any]]:
        """Rows by subject, model, scheme and metric, newest first, or those after a page's `next_cursor`."""
        return self.send(calls.list_evidence(filters, row_limit, cursor))

    def iterate_evidence(
        self, filters: Mapping[str, str | None], page_rows: int = PAGE_ROWS
    ) -> Iterator[dict[str, Any]]:
        """All such rows, fetched as they are needed."""
        return self._iterate(partial(calls.list_evidence, filters), page_rows)

    def list_sources(self) -> list[dict[str, Any]]:
        """Sources with their number of rows."""
        return self.send(calls.list_sources())

    def submit_job(
        self, submission: JobSubmission, idempotency_key: str | None = None, *, person: str | None = None
    ) -> JobRecord:
        """Submit a job once, however often the request has to be sent; `person` is for whom it is done."""
        return self.send(calls.submit_job(submission, idempotency_key, person=person))

    def list_jobs(
        self, decision_id: str | None = None, row_limit: int = 20, cursor: str | None = None
    ) -> Page[JobRecord]:
        """Newest jobs, or those after a page's `next_cursor`."""
        return self.send(calls.list_jobs(decision_id, row_limit, cursor))

    def iterate_jobs(self, decision_id: str | None = None, page_rows: int = PAGE_ROWS) -> Iterator[JobRecord]:
        """All jobs, newest first, fetched as they are needed."""
        return self._iterate(partial(calls.list_jobs, decision_id), page_rows)

    def find_job(self, job_id: str) -> JobRecord:
        """One job."""
        return self.send(calls.find_job(job_id))

    def approve_job(self, job_id: str, *, person: str | None = None) -> JobRecord:
        """Let executors have it; `person` is who allowed it."""
        return self.send(calls.approve_job(job_id, person=person))

    def cancel_job(self, job_id: str) -> JobRecord:
        """Stop it, wherever it is."""
        return self.send(calls.cancel_job(job_id))

    def retry_job(self, job_id: str) -> JobRecord:
        """A new job that makes what this one did not."""
        return self.send(calls.retry_job(job_id))

    def follow_job(self, job_id: str, after: int = 0) -> Iterator[JobEvent]:
        """Events after number `after` until the job is over; a broken stream is taken up where it broke."""
        was_over = is_over = False
        while not is_over:
            try:
                with self._listen(job_id, after) as lines:
                    reader = EventReader()
                    for event in filter(None, map(reader.feed, lines)):
                        after, is_over = event.sequence, event.ends_job
                        yield event
            except httpx.TransportError:
                self._patience.sleep(AGAIN_SECONDS)
            else:
                # A service that stops ends its streams in good order. Of a job that was over before the stream
                # began, it told all.
                is_over = is_over or was_over
                was_over = is_over or self.find_job(job_id).is_over
                if not was_over:
                    self._patience.sleep(AGAIN_SECONDS)

    def claim_job(self, host: str, job_id: str | None = None, wait_seconds: float = 0.0) -> Claim:
        """Ask for work, waiting up to `wait_seconds` for some."""
        return self.send(calls.claim_job(host, job_id, wait_seconds))

    def report_events(self, claim_id: str, events: Sequence[Mapping[str, Any]]) -> ClaimState:
        """Append progress."""
        return self.send(calls.report_events(claim_id, events))

    def renew_claim(self, claim_id: str) -> ClaimState:
        """Keep the lease."""
        return self.send(calls.renew_claim(claim_id))

    def complete_job(self, claim_id: str, report: JobReport) -> ClaimState:
        """Hand in what was made and measured."""
        return self.send(calls.complete_job(claim_id, report))

    def fail_job(self, claim_id: str, failure: JobFailure) -> ClaimState:
        """Say why there is no artifact."""
        return self.send(calls.fail_job(claim_id, failure))

    def register_host(self, report: HostReport) -> HostRecord:
        """Say that a host is there."""
        return self.send(calls.register_host(report))

    def send_heartbeat(self, report: HostReport) -> HostRecord:
        """Say what a registered host has now."""
        return self.send(calls.send_heartbeat(report))

    def list_hosts(self) -> list[HostRecord]:
        """Every host that ever registered."""
        return self.send(calls.list_hosts())

    def list_devices(self) -> list[dict[str, Any]]:
        """Cards of all hosts that are there, each with its host and the age of what is known."""
        return self.send(calls.list_devices())

    def create_token(self, ask: TokenAsk) -> NewToken:
        """Make a token; its text comes back this once."""
        return self.send(calls.create_token(ask))

    def list_tokens(self) -> list[TokenRecord]:
        """Oldest first."""
        return self.send(calls.list_tokens())

    def revoke_token(self, name: str) -> TokenRecord:
        """End a token, by its name or id."""
        return self.send(calls.revoke_token(name))

    def audit(self, sql: str) -> AuditAnswer:
        """Columns and rows of one SELECT."""
        return self.send(calls.audit(sql))

    def _iterate(
        self, list_rows: Callable[[int, str | None], Call[Page[Row]]], page_rows: int
    ) -> Iterator[Row]:
        cursor: str | None = None
        while True:
            page = self.send(list_rows(page_rows, cursor))
            yield from page
            if (cursor := page.next_cursor) is None:
                return

    @contextmanager
    def _listen(self, job_id: str, after: int) -> Iterator[Iterator[str]]:
        response = self._ask(calls.follow_job(job_id, after), stream=True)
        try:
            if response.is_error:
                response.read()
                check_answer(response, self.url)
            yield response.iter_lines()
        finally:
            response.close()

    def _ask(self, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        def ask() -> httpx.Response:
            return self._http.send(self._http.build_request(**describe_request(call)), stream=stream)

        try:
            return self._patience.send(ask)
        except httpx.TransportError as error:
            raise ServiceGone(self.url, type(error).__name__) from error
