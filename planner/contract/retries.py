"""When to ask again: the connection failed, or the service said 503. Anything else is an answer.

Waits double from a quarter of a second to four seconds, with up to half of each taken off by chance so that
clients of one service do not return together.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 4.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to keep trying, and how to wait."""

    seconds: float = 5.0
    sleep: Callable[[float], None] = field(default=time.sleep)

    def send(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """The first answer that is no 503, or the last one.

        Raises:
            httpx.TransportError: nothing answered in time.
        """
        deadline = time.monotonic() + self.seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            is_last = time.monotonic() + wait > deadline
            try:
                response = ask()
            except httpx.TransportError:
                if is_last:
                    raise
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or is_last:
                    return response
            self.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads clients, hides nothing
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
