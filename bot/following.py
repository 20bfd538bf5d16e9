"""Jobs followed to their end, each told by the message that its plan was."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import Any

from bot.cards.job import make_job_card, summarise_job
from bot.editor import EDIT_SECONDS, Editor
from bot.follows import Followed, Follows
from bot.messages import Card, Messages, Sleep
from bot.policy import Policy
from bot.progress import Progress, add_event
from bot.service import Service
from planner.contract.answers import JobRecord
from planner.contract.errors import ContractError

log = logging.getLogger("bitwright.bot")

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
GONE = (401, 502, 503, 504)
"""Answers that may be another tomorrow; 401 while a service starts again and has not said its new token yet."""


@dataclass(kw_only=True)
class Following:
    """The jobs that are being followed, one task each."""

    service: Service
    messages: Messages
    follows: Follows
    policy: Policy
    pause_seconds: float = EDIT_SECONDS
    sleep: Sleep = asyncio.sleep
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def resume(self) -> None:
        """Take up what a bot that ended left behind."""
        for followed in self.follows.list_followed():
            self._start(followed)

    def start(self, followed: Followed) -> None:
        """Follow a job, unless it is being followed."""
        if followed.job.job_id not in self._tasks:
            self.follows.add(followed)
            self._start(followed)

    async def stop(self) -> None:
        """Let go of all; the file remembers them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, followed: Followed) -> None:
        task = asyncio.create_task(self._follow(followed))
        self._tasks[followed.job.job_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(followed.job.job_id, None))

    async def _follow(self, followed: Followed) -> None:
        try:
            await self._tell(followed)
        except ContractError as error:
            log.warning("job %s is not followed any more: %s", followed.job.job_id, error.message)
        except Exception:
            # Forgotten, or it would fail in the same way at every start.
            log.exception("job %s is not followed any more", followed.job.job_id)
        self.follows.remove(followed)

    async def _tell(self, followed: Followed) -> None:
        job_id = followed.job.job_id
        decision = await self._insist(self.service.show_decision, followed.job.decision_id)
        job: JobRecord = await self._insist(self.service.find_job, job_id)
        progress = Progress()
        async with Editor(
            self.messages,
            followed.channel,
            followed.timestamp,
            pause_seconds=self.pause_seconds,
            sleep=self.sleep,
        ) as editor:
            wait = FIRST_WAIT_SECONDS
            while not progress.is_over:
                try:
                    async for event in self.service.follow_job(job_id, progress.sequence):
                        progress, wait = add_event(progress, event), FIRST_WAIT_SECONDS
                        if not progress.is_over and not _is_history(progress, job):
                            editor.offer(self._draw(decision, job, progress, followed))
                except ContractError as error:
                    if error.status not in GONE:
                        raise
                    progress = replace(progress, is_silent=True)
                    editor.offer(self._draw(decision, job, progress, followed))
                if not progress.is_over:
                    await self.sleep(wait)
                    wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            # Measurements and the artifact's folder are known only now.
            decision = await self._insist(self.service.show_decision, followed.job.decision_id)
            job = await self._insist(self.service.find_job, job_id)
            editor.offer(self._draw(decision, job, progress, followed))

    async def _insist(self, ask: Any, name: str) -> Any:
        """What the service answers, however long it is gone."""
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return await ask(name)
            except ContractError as error:
                if error.status not in GONE:
                    raise
            await self.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)

    def _draw(self, decision: Any, job: JobRecord, progress: Progress, followed: Followed) -> Card:
        blocks = make_job_card(decision, job, progress, followed.job, approvers=self.policy.approvers)
        return Card(blocks, summarise_job(decision, job, progress))


def _is_history(progress: Progress, job: JobRecord) -> bool:
    """Whether the job had been approved when it was looked at: nobody is asked again."""
    return progress.state == "submitted" != job.state
