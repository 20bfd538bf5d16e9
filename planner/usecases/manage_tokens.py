"""Tokens made, listed and revoked. What a token may do is checked where a request comes in (api/auth.py)."""

import secrets

from planner.domain.errors import BadInput
from planner.domain.record.token import OWNER, Token, hash_secret, read_scopes, write_token
from planner.usecases.workshop import Workshop

LONGEST_NAME = 60


def create_token(
    workshop: Workshop, scopes: list[str], name: str | None = None, *, speaks_for_others: bool = False
) -> tuple[Token, str]:
    """A new token, and the text that its holder sends; the text is kept nowhere.

    Raises:
        BadInput: `token.scopes`, `token.name`.
    """
    allowed = read_scopes(scopes)
    token_id = secrets.token_hex(4)
    label = _check_name(workshop, name or f"token-{token_id}")
    secret, salt = secrets.token_urlsafe(24), secrets.token_hex(16)
    token = Token(
        token_id=token_id,
        name=label,
        scopes=allowed,
        speaks_for_others=speaks_for_others,
        salt=salt,
        hash=hash_secret(salt, secret),
        created_at=workshop.clock.now(),
    )
    workshop.tokens.add_token(token)
    return token, write_token(token_id, secret)


def revoke_token(workshop: Workshop, name: str) -> Token:
    """End a token, by id or name; one that is revoked already stays so.

    Raises:
        BadInput: `token.unknown`.
    """
    tokens = workshop.tokens.list_tokens()
    found = [token for token in tokens if name in {token.token_id, token.name}]
    if not found:
        known = [token.name for token in tokens if token.revoked_at is None]
        raise BadInput(
            "token.unknown", f'No token called "{name}". List them with: bitwright token list', choices=known
        )
    # A name may be used again once its token is revoked: the newest is meant.
    token_id = found[-1].token_id
    workshop.tokens.revoke_token(token_id, workshop.clock.now())
    revoked = workshop.tokens.find_token(token_id)
    assert revoked is not None
    return revoked


def _check_name(workshop: Workshop, name: str) -> str:
    label = name.strip()
    if not label.isprintable() or not 0 < len(label) <= LONGEST_NAME or "/" in label or label == OWNER:
        raise BadInput(
            "token.name",
            f'A token\'s name has 1 to {LONGEST_NAME} characters without "/", and "{OWNER}" is taken.',
        )
    if any(token.name == label and token.revoked_at is None for token in workshop.tokens.list_tokens()):
        raise BadInput("token.name", f'There is a token called "{label}" already: take another --name.')
    return label
