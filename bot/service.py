"""Bitwright's service from an event loop: the contract's typed client, each call off the loop.

A service that started anew is found again, and asked again once: nothing that it refused was done.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from bot.address import Address
from bot.failures import Refused
from planner.contract.answers import JobEvent, JobRecord
from planner.contract.client import Client
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
        self._lock = threading.Lock()
        self._address = find()
        self._clients = [self._open()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()

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
        """Events after number `after`, until the stream ends."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[JobEvent | Exception | None] = asyncio.Queue()

        def tell(item: JobEvent | Exception | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(heard.put_nowait, item)

        def listen() -> None:
            client = self._clients[-1]
            try:
                for event in client.follow_job(job_id, after):
                    tell(event)
            except Exception as error:  # noqa: BLE001 - raised again on the loop
                self._has_moved(client, error)
                tell(error)
            else:
                tell(None)

        # A daemon of its own: a stream may be silent for hours, and must not hold up the bot's end.
        threading.Thread(target=listen, name=f"follow {job_id}", daemon=True).start()
        while (item := await heard.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    async def _ask(self, act: Callable[[Client], Answered]) -> Answered:
        def ask() -> Answered:
            client = self._clients[-1]
            try:
                return act(client)
            except ContractError as error:
                if not self._has_moved(client, error):
                    raise
                return act(self._clients[-1])

        return await asyncio.to_thread(ask)

    def _has_moved(self, client: Client, error: Exception) -> bool:
        """Whether the service is found elsewhere, or with another token, than this client knew."""
        if not isinstance(error, ContractError) or error.code not in MOVED:
            return False
        with self._lock:
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

    def _open(self) -> Client:
        return Client(self._address.url, self._address.token, patience=self._patience)
