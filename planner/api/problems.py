"""Refusals as RFC 9457 problem documents: the code and sentence of the command line, and what it would exit with.

`type` is the code as a relative reference, `detail` the sentence. `choices` and `suggestions` stand beside them
where there are any; `error` repeats all of it in the shape that `--json` prints, for readers of both.
"""

import logging
import secrets
from collections.abc import Mapping
from typing import Any

from litestar.exceptions import HTTPException, ValidationException
from litestar.plugins.problem_details import (
    ProblemDetailsConfig,
    ProblemDetailsException,
    ProblemDetailsPlugin,
)

from planner.domain.errors import BadInput, BitwrightError

log = logging.getLogger("bitwright.api")

BODY_LIMIT_BYTES = 16 * 1024**2
TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "Not authorised",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Ambiguous",
    422: "Cannot be used",
    500: "Internal error",
    503: "Unavailable",
    507: "The machine refused",
}
ROUTE_CODES: Mapping[int, tuple[str, str]] = {
    404: ("route.unknown", "There is no such route. The routes are listed under /schema."),
    405: ("route.method", "This route does not take that method. The routes are listed under /schema."),
    413: ("request.too_large", f"The request body is too large: {BODY_LIMIT_BYTES // 1024**2} MiB are read."),
}
TOO_DEEP = BadInput("request.invalid", "The request cannot be read: it is nested too deeply.")
UNKNOWN_FIELD = "Extra inputs are not permitted"
"""Pydantic's words for a field that the model does not have."""
NO_OBJECT = "Input should be a valid dictionary"
"""Pydantic's words for something else than an object."""


def make_problem_plugin() -> ProblemDetailsPlugin:
    """Problem documents for everything that can go wrong in a handler."""
    return ProblemDetailsPlugin(
        ProblemDetailsConfig(
            exception_to_problem_detail_map={
                BitwrightError: describe_refusal,
                ValidationException: lambda error: describe_refusal(read_validation(error)),
                HTTPException: describe_http_error,
                RecursionError: lambda _: describe_refusal(TOO_DEEP),
                Exception: describe_surprise,
            }
        )
    )


def describe_refusal(error: BitwrightError) -> ProblemDetailsException:
    """A refusal on purpose."""
    said: dict[str, Any] = {"code": error.code, "message": error.message}
    for name in ("choices", "suggestions"):
        if items := getattr(error, name):
            said[name] = list(items)
    beside = {name: value for name, value in said.items() if name != "message"}
    return ProblemDetailsException(
        type_=error.code,
        title=TITLES.get(error.http_status, "Refused"),
        status_code=error.http_status,
        detail=error.message,
        extra={**beside, "exit_status": error.exit_status, "error": said},
    )


def read_validation(error: ValidationException) -> BadInput:
    """The first thing that is wrong with a request's body or parameters, in one sentence."""
    faults = [fault for fault in error.extra or () if isinstance(fault, Mapping)]
    if not faults:
        return BadInput("request.invalid", f"The request cannot be read: {error.detail}.")
    fault = faults[0]
    name, message = str(fault.get("key") or "the body"), str(fault.get("message", "")).rstrip(".")
    if name == message.strip("'") == "data":
        return BadInput("request.invalid", "The request has no body. What it takes is listed under /schema.")
    if message.startswith(NO_OBJECT):
        return BadInput("request.invalid", f"{name} cannot be used: it is no JSON object.")
    if message == UNKNOWN_FIELD:
        return BadInput("request.unknown_field", f'This request has no field "{name}". Remove or correct it.')
    return BadInput("request.invalid", f"{name} cannot be used: {message[:1].lower()}{message[1:]}.")


def describe_http_error(error: HTTPException) -> ProblemDetailsException:
    """What the framework refused before a handler saw it."""
    default = ("request.invalid", f"{error.detail.rstrip('.')}.")
    code, message = ROUTE_CODES.get(error.status_code, default)
    refusal = BadInput(code, message)
    problem = describe_refusal(refusal)
    problem.status_code, problem.title = error.status_code, TITLES.get(error.status_code, "Refused")
    return problem


def describe_surprise(error: Exception) -> ProblemDetailsException:
    """What nobody foresaw: a reference that stands in the log with the whole story."""
    reference = secrets.token_hex(4)
    log.error("unexpected, reference %s", reference, exc_info=error)
    return describe_refusal(
        BitwrightError(
            "internal.error",
            f"Something went wrong that nobody foresaw. The service's log has it under {reference}.",
        )
    )
