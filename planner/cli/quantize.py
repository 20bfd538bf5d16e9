"""`bitwright quantize "demo for this machine"`: plan, approve, make it here, measure it, record it.

The service and the executor are processes of their own that speak the contract with us and with each other, as
they do across machines; both end with this command, whatever happens.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from planner.cli.consoles import make_console
from planner.cli.door import Session, open_server_door
from planner.cli.home_service import open_service
from planner.cli.making import Wish, run_quantize
from planner.cli.outcome import locate_serve, print_outcome, serve_of
from planner.cli.processes import end_like_ctrl_c
from planner.domain.errors import BadInput

PIPE_WIDTH = 120


@click.command()
@click.argument("ask")
@click.option("--scheme", help="Make this scheme: Q4_K_M, FP8_DYNAMIC, W4A16 …")
@click.option("--method", help="By this method: rtn, gptq …")
@click.option("--group-size", type=int, help="With this group size.")
@click.option("--engine", help="For this engine: llama.cpp, vllm, transformers …")
@click.option("--context", help="Tokens kept a sequence, as 8192 or 32k.")
@click.option("--concurrency", type=int, help="Sequences served at once.")
@click.option("--objective", help="What to choose for: balanced, quality, speed or memory.")
@click.option(
    "--calibration",
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help='Text to calibrate on: plain, or JSON lines with a "text" each.',
)
@click.option(
    "--artifacts", type=click.Path(file_okay=False, path_type=Path), help="Folder for what is made."
)
@click.option("--yes", "is_approved", is_flag=True, help="Approve the plan without being asked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output; needs --yes.")
@click.pass_obj
def quantize(
    session: Session,
    /,
    ask: str,
    calibration: Path | None,
    artifacts: Path | None,
    is_approved: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Plan, then quantize, measure and record on this machine."""
    if not is_approved and (as_json or not sys.stdin.isatty()):
        raise BadInput(
            "job.not_approved", "Nobody can be asked here: add --yes to approve the plan as it comes."
        )
    fields = {"ask": ask, "must_quantize": True, **options}
    wish = Wish(
        ask={name: value for name, value in fields.items() if value is not None},
        calibration_file=calibration and calibration.resolve(),
        artifacts=artifacts and artifacts.resolve(),
        is_approved=is_approved,
        show_plan=show_only_what_fits_nowhere if as_json else show_plan,
    )
    console = make_job_console(as_json=as_json)
    end_like_ctrl_c()
    with open_service(session.settings) as service, open_server_door(service.server) as door:
        decision, job = run_quantize(session.settings, service, door, wish, console)
        if decision["chosen"] is None:
            return 3
        if as_json:
            click.echo(json.dumps(describe_outcome(decision, job), ensure_ascii=False))
        else:
            print_outcome(console, decision, job)
    return 0


def describe_outcome(decision: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """The one JSON object of `--json`."""
    return {
        "decision_id": job["decision_id"],
        "job_id": job["job_id"],
        "state": job["state"],
        "chosen": {
            name: job["specification"][name]
            for name in ("scheme", "method", "format", "group_size", "backend")
        },
        "artifact_dir": job["result"]["artifact_dir"],
        "serve": locate_serve(serve_of(decision, job), job),
        "measurement": job["result"]["measurement"],
        "predicted_vs_measured": [row for row in decision["measurements"] if row["job_id"] == job["job_id"]],
    }


def make_job_console(*, as_json: bool) -> Console:
    """Where progress and outcome go: standard error when standard output is for one JSON object."""
    return make_console(stderr=as_json, width=PIPE_WIDTH)


def show_plan(decision: Mapping[str, Any]) -> None:
    """The whole plan, as `bitwright plan` prints it."""
    from planner.cli.render import print_plan

    print_plan(decision)


def show_only_what_fits_nowhere(decision: Mapping[str, Any]) -> None:
    """Under `--json` the decision is the answer only when nothing is to be made."""
    if decision["chosen"] is None:
        click.echo(json.dumps(decision, ensure_ascii=False))
