"""Bitwright's service as the bot asks it: the contract's client, found again where the service started anew.

What was asked of a service that has moved is asked again once: nothing that it refused was done.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

from bot.address import Address
from bot.failures import Refused
from planner.contract.answers import JobEvent, JobRecord
from planner.contract.client import AsyncClient
from planner.contract.errors import ContractError
from planner.contract.requests import CandidateChoice, JobSubmission
from planner.contract.retries import Patience

log = logging.getLogger("bitwright.bot")

MOVED = frozenset({"token.unknown", "service.unreachable"})
"""What a client hears when the service it knew is another now."""

Answered = TypeVar("Answered")


class Service:
    """What the bot asks of the service. Every method raises ContractError for a refusal."""

    def __init__(self, find: Callable[[], Address], patience: Patience | None = None) -> None:
        self._find = find
        self._patience = patience or Patience()
        self._address = find()
        self._clients = [self._open()]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.close()

    async def plan(self, sentence: str) -> dict[str, Any]:
        """A recorded decision."""
        return await self._ask(lambda client: client.plan({"ask": sentence}))

    async def show_decision(self, decision_id: str) -> dict[str, Any]:
        """One decision with its jobs and measurements."""
        return await self._ask(lambda client: client.show_decision(decision_id))

    async def submit_job(self, decision_id: str, choice: CandidateChoice, key: str, person: str) -> JobRecord:
        """A job of a decision, asked for by a person; the same key makes no second one."""
        submission = JobSubmission(decision_id=decision_id, choice=choice)
        return await self._ask(lambda client: client.submit_job(submission, key, person=person))

    async def find_job(self, job_id: str) -> JobRecord:
        """One job."""
        return await self._ask(lambda client: client.find_job(job_id))

    async def approve_job(self, job_id: str, person: str) -> JobRecord:
        """Let executors have it, as a person allowed."""
        return await self._ask(lambda client: client.approve_job(job_id, person=person))

    async def cancel_job(self, job_id: str) -> JobRecord:
        """Stop it."""
        return await self._ask(lambda client: client.cancel_job(job_id))

    async def follow_job(self, job_id: str, after: int) -> AsyncIterator[JobEvent]:
        """Events after number `after`, until the job is over."""
        client = self._clients[-1]
        try:
            async with aclosing(client.follow_job(job_id, after)) as events:
                async for event in events:
                    yield event
        except ContractError as error:
            self._has_moved(client, error)
            raise

    async def _ask(self, act: Callable[[AsyncClient], Awaitable[Answered]]) -> Answered:
        client = self._clients[-1]
        try:
            return await act(client)
        except ContractError as error:
            if not self._has_moved(client, error):
                raise
            return await act(self._clients[-1])

    def _has_moved(self, client: AsyncClient, error: ContractError) -> bool:
        """Whether the service is found elsewhere, or with another token, than this client knew."""
        if error.code not in MOVED:
            return False
        if client is not self._clients[-1]:
            return True
        try:
            address = self._find()
        except Refused:
            return False
        if address == self._address:
            return False
        log.info("the service started anew at %s", address.url)
        self._address = address
        self._clients.append(self._open())
        return True

    def _open(self) -> AsyncClient:
        return AsyncClient(self._address.url, self._address.token, patience=self._patience)
