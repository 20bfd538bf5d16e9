"""Plans that end while others are being recorded are recorded together.

One statement of DuckDB's at a time; what becomes ready meanwhile goes with the next one. Four decisions take it two
thirds more time than one.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from planner.domain.record.decision import Decision, Draft
from planner.usecases.plan_model import record_plans
from planner.usecases.workshop import Workshop

AT_ONCE = 16
"""Plans that may wait for a process that decides, so that each finds some of its own models among them."""


@dataclass(slots=True)
class Ready:
    """A plan that waits to be recorded."""

    draft: Draft
    recorded: asyncio.Future[Decision]


class Recorder:
    """Works plans out in threads and records them."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._planners = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="plan")
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._ready: list[Ready] = []
        self._writing: asyncio.Task[None] | None = None

    async def plan(self, draft: Callable[[], Draft]) -> Decision:
        """Work out one plan and record it."""
        loop = asyncio.get_running_loop()
        worked_out = await loop.run_in_executor(self._planners, draft)
        ready = Ready(worked_out, loop.create_future())
        self._ready.append(ready)
        self._look()
        return await ready.recorded

    def _look(self) -> None:
        """Record what is ready, unless others are just being recorded."""
        if self._ready and self._writing is None:
            batch, self._ready = self._ready, []
            self._writing = asyncio.create_task(self._record(batch))

    async def _record(self, batch: list[Ready]) -> None:
        try:
            drafts = [ready.draft for ready in batch]
            loop = asyncio.get_running_loop()
            decisions = await loop.run_in_executor(self._clerk, record_plans, self._workshop, drafts)
        except Exception as error:  # noqa: BLE001 - told to everyone who waits
            for ready in batch:
                if not ready.recorded.done():
                    ready.recorded.set_exception(error)
        else:
            for ready, decision in zip(batch, decisions, strict=True):
                if not ready.recorded.done():
                    ready.recorded.set_result(decision)
        finally:
            self._writing = None
            self._look()
