"""Bitwright's service from an event loop: the contract's typed client, each call off the loop."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from planner.contract.answers import JobEvent, JobRecord
from planner.contract.client import Client
from planner.contract.requests import CandidateChoice, JobSubmission


class Service:
    """What the bot asks of the service. Every method raises ContractError for a refusal."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def plan(self, sentence: str) -> dict[str, Any]:
        """A recorded decision."""
        return await asyncio.to_thread(self._client.plan, {"ask": sentence})

    async def show_decision(self, decision_id: str) -> dict[str, Any]:
        """One decision with its jobs and measurements."""
        return await asyncio.to_thread(self._client.show_decision, decision_id)

    async def submit_job(self, decision_id: str, choice: CandidateChoice, key: str) -> JobRecord:
        """A job of a decision; the same key makes no second one."""
        submission = JobSubmission(decision_id=decision_id, choice=choice)
        return await asyncio.to_thread(self._client.submit_job, submission, key)

    async def find_job(self, job_id: str) -> JobRecord:
        """One job."""
        return await asyncio.to_thread(self._client.find_job, job_id)

    async def approve_job(self, job_id: str) -> JobRecord:
        """Let executors have it."""
        return await asyncio.to_thread(self._client.approve_job, job_id)

    async def cancel_job(self, job_id: str) -> JobRecord:
        """Stop it."""
        return await asyncio.to_thread(self._client.cancel_job, job_id)

    async def follow_job(self, job_id: str, after: int) -> AsyncIterator[JobEvent]:
        """Events after number `after`, until the stream ends."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[JobEvent | Exception | None] = asyncio.Queue()

        def tell(item: JobEvent | Exception | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(heard.put_nowait, item)

        def listen() -> None:
            try:
                for event in self._client.follow_job(job_id, after):
                    tell(event)
            except Exception as error:  # noqa: BLE001 - raised again on the loop
                tell(error)
            else:
                tell(None)

        # A daemon of its own: a stream may be silent for hours, and must not hold up the bot's end.
        threading.Thread(target=listen, name=f"follow {job_id}", daemon=True).start()
        while (item := await heard.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
