"""`bitwright decisions`, `decisions show ID`, `replay ID`: what was promised, what was got, what still holds."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from planner.cli.door import Session, open_door
from planner.cli.saying import say
from planner.cli.tables import format_cell, print_rows
from planner.domain.units import format_gib

LISTED = ("decision_id", "created_at", "model", "target", "scheme", "method", "engine", "request")
SPARE = ("created_at", "method", "engine", "request", "target", "scheme", "model")
"""Columns that a narrow terminal goes without, the first one first."""
NEAR_ZERO = 1e-12


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def decisions(context: click.Context, /, limit: int, as_json: bool) -> None:
    """List recorded decisions, newest first, or show one."""
    if context.invoked_subcommand is not None:
        return
    with open_door(context.obj) as door:
        rows = door.list_decisions(limit)
    if as_json:
        click.echo(json.dumps({"decisions": rows}, ensure_ascii=False))
    elif rows:
        print_rows(LISTED, [[row[name] for name in LISTED] for row in rows], SPARE)
    else:
        click.echo('no decisions yet: bitwright plan "qwen-72b for 2x A6000" makes one')


@decisions.command()
@click.argument("decision_id")
@click.option("--rejected", is_flag=True, help="Every verdict with its arithmetic, source and way out.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def show(session: Session, /, decision_id: str, rejected: bool, as_json: bool) -> None:
    """Show one decision with what its jobs measured beside what it promised."""
    with open_door(session) as door:
        decision = door.show_decision(decision_id)
    if as_json:
        click.echo(json.dumps(decision, ensure_ascii=False))
    elif rejected:
        _print_rejected(decision)
    else:
        from planner.cli.render import print_plan

        print_plan(decision)
        _print_jobs(decision)
        _print_measurements(decision.get("measurements") or [])


@click.command()
@click.argument("decision_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def replay(session: Session, /, decision_id: str, as_json: bool) -> None:
    """Compute a decision again from its recorded inputs and compare, field by field."""
    with open_door(session) as door:
        answer = door.replay_decision(decision_id)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    same = "identical to the bit" if answer["identical"] else f"{len(answer['differences'])} fields differ"
    intact = (
        "the record is intact"
        if answer["record_intact"]
        else "THE RECORD WAS CHANGED: its hash does not match"
    )
    say(f"{answer['decision_id']}: {same}; {intact}")
    versions = answer["planner_version"]
    if versions["recorded"] != versions["replayed"]:
        click.echo(f"recorded by planner {versions['recorded']}, replayed by {versions['replayed']}")
    for difference in answer["differences"]:
        recorded, replayed = _short(difference["recorded"]), _short(difference["replayed"])
        say(f"  {difference['path']}: {recorded} → {replayed}", 4)


def _print_rejected(decision: Mapping[str, Any]) -> None:
    items = decision["rejected"]
    click.echo(f"{decision['decision_id']}: {len(items)} verdicts")
    for item in items:
        group = f", group {item['group_size']}" if item["group_size"] else ""
        spread = f"tp {item['tp']} × pp {item['pp']} × dp {item['dp']}"
        published = f" (published as {item['prebuilt']})" if item.get("prebuilt") else ""
        click.echo("")
        say(f"{item['scheme']}{group} by {item['method']}, {item['engine']}, {spread}{published}", 2)
        say(f"  {item['code']}: {item['message']}", 4)
        if item["numbers"]:
            say(
                "  " + ", ".join(f"{name} {format_cell(value)}" for name, value in item["numbers"].items()), 4
            )
        if item["source"]:
            say(f"  source: {item['source']}", 4)
        if item.get("way_out"):
            say(f"  → {', '.join(item['way_out'])}", 4)


def _print_jobs(decision: Mapping[str, Any]) -> None:
    for job in decision.get("jobs") or []:
        error = f": {job['error']['message']}" if job.get("error") else ""
        host = f" on {job['host']}" if job.get("host") else ""
        say(f"job          {job['job_id']} {job['state']}{host}{error}", 13)


def _print_measurements(measurements: Sequence[Mapping[str, Any]]) -> None:
    if not measurements:
        return
    names = ("measured, by job", "low", "predicted", "high", "measured", "off by")
    click.echo("")
    print_rows(names, [_measurement_row(row) for row in measurements])


def _measurement_row(row: Mapping[str, Any]) -> list[str]:
    unit = row["unit"]
    values = [
        _in_unit(row[name], unit) for name in ("predicted_low", "predicted", "predicted_high", "measured")
    ]
    off = "–"
    if row["predicted"] is not None and unit != "%" and abs(row["predicted"]) > NEAR_ZERO:
        off = f"{100 * (row['measured'] / row['predicted'] - 1):+.1f} %"
    elif row["predicted"] is not None:
        off = f"{row['measured'] - row['predicted']:+.2f} points"
    return [f"{row['name']} ({row['job_id']})", *values, off]


def _in_unit(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "bytes":
        return format_gib(value, 2)
    return f"{value:.4g} {unit}"


def _short(value: Any, length: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= length else text[: length - 1] + "…"
