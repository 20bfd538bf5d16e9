"""One message that changes: the newest card wins, and Slack's pace of about one edit a second is kept."""

import asyncio
import logging
from types import TracebackType
from typing import Self

from slack_sdk.errors import SlackApiError

from bot.messages import CONNECTION_ERRORS, Card, Messages, Sleep

log = logging.getLogger("bitwright.bot")

EDIT_SECONDS = 1.2


class Editor:
    """Edits one message while it is open; leaving it waits until the last card stands there."""

    def __init__(
        self,
        messages: Messages,
        channel: str,
        timestamp: str,
        *,
        pause_seconds: float = EDIT_SECONDS,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._messages = messages
        self._channel = channel
        self._timestamp = timestamp
        self._pause_seconds = pause_seconds
        self._sleep = sleep
        self._newest: Card | None = None
        self._standing: Card | None = None
        self._is_new = asyncio.Event()
        self._is_closing = False
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._worker is not None
        if error is not None:
            self._worker.cancel()
            return
        self._is_closing = True
        self._is_new.set()
        await self._worker

    def offer(self, card: Card) -> None:
        """Have this card shown, unless a newer one comes first."""
        self._newest = card
        self._is_new.set()

    async def _work(self) -> None:
        while not self._is_closing or self._newest != self._standing:
            await self._is_new.wait()
            self._is_new.clear()
            card = self._newest
            if card is not None and card != self._standing:
                await self._show(card)
                self._standing = card
                if not self._is_closing:
                    await self._sleep(self._pause_seconds)

    async def _show(self, card: Card) -> None:
        try:
            await self._messages.edit(self._channel, self._timestamp, card)
        except (SlackApiError, *CONNECTION_ERRORS) as error:
            # The job goes on whether or not it can be told: a deleted message must not stop it.
            log.warning("message %s in %s was not edited: %s", self._timestamp, self._channel, error)
