"""`bitwright plan "qwen-72b for 2x A6000"`: the sentence, overridden by options, planned and recorded."""

import json
from typing import Any

import click

from planner.cli.batch import JSON_LINES, answer_lines
from planner.cli.door import Session, open_door
from planner.domain.errors import BadInput


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
    "--batch",
    type=JSON_LINES,
    help='JSON lines, {"ask": "qwen-72b for 2x A6000"} each, or - for standard input; one JSON line out for each, '
    'a bad one answered by {"error": …} with exit status 0 all the same; nothing is recorded.',
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def plan(session: Session, /, ask: str | None, batch: Any, as_json: bool, **options: Any) -> int:
    """Plan what to make of a model and how to serve it."""
    with open_door(session) as door:
        if batch is not None:
            return answer_lines(door.plan_unrecorded, batch)
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
