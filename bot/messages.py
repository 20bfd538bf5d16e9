"""Messages in Slack: posted, edited, dialogs opened; what Slack asks to be said later is said later.

Slack takes about one message a second in a channel, and as many edits. Above that it answers 429 with a
Retry-After of whole seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.cards.blocks import MESSAGE_TEXT, Block, clip

log = logging.getLogger("bitwright.bot")

TRIES = 5
TOO_MANY = 429
CONNECTION_ERRORS = (aiohttp.ClientError, TimeoutError)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Card:
    """Blocks, and the line that stands for them in notifications."""

    blocks: Sequence[Block]
    text: str


def name_refusal(error: SlackApiError) -> str:
    """Slack's code for what it refused; empty where it answered with something else than its JSON."""
    answer = error.response.data
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


class Messages:
    """A bot's messages."""

    def __init__(self, client: AsyncWebClient, sleep: Sleep = asyncio.sleep) -> None:
        self._client = client
        self._sleep = sleep

    async def post(self, channel: str, card: Card) -> str:
        """Post a card; its timestamp, which names it."""
        answer = await self._patiently(
            lambda: self._client.chat_postMessage(
                channel=channel, blocks=card.blocks, text=clip(card.text, MESSAGE_TEXT), unfurl_links=False
            )
        )
        return str(answer["ts"])

    async def edit(self, channel: str, timestamp: str, card: Card) -> None:
        """Put a card where another was."""
        await self._patiently(
            lambda: self._client.chat_update(
                channel=channel, ts=timestamp, blocks=card.blocks, text=clip(card.text, MESSAGE_TEXT)
            )
        )

    async def open_dialog(self, trigger_id: str, view: dict[str, Any]) -> None:
        """Open a dialog for whoever pressed something in the last three seconds."""
        await self._client.views_open(trigger_id=trigger_id, view=view)

    async def change_dialog(self, view_id: str, view: dict[str, Any]) -> None:
        """Show something else in an open dialog."""
        await self._patiently(lambda: self._client.views_update(view_id=view_id, view=view))

    async def _patiently(self, call: Callable[[], Awaitable[AsyncSlackResponse]]) -> AsyncSlackResponse:
        for attempt in range(1, TRIES):
            try:
                return await call()
            except SlackApiError as error:
                if error.response.status_code != TOO_MANY:
                    raise
                await self._sleep(float(error.response.headers.get("Retry-After", 1)))
            except CONNECTION_ERRORS as error:
                log.warning("Slack does not answer (%s), try %d of %d", type(error).__name__, attempt, TRIES)
                await self._sleep(2.0**attempt)
        return await call()
