"""A job's progress as people see it: one line that moves on a terminal, a few plain lines in a pipe.

● environment ready → ● converted → ◐ layer 31 of 80, 17 min left → ○ check
"""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from planner.domain.units import format_seconds

STAGES: Mapping[str, tuple[str, str]] = {
    "environment": ("environment", "environment ready"),
    "load": ("load", "loaded"),
    "convert": ("convert", "converted"),
    "calibrate": ("calibrate", "calibrated"),
    "quantize": ("quantize", "quantized"),
    "save": ("save", "saved"),
    "evaluate": ("check", "checked"),
    "publish": ("publish", "published"),
}
"""Stage → what is to be done, what was done; in the order jobs go through them."""
ALWAYS_AHEAD = ("quantize", "evaluate", "publish")
"""Stages that every job still has to go through until they have begun."""
PLAIN_SECONDS = 5.0

Event = Mapping[str, Any]


class Progress(Protocol):
    """Shows events as they come."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state standing."""
        ...

    def tell(self, event: Event) -> None:
        """Show one event."""
        ...


def make_progress(console: Console, ahead: tuple[str, ...] = ALWAYS_AHEAD) -> Progress:
    """One moving line on a terminal, plain lines elsewhere."""
    return LiveProgress(console, ahead) if console.is_terminal else PlainProgress(console)


class LiveProgress:
    """All stages in one line: done, under way with its count and time left, ahead."""

    def __init__(self, console: Console, ahead: tuple[str, ...]) -> None:
        self._console = console
        self._ahead = ahead
        self._latest: dict[str, Event] = {}
        self._live = Live(Text(""), console=console, refresh_per_second=5)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def tell(self, event: Event) -> None:
        """Redraw."""
        if event.get("event") == "warning":
            self._console.print(Text(f"note: {event['message']}", style="yellow"))
        if event.get("event") == "stage":
            self._latest.pop(event["stage"], None)
            self._latest[event["stage"]] = event
            self._live.update(draw_stages(list(self._latest.values()), self._ahead))


def draw_stages(latest: list[Event], ahead: tuple[str, ...]) -> Text:
    """The stages in one line; the last told is under way unless it is complete, those before it are done."""
    line = Text()
    for index, event in enumerate(latest):
        is_last = index == len(latest) - 1
        if is_last and event["done"] < event["total"]:
            line.append("◐ ", style="yellow").append(describe_stage(event), style="bold")
        else:
            line.append("● ", style="green").append(STAGES.get(event["stage"], ("", event["stage"]))[1])
        line.append(" → ", style="dim")
    for stage in ahead:
        if stage not in {event["stage"] for event in latest}:
            line.append(f"○ {STAGES[stage][0]}", style="dim").append(" → ", style="dim")
    line.right_crop(3)
    return line


def describe_stage(event: Event) -> str:
    """One stage under way: `quantize 31 of 80 layers, 17 min left`."""
    word = STAGES.get(event["stage"], (event["stage"], ""))[0]
    count = f" {event['done']} of {event['total']} {event.get('unit', '')}".rstrip()
    left = event.get("seconds_left")
    time_left = f", {format_seconds(left)} left" if left else ""
    return f"{word}{count if event['total'] > 1 else ''}{time_left}"


class PlainProgress:
    """A line when a stage begins and when it ends, and one every few seconds in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage = ""
        self._told = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace

    def tell(self, event: Event) -> None:
        """Print, unless the stage had its line a moment ago."""
        if event.get("event") == "warning":
            self._print(f"note: {event['message']}")
        if event.get("event") != "stage":
            return
        is_new, is_done = event["stage"] != self._stage, event["done"] >= event["total"]
        if is_done and (is_new or self._told):
            self._print(STAGES.get(event["stage"], ("", event["stage"]))[1])
            self._told = 0.0
        elif is_new or (self._told and time.monotonic() - self._told >= PLAIN_SECONDS):
            self._print(f"{describe_stage(event)} …")
            self._told = time.monotonic()
        self._stage = event["stage"]

    def _print(self, line: str) -> None:
        self._console.print(f"  {line}", soft_wrap=True, markup=False)
