"""Plans that end at about the same time are recorded together.

DuckDB keeps four decisions in two thirds more time than it takes for one. A plan that is ready waits for others that
are being worked out, until there are a few, none is left, or it has waited long enough; a plan alone does not wait.
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
FEW = 3
"""Decisions that are worth a statement: with more the first of them waits longer than the others gain."""
LONGEST_WAIT_SECONDS = 0.02
TICK_SECONDS = 0.001


@dataclass(slots=True)
class Ready:
    """A plan that waits to be recorded."""

    draft: Draft
    recorded: asyncio.Future[Decision]
    due: float
    """The loop's time from which it waits for no other."""


class Recorder:
    """Works plans out in threads and records them."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._planners = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="plan")
        self._clerk = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._ready: list[Ready] = []
        self._coming = 0
        self._writing: asyncio.Task[None] | None = None

    async def plan(self, draft: Callable[[], Draft]) -> Decision:
        """Work out one plan and record it."""
        loop = asyncio.get_running_loop()
        self._coming += 1
        try:
            worked_out = await loop.run_in_executor(self._planners, draft)
            ready = Ready(worked_out, loop.create_future(), loop.time() + LONGEST_WAIT_SECONDS)
            self._ready.append(ready)
        finally:
            self._coming -= 1
            self._look()
        timer = loop.call_at(ready.due, self._look)
        try:
            return await ready.recorded
        finally:
            timer.cancel()

    def _look(self) -> None:
        """Record what is ready, if it is time."""
        if not self._ready or self._writing is not None:
            return
        # A timer may come a little early: uvloop's clock has whole milliseconds.
        is_due = self._ready[0].due - asyncio.get_running_loop().time() < TICK_SECONDS
        if is_due or len(self._ready) >= FEW or not self._coming:
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
