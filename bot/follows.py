"""Which messages are being followed: a small file in the home, so that a bot that starts again goes on."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from bot.ids import Carried, JobValue

FILE_NAME = "bot-follows.json"


class Followed(Carried):
    """A job, and the message that tells of it."""

    channel: str
    timestamp: str
    job: JobValue


class _File(Carried):
    followed: tuple[Followed, ...] = ()


class Follows:
    """The messages that are not at their end yet."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME

    def list_followed(self) -> Sequence[Followed]:
        """All of them; none where the file is missing or was damaged."""
        try:
            return _File.model_validate_json(self._path.read_bytes()).followed
        except (OSError, ValidationError):
            return ()

    def add(self, followed: Followed) -> None:
        """Remember a message."""
        self._write((*self._without(followed), followed))

    def remove(self, followed: Followed) -> None:
        """Forget a message whose job is over."""
        self._write(self._without(followed))

    def _without(self, followed: Followed) -> tuple[Followed, ...]:
        return tuple(one for one in self.list_followed() if one.job.job_id != followed.job.job_id)

    def _write(self, followed: tuple[Followed, ...]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}")
        temporary.write_text(_File(followed=followed).model_dump_json(), encoding="utf-8")
        temporary.replace(self._path)
