"""The client for an event loop: `Client`'s methods, awaited.

A call that is cancelled takes its connection with it, so that the service hears that nobody waits any more.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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

AnswerT = TypeVar("AnswerT")
Row = TypeVar("Row")


class AsyncClient:
    """A connection to one service, which the tasks of one event loop may share. Each method does as `Client`'s."""

    def __init__(self, url: str, token: Token, *, patience: Patience | None = None) -> None:
        self.url = check_address(url)
        self._patience = patience or Patience()
        self._http = httpx.AsyncClient(**describe_connection(self.url, token))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def send(self, call: Call[AnswerT]) -> AnswerT:
        """The answer to a call, asked for again where that can help."""
        return read_answer(call, await self._ask(call), self.url)

    async def check_health(self) -> Health:
        return await self.send(calls.check_health())

    async def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        return await self.send(calls.plan(ask))

    async def plan_batch(
        self, asks: Sequence[Mapping[str, Any]], *, record: bool = False
    ) -> list[dict[str, Any]]:
        return await self.send(calls.plan_batch(asks, record=record))

    async def list_decisions(self, row_limit: int = 20, cursor: str | None = None) -> Page[DecisionSummary]:
        return await self.send(calls.list_decisions(row_limit, cursor))

    def iterate_decisions(self, page_rows: int = PAGE_ROWS) -> AsyncIterator[DecisionSummary]:
        return self._iterate(calls.list_decisions, page_rows)

    async def show_decision(self, decision_id: str) -> dict[str, Any]:
        return await self.send(calls.show_decision(decision_id))

    async def replay_decision(self, decision_id: str) -> dict[str, Any]:
        return await self.send(calls.replay_decision(decision_id))

    async def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return await self.send(calls.estimate(fields))

    async def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return await self.send(calls.predict_evidence(fields))

    async def list_evidence(
        self, filters: Mapping[str, str | None], row_limit: int = 20, cursor: str | None = None
    ) -> Page[dict[str, Any]]:
        return await self.send(calls.list_evidence(filters, row_limit, cursor))

    def iterate_evidence(
        self, filters: Mapping[str, str | None], page_rows: int = PAGE_ROWS
    ) -> AsyncIterator[dict[str, Any]]:
        return self._iterate(partial(calls.list_evidence, filters), page_rows)

    async def list_sources(self) -> list[dict[str, Any]]:
        return await self.send(calls.list_sources())

    async def submit_job(
        self, submission: JobSubmission, idempotency_key: str | None = None, *, person: str | None = None
    ) -> JobRecord:
        return await self.send(calls.submit_job(submission, idempotency_key, person=person))

    async def list_jobs(
        self, decision_id: str | None = None, row_limit: int = 20, cursor: str | None = None
    ) -> Page[JobRecord]:
        return await self.send(calls.list_jobs(decision_id, row_limit, cursor))

    def iterate_jobs(
        self, decision_id: str | None = None, page_rows: int = PAGE_ROWS
    ) -> AsyncIterator[JobRecord]:
        return self._iterate(partial(calls.list_jobs, decision_id), page_rows)

    async def find_job(self, job_id: str) -> JobRecord:
        return await self.send(calls.find_job(job_id))

    async def approve_job(self, job_id: str, *, person: str | None = None) -> JobRecord:
        return await self.send(calls.approve_job(job_id, person=person))

    async def cancel_job(self, job_id: str) -> JobRecord:
        return await self.send(calls.cancel_job(job_id))

    async def retry_job(self, job_id: str) -> JobRecord:
        return await self.send(calls.retry_job(job_id))

    async def follow_job(self, job_id: str, after: int = 0) -> AsyncGenerator[JobEvent, None]:
        """As `Client.follow_job`; who leaves early frees the connection at once with `contextlib.aclosing`."""
        was_over = is_over = False
        while not is_over:
            try:
                async with self._listen(job_id, after) as lines:
                    reader = EventReader()
                    async for line in lines:
                        if event := reader.feed(line):
                            after, is_over = event.sequence, event.ends_job
                            yield event
            except httpx.TransportError:
                await self._patience.sleep_on_loop(AGAIN_SECONDS)
            else:
                # As in Client: a stream in good order may end before its job does.
                is_over = is_over or was_over
                was_over = is_over or (await self.find_job(job_id)).is_over
                if not was_over:
                    await self._patience.sleep_on_loop(AGAIN_SECONDS)

    async def claim_job(self, host: str, job_id: str | None = None, wait_seconds: float = 0.0) -> Claim:
        return await self.send(calls.claim_job(host, job_id, wait_seconds))

    async def report_events(self, claim_id: str, events: Sequence[Mapping[str, Any]]) -> ClaimState:
        return await self.send(calls.report_events(claim_id, events))

    async def renew_claim(self, claim_id: str) -> ClaimState:
        return await self.send(calls.renew_claim(claim_id))

    async def complete_job(self, claim_id: str, report: JobReport) -> ClaimState:
        return await self.send(calls.complete_job(claim_id, report))

    async def fail_job(self, claim_id: str, failure: JobFailure) -> ClaimState:
        return await self.send(calls.fail_job(claim_id, failure))

    async def register_host(self, report: HostReport) -> HostRecord:
        return await self.send(calls.register_host(report))

    async def send_heartbeat(self, report: HostReport) -> HostRecord:
        return await self.send(calls.send_heartbeat(report))

    async def list_hosts(self) -> list[HostRecord]:
        return await self.send(calls.list_hosts())

    async def list_devices(self) -> list[dict[str, Any]]:
        return await self.send(calls.list_devices())

    async def create_token(self, ask: TokenAsk) -> NewToken:
        return await self.send(calls.create_token(ask))

    async def list_tokens(self) -> list[TokenRecord]:
        return await self.send(calls.list_tokens())

    async def revoke_token(self, name: str) -> TokenRecord:
        return await self.send(calls.revoke_token(name))

    async def audit(self, sql: str) -> AuditAnswer:
        return await self.send(calls.audit(sql))

    async def _iterate(
        self, list_rows: Callable[[int, str | None], Call[Page[Row]]], page_rows: int
    ) -> AsyncIterator[Row]:
        cursor: str | None = None
        while True:
            page = await self.send(list_rows(page_rows, cursor))
            for row in page:
                yield row
            if (cursor := page.next_cursor) is None:
                return

    @asynccontextmanager
    async def _listen(self, job_id: str, after: int) -> AsyncIterator[AsyncIterator[str]]:
        response = await self._ask(calls.follow_job(job_id, after), stream=True)
        try:
            if response.is_error:
                await response.aread()
                check_answer(response, self.url)
            yield response.aiter_lines()
        finally:
            await response.aclose()

    async def _ask(self, call: Call[Any], *, stream: bool = False) -> httpx.Response:
        async def ask() -> httpx.Response:
            return await self._http.send(self._http.build_request(**describe_request(call)), stream=stream)

        try:
            return await self._patience.send_on_loop(ask)
        except httpx.TransportError as error:
            raise ServiceGone(self.url, type(error).__name__) from error
