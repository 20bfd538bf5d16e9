"""What both clients share: the address, the token, time limits, and what an answer turns into."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import httpx

from planner.contract.calls import ANSWER_SECONDS, Call
from planner.contract.errors import BadAddress, ServiceGone, describe_odd_answer, read_problem
from planner.contract.retries import AWAY

AnswerT = TypeVar("AnswerT")

Token = str | Callable[[], str]
"""A token, or where to read one."""

CONNECT_SECONDS = 5.0


class BearerToken(httpx.Auth):
    """A token, or where to read one: a service takes a new token at every start, so a refused one is read again."""

    def __init__(self, token: Token) -> None:
        self._read = token if callable(token) else lambda: token
        self._token = self._read()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token; where it is refused and another is there by now, send that."""
        self._token = self._token or self._read()
        self._sign(request)
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        refused, self._token = self._token, self._read()
        if self._token != refused:
            self._sign(request)
            yield request

    def _sign(self, request: httpx.Request) -> None:
        """Without a token yet the header is left out: an empty one could not be sent at all."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"


def check_address(url: str) -> str:
    """The address of a service, without a slash at its end.

    Raises:
        BadAddress: it has no http:// or https://, or no host.
    """
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise BadAddress(url) from error
    if read.scheme not in {"http", "https"} or not read.host:
        raise BadAddress(url)
    return url.rstrip("/")


def describe_connection(url: str, token: Token) -> dict[str, Any]:
    """Arguments of an httpx client: no proxy of the environment, and as many connections as jobs are followed."""
    return {
        "base_url": url,
        "auth": BearerToken(token),
        "timeout": httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        "trust_env": False,
    }


def describe_request(call: Call[Any]) -> dict[str, Any]:
    """Arguments of httpx's `build_request`."""
    return {
        "method": call.method,
        "url": call.path,
        "json": call.body,
        "params": call.parameters,
        "headers": call.headers,
        "timeout": httpx.Timeout(call.silence_seconds, connect=CONNECT_SECONDS),
    }


def read_answer(call: Call[AnswerT], response: httpx.Response, url: str) -> AnswerT:
    """What was asked for.

    Raises:
        ContractError: the service refused, or something else answered.
    """
    check_answer(response, url)
    try:
        return call.read(response.json())
    except ValueError as error:
        raise describe_odd_answer(response.status_code) from error


def check_answer(response: httpx.Response, url: str) -> None:
    """Raise what an answer refuses.

    Raises:
        ContractError: the service refused.
    """
    if response.status_code in AWAY:
        raise ServiceGone(url, str(response.status_code))
    if response.is_error:
        try:
            document = response.json()
        except ValueError:
            document = None
        raise read_problem(response.status_code, document)
