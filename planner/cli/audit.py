"""`bitwright audit "SELECT …"`: one question about the record, which can change nothing and read no file."""

import json

import click

from planner.cli.door import Session, open_door
from planner.cli.tables import print_rows


@click.command()
@click.argument("sql")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object on standard output: columns, rows and whether there were more.",
)
@click.pass_obj
def audit(session: Session, /, sql: str, as_json: bool) -> None:
    """Ask one SELECT of the record.

    Tables: decisions, alternatives, rejected_candidates, jobs, measurements, evidence, predicted_vs_measured,
    models, accelerators, engine_rules.
    """
    with open_door(session) as door:
        answer = door.audit(sql)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False, default=str))
    else:
        print_rows(answer["columns"], answer["rows"])
        if answer["truncated"]:
            click.echo(
                f"Only the first {len(answer['rows']):,} rows: there are more. Narrow the question, count, or "
                "page with ORDER BY, LIMIT and OFFSET."
            )
