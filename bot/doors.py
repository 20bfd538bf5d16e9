"""The ways in and out: who we are in Slack, the port that Slack calls, and the end."""

import asyncio
import signal
from contextlib import suppress

import click
from aiohttp import web
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.failures import Refused
from bot.following import Following
from bot.messages import CONNECTION_ERRORS
from bot.settings import Settings

PATH = "/slack/events"
FINISH_SECONDS = 5.0


async def introduce(slack: AsyncWebClient, settings: Settings) -> AuthorizeResult:
    """Ask Slack once whose token this is, so that no request has to wait for it.

    Raises:
        Refused: `slack.unreachable`, `slack.refused`.
    """
    try:
        answer = await slack.auth_test()
    except SlackApiError as error:
        said = error.response.data
        code = said.get("error") if isinstance(said, dict) else None
        if not isinstance(code, str):  # a page, or JSON of something else
            raise Refused(
                "slack.unreachable", f"What answers at {settings.slack_url} is not Slack's Web API."
            ) from error
        raise Refused(
            "slack.refused", f"Slack refused the bot token: {code}. Is it the xoxb- one?"
        ) from error
    except CONNECTION_ERRORS as error:
        raise Refused("slack.unreachable", f"Slack does not answer at {settings.slack_url}.") from error
    return AuthorizeResult.from_auth_test_response(
        auth_test_response=answer, bot_token=settings.bot_token, bot_scopes=None
    )


async def listen(web_app: web.Application, settings: Settings) -> tuple[web.AppRunner, int]:
    """Listen for Slack's requests; the runner and the port.

    Raises:
        Refused: `settings.port_taken`.
    """

    async def live(request: web.Request) -> web.Response:
        del request
        return web.json_response({"status": "live"})

    web_app.router.add_get("/health/live", live)
    runner = web.AppRunner(web_app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen, settings.port).start()
    except OSError as error:
        await runner.cleanup()
        raise Refused(
            "settings.port_taken",
            f"Cannot listen on {settings.listen}:{settings.port}: {error.strerror}. Set BITWRIGHT_BOT_PORT.",
        ) from error
    return runner, int(runner.addresses[0][1])


async def run_until_stopped(following: Following) -> None:
    """Follow what was being followed, until a signal to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    following.resume()
    await stop.wait()
    await following.stop()
    await finish_answers()


async def finish_answers() -> None:
    """Let what was acknowledged be answered, if that takes no longer than a process manager waits."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    answering = {
        task for task in others if "run_ack_function" in getattr(task.get_coro(), "__qualname__", "")
    }
    if answering:
        await asyncio.wait(answering, timeout=FINISH_SECONDS)


def announce(identity: AuthorizeResult, service_url: str, where: str) -> None:
    """Say on standard output that it works, and for whom."""
    click.echo(f"answering /quantize as @{identity.user} in {identity.team}, {where}; plans by {service_url}")
