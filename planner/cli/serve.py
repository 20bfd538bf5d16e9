"""`bitwright serve`: own this home's database and answer over REST, on loopback unless told otherwise."""

import json

import click

from planner.cli.door import Session
from planner.live_server import LiveServer


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8420, show_default=True, help="0 takes a free one."
)
@click.option(
    "--host", help="Listen on this address, not on loopback alone; needs a token: bitwright token create."
)
@click.option("--parent-pid", type=int, hidden=True, help="End when this process does.")
@click.option("--handed-token", envvar="BITWRIGHT_HANDED_TOKEN", hidden=True, help="The token to answer to.")
@click.option("--json", "as_json", is_flag=True, help="Say the address as one JSON object.")
@click.pass_obj
def serve(
    session: Session,
    host: str | None,
    port: int,
    parent_pid: int | None,
    handed_token: str | None,
    as_json: bool,
) -> int:
    """Serve this home: plans, decisions, jobs and audit over REST, until Ctrl-C or SIGTERM."""
    home = session.settings.home

    def announce(server: LiveServer) -> None:
        if as_json:
            click.echo(json.dumps({"url": server.url, "pid": server.pid, "home": str(home)}))
        else:
            click.echo(f"serving {home} at {server.url}; the token is in {home / 'server.json'}")
            click.echo(f"an executor for this host: bitwright executor --server {server.url}")

    session.serve(
        session.settings, host=host, port=port, parent_pid=parent_pid, token=handed_token, on_ready=announce
    )
    return 0
