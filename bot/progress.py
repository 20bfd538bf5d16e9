"""A job's events folded into what its message says: states, stages, warnings, the end.

● environment ready → ● converted → ◐ quantize 31 of 80 layers, 17 min left → ○ check → ○ publish
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.figures import format_duration
from planner.contract.answers import FINAL_STATES, JobEvent, JobRecord

Event = Mapping[str, Any]

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
"""Stage → what is to be done, what was done: the terminal's words."""
ALWAYS_AHEAD = ("quantize", "evaluate", "publish")
MOST_WARNINGS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a job stands."""

    state: str = "submitted"
    host: str | None = None
    stages: tuple[Event, ...] = ()
    """The latest event of each stage, in the order that stages were last heard of."""
    warnings: tuple[str, ...] = ()
    error: Event | None = None
    sequence: int = 0
    """Of the last event that is in here."""
    is_silent: bool = False
    """Whether the service stopped answering since."""

    @property
    def is_over(self) -> bool:
        """Whether the job has come to its end, good or bad."""
        return self.state in FINAL_STATES


def start_progress(job: JobRecord) -> Progress:
    """Where a job stands before any of its events was heard."""
    return Progress(state=job.state, host=job.host, error=job.error)


def add_event(progress: Progress, told: JobEvent) -> Progress:
    """The progress after one more event; kinds that nobody knows yet change nothing."""
    progress = replace(progress, sequence=told.sequence, is_silent=False)
    event = told.event
    if event.get("event") == "state":
        return _move(progress, event)
    if event.get("event") == "stage":
        others = [stage for stage in progress.stages if stage["stage"] != event["stage"]]
        return replace(progress, stages=(*others, event))
    if event.get("event") == "warning":
        warnings = (*progress.warnings, str(event.get("message", "")))
        return replace(progress, warnings=warnings[-MOST_WARNINGS:])
    return progress


def draw_progress(progress: Progress) -> str:
    """All stages in one line: done, under way with its count and time left, ahead."""
    parts = []
    for place, stage in enumerate(progress.stages):
        is_last = place == len(progress.stages) - 1
        if is_last and stage["done"] < stage["total"]:
            parts.append(f"◐ {_describe_stage(stage)}")
        else:
            parts.append(f"● {STAGES.get(stage['stage'], ('', stage['stage']))[1]}")
    heard = {stage["stage"] for stage in progress.stages}
    parts += [f"○ {STAGES[stage][0]}" for stage in ALWAYS_AHEAD if stage not in heard]
    return " → ".join(parts)


def _move(progress: Progress, event: Event) -> Progress:
    state = str(event["state"])
    # A job that goes back to the queue begins again elsewhere.
    stages = () if state == "approved" else progress.stages
    host = event.get("host") or (None if state == "approved" else progress.host)
    return replace(progress, state=state, host=host, stages=stages, error=event.get("error"))


def _describe_stage(event: Event) -> str:
    word = STAGES.get(event["stage"], (event["stage"], ""))[0]
    count = f" {event['done']} of {event['total']} {event.get('unit', '')}".rstrip()
    left = event.get("seconds_left")
    return f"{word}{count if event['total'] > 1 else ''}" + (
        f", {format_duration(left)} left" if left else ""
    )
