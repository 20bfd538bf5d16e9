"""Who may call: a bearer token, compared in constant time, and the scope that each route asks for.

A service on loopback has one token with every scope, which its home's `server.json` holds.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Literal

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from planner.domain.errors import BitwrightError

Scope = Literal["plan", "run", "approve", "execute", "audit", "admin"]
EVERY_SCOPE: frozenset[Scope] = frozenset({"plan", "run", "approve", "execute", "audit", "admin"})


class NotAuthorised(BitwrightError):
    """No token, or one that nobody issued."""

    exit_status = 5
    http_status = 401


class NotAllowed(BitwrightError):
    """A token without the scope that the route asks for."""

    exit_status = 5
    http_status = 403


def make_guard(tokens: Mapping[str, frozenset[Scope]]) -> Guard:
    """A guard that lets requests with a known token and the route's scope through.

    A route's scope stands in its `opt["scope"]`; a route without one is open, but a token that is sent to it
    still has to be known.
    """

    def check_token(
        connection: ASGIConnection[BaseRouteHandler, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        header = connection.headers.get("authorization", "")
        scope = handler.opt.get("scope")
        if scope is None and not header:
            return
        scopes = _find_scopes(tokens, header)
        if scope is not None and scope not in scopes:
            raise NotAllowed("token.scope", f"This token lacks the scope {scope}. Ask for one that has it.")

    return check_token


def _find_scopes(tokens: Mapping[str, frozenset[Scope]], header: str) -> frozenset[Scope]:
    kind, _, sent = header.partition(" ")
    if kind.lower() != "bearer" or not sent:
        raise NotAuthorised("token.missing", "The request carries no token: Authorization: Bearer TOKEN.")
    for token, scopes in tokens.items():
        if hmac.compare_digest(token.encode(), sent.strip().encode()):
            return scopes
    raise NotAuthorised("token.unknown", "This token is not known here. Was the service started anew?")
