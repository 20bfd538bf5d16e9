"""From a wish to a finished job: plan, submit, approve, have it run by an executor of our own, and follow it."""

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from planner.cli.door import Door
from planner.cli.following import FINAL_STATES, follow_job
from planner.cli.home_service import HomeService
from planner.cli.processes import bitwright, end_process, started, undisturbed
from planner.cli.progress import make_progress
from planner.cli.wrapping import print_wrapped
from planner.domain.errors import BitwrightError, JobFailed, MachineRefused, Unreachable
from planner.settings import Settings

MACHINE_CODES = ("preflight.", "host.", "environment.disk_full")
"""Beginnings of the codes with which this machine, not the work, refused a job."""
LABEL, NOTE = 12, 6
"""Columns of `making it` and of `note:`, under which what follows wraps."""
REVIVALS = 3
"""How often a service that goes away during one job is opened again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command was asked to do."""

    ask: Mapping[str, Any]
    calibration_file: Path | None
    artifacts: Path | None
    is_approved: bool
    show_plan: Callable[[Mapping[str, Any]], None]


def run_quantize(
    settings: Settings, service: HomeService, door: Door, wish: Wish, console: Console
) -> tuple[dict[str, Any], dict[str, Any]]:
    """From a wish to a completed job and its decision with measurements; the job is empty when nothing fits.

    Raises:
        MachineRefused, JobFailed: the job ended without an artifact, with the executor's code and sentence.
    """
    from planner.cli.demo_model import ensure_demo_model

    ensure_demo_model(settings, door, wish.ask, console)
    decision = door.plan(wish.ask)
    wish.show_plan(decision)
    if decision["chosen"] is None:
        return decision, {}
    calibration = None if wish.calibration_file is None else str(wish.calibration_file)
    if calibration and not decision["chosen"]["job"]["calibration_samples"]:
        scheme, method = decision["chosen"]["scheme"], decision["chosen"]["method"]
        print_wrapped(
            console, Text(f"note: {scheme} by {method} looks at no text; {calibration} is not used"), NOTE
        )
    with ExitStack() as ending:
        with undisturbed():
            job = _submit(service, door, decision["decision_id"], calibration)
            ending.callback(_cancel_unfinished, door, job["job_id"])
        job = _run_job(settings, service, door, wish, job, console)
    if job["state"] != "completed":
        raise explain_end(job)
    return door.show_decision(decision["decision_id"]), job


def _submit(service: HomeService, door: Door, decision_id: str, calibration: str | None) -> dict[str, Any]:
    """Submit once; a service that went away before its answer came is opened again, and knows the submission."""
    try:
        return door.submit_job(decision_id, {}, calibration)
    except Unreachable:
        service.revive()
        return door.submit_job(decision_id, {}, calibration)


def explain_end(job: Mapping[str, Any]) -> BitwrightError:
    """Why a job that is over has no artifact: this machine refused it, or it failed."""
    error = job["error"] or {
        "code": "job.cancelled",
        "message": f"Job {job['job_id']} was cancelled. Nothing was published.",
    }
    kind = MachineRefused if error["code"].startswith(MACHINE_CODES) else JobFailed
    return kind(error["code"], error["message"])


def executor_command(url: str, job_id: str, artifacts: Path | None) -> list[str]:
    """An executor for one job; its token travels in the environment."""
    where = [] if artifacts is None else ["--artifacts", str(artifacts)]
    return bitwright("executor", "--server", url, "--once", job_id, "--parent-pid", str(os.getpid()), *where)


def _run_job(
    settings: Settings,
    service: HomeService,
    door: Door,
    wish: Wish,
    job: dict[str, Any],
    console: Console,
) -> dict[str, Any]:
    """Have a submitted job approved and run by an executor of our own; the job when it is over."""
    job_id = job["job_id"]
    if job["wanted_host"] is not None:
        return _wait_for_host(service, door, wish, job, console)
    with ExitStack() as ending:
        # Last in, first out: the job is cancelled before its executor is ended (and, where none came to be, later).
        executor = ending.enter_context(
            started(
                executor_command(service.server.url, job_id, wish.artifacts),
                settings.home / "logs" / "executor.log",
                environment={"BITWRIGHT_TOKEN": service.server.token},
            )
        )
        ending.callback(_cancel_unfinished, door, job_id)
        _have_approved(service, door, wish, job_id)
        print_wrapped(console, Text(f"making it   job {job_id} on {platform.node()}"), LABEL)
        job = _follow_to_end(service, door, job_id, executor, console)
        if job["state"] == "completed":
            end_process(executor)
    return job


def _wait_for_host(
    service: HomeService, door: Door, wish: Wish, job: Mapping[str, Any], console: Console
) -> dict[str, Any]:
    """Have a job approved that was planned for a host by name: its own executor runs it, not one of ours."""
    job_id = job["job_id"]
    _have_approved(service, door, wish, job_id)
    print_wrapped(console, Text(f"making it   job {job_id} on {job['wanted_host']}"), LABEL)
    return _follow_to_end(service, door, job_id, None, console)


def _have_approved(service: HomeService, door: Door, wish: Wish, job_id: str) -> None:
    """Approve a job, asking first where nobody did; a service that went away meanwhile is opened again."""
    if not wish.is_approved:
        click.confirm("Make it?", default=True, abort=True)
    try:
        door.approve_job(job_id)
    except Unreachable:
        service.revive()
        if door.find_job(job_id)["state"] == "submitted":
            door.approve_job(job_id)


def _follow_to_end(
    service: HomeService,
    door: Door,
    job_id: str,
    executor: subprocess.Popen[bytes] | None,
    console: Console,
) -> dict[str, Any]:
    """Tell each event once until the job is over; the job. A service that went away is opened again."""
    told = 0
    with make_progress(console) as progress:
        for revivals_left in reversed(range(REVIVALS + 1)):
            try:
                for event in islice(follow_job(door, job_id, executor), told, None):
                    told += 1
                    progress.tell(event)
                job = door.find_job(job_id)
                if job["state"] in FINAL_STATES:
                    return job
            except Unreachable:
                if not revivals_left:
                    raise
            service.revive()
    raise JobFailed("job.not_followed", f"The service ended job {job_id}'s events early, again and again.")


def _cancel_unfinished(door: Door, job_id: str) -> None:
    """On the way out by Ctrl-C or an error: nothing goes on behind the command's back."""
    try:
        if door.find_job(job_id)["state"] not in FINAL_STATES:
            door.cancel_job(job_id)
            click.echo(f"stopping job {job_id}; nothing will be published", err=True)
    except BitwrightError:
        return  # the service is gone; the executor is ended all the same
