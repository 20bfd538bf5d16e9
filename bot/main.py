"""`bitwright bot`: settings, Slack, the service and the flow meet here."""

import asyncio
import json
import logging
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.failures import Refused
from bot.settings import Settings, read_settings

if TYPE_CHECKING:
    from slack_bolt.app.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.following import Following
    from bot.messages import Sleep
    from planner.contract.client import Client

USAGE_EXIT_STATUS = 2
UNREACHABLE_EXIT_STATUS = 5


@click.command()
@click.option("--server", help="Address of the service; BITWRIGHT_SERVER, or the home's own, without it.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file that holds the service's token, or a server.json; BITWRIGHT_TOKEN without it.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; BITWRIGHT_BOT_PORT, or 8421.")
def bot(server: str | None, token_file: Path | None, port: int | None) -> int:
    """Answer /quantize in Slack."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.getLogger("bitwright").setLevel(logging.INFO)
    try:
        settings = complete_settings(read_settings(), server, token_file)
        asyncio.run(serve(settings if port is None else replace(settings, port=port)))
    except Refused as error:
        click.echo(f"error: {error.message}  [{error.code}]", err=True)
        return USAGE_EXIT_STATUS if error.code.startswith("settings.") else UNREACHABLE_EXIT_STATUS
    return 0


def complete_settings(settings: Settings, server: str | None, token_file: Path | None) -> Settings:
    """Settings with the service's address and token found: as said, else the home's own service.

    Raises:
        Refused: `settings.no_service`, `settings.no_slack`.
    """
    own = _read_json(settings.home / "server.json")
    text = token_file.read_text(encoding="utf-8").strip() if token_file else ""
    given = _read_json(token_file) if token_file and text.startswith("{") else {"token": text}
    url = server or settings.server or given.get("url") or own.get("url", "")
    token = given.get("token") or settings.token or own.get("token", "")
    if not url or not token:
        raise Refused(
            "settings.no_service",
            "Which service? Start one with: bitwright serve, or set BITWRIGHT_SERVER and BITWRIGHT_TOKEN.",
        )
    if not settings.bot_token or not (settings.signing_secret or settings.app_token):
        raise Refused(
            "settings.no_slack",
            "Slack's secrets are missing. Set BITWRIGHT_SLACK_BOT_TOKEN, and BITWRIGHT_SLACK_SIGNING_SECRET for "
            "HTTP or BITWRIGHT_SLACK_APP_TOKEN for Socket Mode. deploy/slack/manifest.yaml makes the app.",
        )
    return replace(settings, server=url, token=token)


async def serve(settings: Settings) -> None:
    """Answer Slack until SIGTERM or Ctrl-C.

    Raises:
        Refused: `slack.unreachable`, `slack.refused`, `settings.port_taken`.
    """
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.doors import PATH, announce, introduce, listen, run_until_stopped
    from planner.contract.client import Client

    # No retries of the library's own: Messages has them, with waits that can be told.
    slack = AsyncWebClient(token=settings.bot_token, base_url=settings.slack_url, retry_handlers=[])
    identity = await introduce(slack, settings)
    with Client(settings.server, settings.token) as client:
        app, following = assemble(settings, slack, identity, client)
        if settings.app_token:
            handler = AsyncSocketModeHandler(app, settings.app_token)
            await handler.connect_async()  # type: ignore[no-untyped-call]
            announce(identity, settings, "over Socket Mode")
            await run_until_stopped(following)
            await handler.close_async()  # type: ignore[no-untyped-call]
        else:
            runner, port = await listen(app.web_app(PATH), settings)
            announce(identity, settings, f"at http://{settings.listen}:{port}{PATH}")
            await run_until_stopped(following)
            await runner.cleanup()


def assemble(
    settings: Settings,
    slack: "AsyncWebClient",
    identity: "AuthorizeResult",
    client: "Client",
    *,
    pause_seconds: float | None = None,
    sleep: "Sleep" = asyncio.sleep,
) -> "tuple[AsyncApp, Following]":
    """The app, and what follows its jobs."""
    from bot.app import make_app
    from bot.editor import EDIT_SECONDS
    from bot.flow import Flow
    from bot.following import Following
    from bot.follows import Follows
    from bot.messages import Messages
    from bot.policy import Policy
    from bot.service import Service

    service, messages = Service(client), Messages(slack, sleep)
    policy = Policy(
        runners=settings.runners,
        approvers=settings.approvers,
        approval_minutes=settings.approval_minutes,
    )
    following = Following(
        service=service,
        messages=messages,
        follows=Follows(settings.home),
        policy=policy,
        pause_seconds=EDIT_SECONDS if pause_seconds is None else pause_seconds,
        sleep=sleep,
    )
    flow = Flow(service=service, messages=messages, policy=policy, following=following)
    # Bolt wants a secret; in Socket Mode nothing is ever signed with it.
    return make_app(slack, settings.signing_secret or "none", identity, flow), following


def _read_json(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        read = json.loads(path.read_text(encoding="utf-8"))
        return read if isinstance(read, dict) else {}
    return {}
