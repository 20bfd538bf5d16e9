"""`bitwright bot`: settings, Slack, the service and the flow meet here."""

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.address import Address, find_address
from bot.failures import Refused
from bot.settings import Settings, read_settings
from planner.contract.errors import ContractError

if TYPE_CHECKING:
    from slack_bolt.app.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.following import Following
    from bot.messages import Sleep
    from bot.service import Service

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
        settings = read_settings()
        find = partial(find_address, settings, server, token_file)
        find()
        check_secrets(settings)
        asyncio.run(serve(settings if port is None else replace(settings, port=port), find))
    except Refused as error:
        click.echo(f"error: {error.message}  [{error.code}]", err=True)
        return USAGE_EXIT_STATUS if error.code.startswith("settings.") else UNREACHABLE_EXIT_STATUS
    except ContractError as error:
        click.echo(f"error: {error.message}  [{error.code}]", err=True)
        return error.exit_status
    return 0


def check_secrets(settings: Settings) -> None:
    """Refuse to start without what Slack asks for.

    Raises:
        Refused: `settings.no_slack`.
    """
    if not settings.bot_token or not (settings.signing_secret or settings.app_token):
        raise Refused(
            "settings.no_slack",
            "Slack's secrets are missing. Set BITWRIGHT_SLACK_BOT_TOKEN, and BITWRIGHT_SLACK_SIGNING_SECRET for "
            "HTTP or BITWRIGHT_SLACK_APP_TOKEN for Socket Mode. deploy/slack/manifest.yaml makes the app.",
        )


async def serve(settings: Settings, find: Callable[[], Address]) -> None:
    """Answer Slack until SIGTERM or Ctrl-C, with the plans of the service that `find` finds.

    Raises:
        Refused: `slack.unreachable`, `slack.refused`, `settings.port_taken`.
    """
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
    from slack_sdk.web.async_client import AsyncWebClient

    from bot.doors import PATH, announce, introduce, listen, run_until_stopped
    from bot.service import Service

    # No retries of the library's own: Messages has them, with waits that can be told.
    slack = AsyncWebClient(token=settings.bot_token, base_url=settings.slack_url, retry_handlers=[])
    identity = await introduce(slack, settings)
    async with Service(find) as service:
        app, following = assemble(settings, slack, identity, service)
        if settings.app_token:
            handler = AsyncSocketModeHandler(app, settings.app_token)
            await handler.connect_async()  # type: ignore[no-untyped-call]
            announce(identity, find().url, "over Socket Mode")
            await run_until_stopped(following)
            await handler.close_async()  # type: ignore[no-untyped-call]
        else:
            runner, port = await listen(app.web_app(PATH), settings)
            announce(identity, find().url, f"at http://{settings.listen}:{port}{PATH}")
            await run_until_stopped(following)
            await runner.cleanup()


def assemble(
    settings: Settings,
    slack: "AsyncWebClient",
    identity: "AuthorizeResult",
    service: "Service",
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

    messages = Messages(slack, sleep)
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
