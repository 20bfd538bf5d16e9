"""What an executor says on standard error: one line an event, and trouble once while it lasts."""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

REPEAT_SECONDS = 300.0


@dataclass(kw_only=True)
class SaidOnce(logging.Filter):
    """Holds a warning back that was said minutes ago in the same words; anything else that is said ends that."""

    clock: Callable[[], float] = time.monotonic
    _said: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to say it."""
        if record.levelno < logging.WARNING:
            self._said.clear()
            return True
        text, now = record.getMessage(), self.clock()
        if now - self._said.get(text, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._said[text] = now
        return True


def start_log() -> None:
    """Progress of the executor itself on standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    own = logging.getLogger("bitwright")
    own.setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(SaidOnce())
