"""From a backend's stage events to what people see: how long the stage still takes, and not too often."""

import time
from collections.abc import Callable

from executors.process import Event

PROGRESS_SECONDS = 0.2


class Teller:
    """Hands events on, with the seconds a stage has left by its own pace, five times a second at most."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._stage = ""
        self._started = self._told = 0.0
        self._first_done = 0

    def __call__(self, event: Event) -> None:
        """Hand one event on, or drop it where the next will say more."""
        if event["event"] != "stage":
            self._on_event(event)
            return
        now, done, total = time.monotonic(), int(event["done"]), int(event["total"])
        is_first = event["stage"] != self._stage
        if is_first:
            self._stage, self._started, self._first_done = str(event["stage"]), now, done
        if is_first or done >= total or now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._on_event({"seconds_left": self._seconds_left(now, done, total), **event})

    def _seconds_left(self, now: float, done: int, total: int) -> float | None:
        if done >= total:
            return 0.0
        covered = done - self._first_done
        return round((now - self._started) / covered * (total - done), 1) if covered > 0 else None
