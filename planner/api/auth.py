"""Who may call: a bearer token and the scope that each route asks for.

A service has a token of its own with every scope, which its home's `server.json` holds, and knows the tokens of its
store. A token that may speak for others names a person in `On-Behalf-Of`; the record then has both names.
"""

import hmac
from typing import Any

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from planner.domain.errors import BitwrightError
from planner.domain.record.token import THE_OWNER, Caller, Scope, hash_secret, split_token
from planner.ports import TokenStore

LONGEST_PERSON = 80
ANY_SCOPE = "any"
"""For a route whose acts take different scopes: a token is needed, and the handler asks for the act's scope."""


class NotAuthorised(BitwrightError):
    """No token, or one that nobody issued."""

    exit_status = 5
    http_status = 401


class NotAllowed(BitwrightError):
    """A token without the scope that the route asks for."""

    exit_status = 5
    http_status = 403


def make_guard(own_token: str, tokens: TokenStore) -> Guard:
    """A guard that lets requests with a known token and the route's scope through.

    A route's scope stands in its `opt["scope"]`; a route without one is open, but a token that is sent to it
    still has to be known.
    """

    async def check_token(
        connection: ASGIConnection[BaseRouteHandler, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        header = connection.headers.get("authorization", "")
        scope = handler.opt.get("scope")
        if scope is None and not header:
            return
        sent = _read_token(header)
        person = connection.headers.get("on-behalf-of", "").strip()
        if hmac.compare_digest(own_token.encode(), sent.encode()):
            caller = _name_person(THE_OWNER, person, may_speak=True)
        else:
            caller = await to_thread.run_sync(_find_caller, tokens, sent, person)
        if scope not in {None, ANY_SCOPE}:
            check_scope(caller, scope)
        connection.state.caller = caller

    return check_token


def check_scope(caller: Caller, scope: Scope) -> None:
    """Refuse who lacks a scope.

    Raises:
        NotAllowed: `token.scope`.
    """
    if scope not in caller.scopes:
        raise NotAllowed(
            "token.scope",
            f'The token "{caller.name}" lacks the scope {scope}. Make one that has it: '
            f"bitwright token create --scopes {scope}",
        )


def give_caller(request: Request[Any, Any, Any]) -> Caller:
    """Who the guard found; an open route has nobody."""
    caller = request.state.get("caller")
    return caller if isinstance(caller, Caller) else Caller(name="nobody", scopes=frozenset())


def _read_token(header: str) -> str:
    kind, _, sent = header.partition(" ")
    sent = sent.strip()
    if kind.lower() != "bearer" or not sent:
        raise NotAuthorised("token.missing", "The request carries no token: Authorization: Bearer TOKEN.")
    return sent


def _find_caller(tokens: TokenStore, sent: str, person: str) -> Caller:
    parts = split_token(sent)
    token = tokens.find_token(parts[0]) if parts else None
    if (
        token is None
        or parts is None
        or not hmac.compare_digest(token.hash, hash_secret(token.salt, parts[1]))
    ):
        raise NotAuthorised("token.unknown", "This token is not known here. Was the service started anew?")
    if token.revoked_at is not None:
        raise NotAuthorised("token.revoked", f'The token "{token.name}" was revoked at {token.revoked_at}.')
    caller = Caller(name=token.name, scopes=token.scopes)
    return _name_person(caller, person, may_speak=token.speaks_for_others)


def _name_person(caller: Caller, person: str, *, may_speak: bool) -> Caller:
    """Caller and person; a token that may not speak for others speaks for its holder alone."""
    if not person or not may_speak:
        return caller
    return Caller(name=f"{caller.name}/{person[:LONGEST_PERSON]}", scopes=caller.scopes)
