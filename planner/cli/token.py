"""`bitwright token create|list|revoke`: who may call this home's service, and for what."""

import json

import click

from planner.cli.door import Session, open_door
from planner.cli.tables import print_rows

LISTED = ("token_id", "name", "scopes", "created_at", "revoked_at")


@click.group()
def token() -> None:
    """Make, list and revoke the tokens of this home's service."""


@token.command()
@click.option("--scopes", required=True, help="Of plan, run, approve, execute, audit and admin, with commas.")
@click.option("--name", help="How the record calls who holds it.")
@click.option(
    "--speaks-for-others",
    is_flag=True,
    help="For a bot: its requests may name the person for whom they are made.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def create(session: Session, scopes: str, name: str | None, speaks_for_others: bool, as_json: bool) -> int:
    """Make a token; it is printed once and kept nowhere."""
    words = [word.strip() for word in scopes.split(",") if word.strip()]
    with open_door(session) as door:
        made = door.create_token(words, name, speaks_for_others)
    if as_json:
        click.echo(json.dumps(made, ensure_ascii=False))
    else:
        click.echo(made["token"])
        scopes = ", ".join(made["scopes"])
        click.echo(f'"{made["name"]}" may {scopes}. It is not shown again.', err=True)
    return 0


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def list_tokens(session: Session, as_json: bool) -> int:
    """List tokens, revoked ones too; never what they say."""
    with open_door(session) as door:
        found = door.list_tokens()
    if as_json:
        click.echo(json.dumps({"tokens": found}, ensure_ascii=False))
        return 0
    if not found:
        click.echo("no tokens yet; make one with: bitwright token create --scopes plan,run")
        return 0
    shown = [
        {**row, "scopes": ",".join(row["scopes"]), "revoked_at": row["revoked_at"] or "–"} for row in found
    ]
    print_rows(LISTED, [[row[name] for name in LISTED] for row in shown])
    return 0


@token.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The token's row as one JSON object.")
@click.pass_obj
def revoke(session: Session, name: str, as_json: bool) -> int:
    """End a token, by its name or id."""
    with open_door(session) as door:
        revoked = door.revoke_token(name)
    click.echo(json.dumps(revoked, ensure_ascii=False) if as_json else f'"{revoked["name"]}" is revoked')
    return 0
