"""`bitwright plan "qwen-72b for 2x A6000"`: the sentence, overridden by options, planned and recorded."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from planner.cli.door import Session, open_door
from planner.cli.failures import describe_failure
from planner.domain.errors import BadInput, BitwrightError

ASK_FIELDS = ("ask", "context", "concurrency", "objective", "engine", "task", "kv_dtype")


@click.command()
@click.argument("ask", required=False)
@click.option("--context", help="Tokens kept a sequence, as 8192 or 32k.")
@click.option("--concurrency", type=int, help="Sequences served at once.")
@click.option(
    "--objective", type=click.Choice(["balanced", "quality", "speed", "memory"]), help="What to choose for."
)
@click.option("--engine", help="The engine that will serve it.")
@click.option(
    "--task",
    type=click.Choice(["general", "coding", "math", "chat", "multilingual"]),
    help="What quality is judged on.",
)
@click.option("--kv-dtype", help="Type of the KV cache.")
@click.option(
    "--batch", type=click.File("r"), help="JSON lines of asks, or - for standard input; nothing is recorded."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def plan(session: Session, /, ask: str | None, batch: Any, as_json: bool, **options: Any) -> int:
    """Plan what to make of a model and how to serve it."""
    with open_door(session) as door:
        if batch is not None:
            return _plan_batch(door.plan_unrecorded, batch)
        if not ask:
            raise BadInput(
                "request.empty", 'Say what to plan, for example: bitwright plan "qwen-72b for 2x A6000"'
            )
        decision = door.plan(
            {"ask": ask, **{name: value for name, value in options.items() if value is not None}}
        )
    if as_json:
        click.echo(json.dumps(decision, ensure_ascii=False))
    else:
        from planner.cli.render import print_plan

        print_plan(decision)
    return 0 if decision["chosen"] else 3


def _plan_batch(plan_one: Any, lines: Any) -> int:
    for line in lines:
        if not line.strip():
            continue
        try:
            answer = plan_one(_read_line(line))
        except BitwrightError as error:
            answer = describe_failure(error)
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return 0


def _read_line(line: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise BadInput("batch.not_json", f"Not a JSON line: {error}.") from error
    if not isinstance(fields, dict):
        raise BadInput("batch.not_json", "A batch line is one JSON object.")
    return fields
