"""Refusals as they travel: RFC 9457 problem documents with a stable `code`, and what a client raises.

ContractError         code, one sentence, choices, suggestions, status, exit status
├── ServiceGone       nothing answered, or 502, 503 or 504 to the last
└── BadAddress        no address of a service
"""

from collections.abc import Sequence
from typing import Any

MEDIA_TYPE = "application/problem+json"
UNREACHABLE_EXIT_STATUS = 5
USAGE_EXIT_STATUS = 2
INTERNAL_ERROR = 500


class ContractError(Exception):
    """The service refused: the same code and sentence as everywhere else."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        choices: Sequence[str] = (),
        suggestions: Sequence[str] = (),
        status: int = 500,
        exit_status: int = 1,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.choices = tuple(choices)
        self.suggestions = tuple(suggestions)
        self.status = status
        self.exit_status = exit_status

    @property
    def may_pass(self) -> bool:
        """Whether the trouble is the service's own (gone, a full disk, a fault), so that asking later may help."""
        return self.status >= INTERNAL_ERROR


class ServiceGone(ContractError):
    """Nothing answered at the address."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            "service.unreachable",
            f"The service at {url} does not answer ({why}). Is it running? Start it with: bitwright serve",
            status=503,
            exit_status=UNREACHABLE_EXIT_STATUS,
        )


class BadAddress(ContractError):
    """What was given as an address is none."""

    def __init__(self, url: str) -> None:
        super().__init__(
            "service.bad_address",
            f'"{url}" is no address of a service: write it as http://HOST:PORT or https://HOST.',
            status=400,
            exit_status=USAGE_EXIT_STATUS,
        )


def describe_odd_answer(status: int) -> ContractError:
    """The error for an answer that is not what was asked for."""
    return ContractError(
        "service.odd_answer",
        f"The service answered {status} with something else than was asked for. Is the address Bitwright's?",
        status=status,
    )


def read_problem(status: int, document: Any) -> ContractError:
    """The error that a response body describes; a body that is no problem document is named as such."""
    if not isinstance(document, dict) or not isinstance(document.get("code"), str):
        return ContractError(
            "service.odd_answer",
            f"The service answered {status} without saying why. Is the address Bitwright's?",
            status=status,
        )
    return ContractError(
        document["code"],
        str(document.get("detail") or document["code"]),
        choices=[str(item) for item in document.get("choices") or ()],
        suggestions=[str(item) for item in document.get("suggestions") or ()],
        status=status,
        exit_status=int(document.get("exit_status") or 1),
    )
