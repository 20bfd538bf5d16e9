"""`bitwright jobs`: what runs and ran; `watch`, `approve`, `cancel` and `retry` one."""

import json
from collections.abc import Mapping
from typing import Any

import click

from planner.cli.consoles import make_console
from planner.cli.door import Session, open_door
from planner.cli.saying import say
from planner.cli.tables import print_rows

OVER_BADLY = 6
LISTED = ("job_id", "state", "what", "model", "decision_id", "host", "updated_at")


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def jobs(context: click.Context, limit: int, as_json: bool) -> int:
    """List jobs, newest first."""
    if context.invoked_subcommand is not None:
        return 0
    session: Session = context.obj
    with open_door(session) as door:
        found = door.list_jobs(limit)
    if as_json:
        click.echo(json.dumps({"jobs": found}, ensure_ascii=False))
        return 0
    if not found:
        click.echo('no jobs yet; make one with: bitwright quantize "demo for this machine"')
        return 0
    print_rows(LISTED, [_list_job(job) for job in found])
    return 0


@jobs.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="The job as one JSON object when it is over.")
@click.pass_obj
def watch(session: Session, job_id: str, as_json: bool) -> int:
    """Follow a job to its end."""
    from planner.cli.following import follow_job
    from planner.cli.progress import make_progress

    with open_door(session) as door:
        with make_progress(make_console(stderr=as_json)) as progress:
            for event in follow_job(door, job_id, None):
                progress.tell(event)
        job = door.find_job(job_id)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False))
    else:
        say(_describe_end(job))
    return OVER_BADLY if job["state"] in {"failed", "cancelled"} else 0


@jobs.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="The job as one JSON object.")
@click.pass_obj
def approve(session: Session, job_id: str, as_json: bool) -> int:
    """Let executors have a submitted job."""
    with open_door(session) as door:
        job = door.approve_job(job_id)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False))
    else:
        say(_describe_end(job))
    return 0


@jobs.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="The job as one JSON object.")
@click.pass_obj
def cancel(session: Session, job_id: str, as_json: bool) -> int:
    """Stop a job, wherever it is."""
    with open_door(session) as door:
        job = door.cancel_job(job_id)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False))
    else:
        say(_describe_end(job))
    return 0


@jobs.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="The new job as one JSON object.")
@click.pass_obj
def retry(session: Session, job_id: str, as_json: bool) -> int:
    """Try a job that failed or was cancelled once more, as a new one."""
    with open_door(session) as door:
        job = door.retry_job(job_id)
    if as_json:
        click.echo(json.dumps(job, ensure_ascii=False))
    else:
        then = f"; let it run: bitwright jobs approve {job['job_id']}" if job["state"] == "submitted" else ""
        say(f"{_describe_end(job)}{then}")
    return 0


def _list_job(job: Mapping[str, Any]) -> list[Any]:
    made = job["specification"]
    group = f" group {made['group_size']}" if made.get("group_size") else ""
    what = f"{made['scheme']}{group} by {made['method']}"
    moved = job["updated_at"][:19].replace("T", " ")
    return [
        job["job_id"],
        job["state"],
        what,
        made["model_id"],
        job["decision_id"],
        job["host"] or "–",
        moved,
    ]


def _describe_end(job: dict[str, object]) -> str:
    error = job["error"]
    why = f": {error['message']}  [{error['code']}]" if isinstance(error, dict) else ""
    return f"job {job['job_id']} is {job['state']}{why}"
