"""What can go wrong, as people and programs read it.

    BitwrightError            code, one sentence, choices, suggestions      exit status
    ├── BadInput              an unknown word, an impossible number          2
    ├── Ambiguous             several readings that differ: choices          4
    ├── UnknownModel          no catalogue row, folder or hub answers        5
    ├── Unreachable           a hub or server that does not answer           5
    ├── MachineRefused        disk full, file held, not writable             1
    └── JobFailed             a quantization job ended without an artifact   6

The same sentence appears on the terminal, in a problem document and in Slack.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar


class BitwrightError(Exception):
    """Root of every error that Bitwright raises on purpose: a stable code, a sentence and a way out."""

    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(
        self, code: str, message: str, *, choices: Sequence[str] = (), suggestions: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.choices = tuple(choices)
        self.suggestions = tuple(suggestions)

    def __reduce__(self) -> tuple[Any, ...]:
        """Whole when it goes from one process to another."""
        made = partial(type(self), choices=self.choices, suggestions=self.suggestions)
        return made, (self.code, self.message)


class BadInput(BitwrightError):
    """Something that was typed or sent names nothing, or cannot be."""

    exit_status = 2
    http_status = 422


class Ambiguous(BitwrightError):
    """Several readings that matter; `choices` holds them."""

    exit_status = 4
    http_status = 409


class UnknownModel(BitwrightError):
    """Neither the catalogue nor a folder nor the hub knows the model, or its files cannot be trusted."""

    exit_status = 5
    http_status = 404


class Unreachable(BitwrightError):
    """A hub or server that does not answer."""

    exit_status = 5
    http_status = 503


class MachineRefused(BitwrightError):
    """This machine refused: disk full, a file held by another process, a folder that is not writable."""

    exit_status = 1
    http_status = 507


class JobFailed(BitwrightError):
    """A quantization job ended without a published artifact."""

    exit_status = 6
    http_status = 500
