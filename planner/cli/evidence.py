"""`bitwright evidence list|sources|predict`: what is known, from whom, and what follows from it."""

import json
from typing import Any

import click

from planner.cli.batch import JSON_LINES, answer_lines
from planner.cli.door import Session, open_door
from planner.cli.saying import say
from planner.cli.tables import print_rows

LISTED = (
    *("evidence_id", "subject", "model_label", "scheme", "method", "engine", "device", "metric", "value"),
    "source_title",
)


@click.group()
def evidence() -> None:
    """Look at measurements and predict from them."""


@evidence.command("list")
@click.option("--subject", help="quality, speed, memory, negative, size, job, efficiency, job_ratio.")
@click.option("--model", help="A model id, or part of a label.")
@click.option("--scheme", help="A scheme's canonical name.")
@click.option("--metric", help="A benchmark or another metric.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def list_evidence(session: Session, /, limit: int, as_json: bool, **filters: str | None) -> None:
    """List rows, newest first."""
    with open_door(session) as door:
        rows = door.list_evidence(filters, limit)
    if as_json:
        click.echo(json.dumps({"evidence": rows}, ensure_ascii=False, default=str))
    else:
        print_rows(LISTED, [[row[name] for name in LISTED] for row in rows])


@evidence.command("sources")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def list_sources(session: Session, /, as_json: bool) -> None:
    """List where the rows come from."""
    with open_door(session) as door:
        rows = door.list_sources()
    if as_json:
        click.echo(json.dumps({"sources": rows}, ensure_ascii=False))
    else:
        names = ("row_count", "subject", "source_title", "source_ref")
        print_rows(names, [[row[name] for name in names] for row in rows])


@evidence.command()
@click.argument("model", required=False)
@click.option("--scheme", help="W4A16, FP8_DYNAMIC, Q4_K_M, …")
@click.option("--method", help="gptq, awq, rtn, …")
@click.option("--group-size", type=int, help="Columns that share a scale.")
@click.option("--benchmark", help="mmlu, humaneval, perplexity, …")
@click.option("--baseline-value", type=float, help="The unquantized model's value, where it is known.")
@click.option("--batch", type=JSON_LINES, help="JSON lines of fields, or - for standard input.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def predict(session: Session, /, batch: Any, as_json: bool, **fields: Any) -> int:
    """Predict what a benchmark loses, with the interval and the sources."""
    with open_door(session) as door:
        if batch is not None:
            return answer_lines(door.predict_evidence, batch)
        answer = door.predict_evidence({name: value for name, value in fields.items() if value is not None})
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print_prediction(answer)
    return 0


def _print_prediction(answer: dict[str, Any]) -> None:
    if answer["expected_delta"] is None:
        click.echo(f"{answer['benchmark']}: no measurements to predict from ({answer['basis']})")
        return
    if answer["expected"] is not None:
        click.echo(
            f"{answer['benchmark']}: {answer['expected']:.2f} ({answer['low']:.2f} to {answer['high']:.2f})"
        )
    say(
        f"change {answer['expected_delta']:+.2f} ({answer['low_delta']:+.2f} to {answer['high_delta']:+.2f}), "
        f"{answer['basis']}: {answer['n_measurements']} results"
    )
    for source in answer["sources"]:
        say(f"  {source}", 4)
