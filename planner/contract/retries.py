"""When to ask again: the connection failed, or a 502, 503 or 504 says that the service is away. Else it is an answer.

Waits double from a quarter of a second to four seconds, with up to half of each taken off by chance so that
clients of one service do not return together.
"""

import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import httpx

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 4.0
AWAY = frozenset({502, 503, 504})
"""What a proxy answers while the service behind it is gone, starts or is too slow."""


async def _sleep(seconds: float) -> None:
    from asyncio import sleep  # noqa: PLC0415 - 30 ms that a command without an event loop need not wait

    await sleep(seconds)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to keep trying, and how to wait: in a thread, or on an event loop."""

    seconds: float = 5.0
    sleep: Callable[[float], None] = field(default=time.sleep)
    sleep_on_loop: Callable[[float], Awaitable[None]] = field(default=_sleep)

    def send(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """The first answer of the service, or the last one of a proxy before it.

        Raises:
            httpx.TransportError: nothing answered in time.
        """
        waits = self._waits()
        while True:
            wait = next(waits)
            try:
                response = ask()
            except httpx.TransportError:
                if wait is None:
                    raise
            else:
                if wait is None or response.status_code not in AWAY:
                    return response
                response.close()
            self.sleep(wait)

    async def send_on_loop(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """As `send`, on an event loop."""
        waits = self._waits()
        while True:
            wait = next(waits)
            try:
                response = await ask()
            except httpx.TransportError:
                if wait is None:
                    raise
            else:
                if wait is None or response.status_code not in AWAY:
                    return response
                await response.aclose()
            await self.sleep_on_loop(wait)

    def _waits(self) -> Iterator[float | None]:
        """Before each try: how long to wait should it fail, or None when it is the last."""
        deadline = time.monotonic() + self.seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            is_last = time.monotonic() + wait > deadline
            yield None if is_last else wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, hides nothing
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
