"""Who may call: a token's scopes, and the salted hash that is all that is kept of its secret.

A token reads `bw_ID_SECRET`. The id finds the row and the secret, 192 bits of chance, is checked against
SHA-256(salt + secret): what cannot be guessed needs no slow hash. A caller is a token, or a person for whom a token
that may do so speaks (`slack/U123`).
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

from planner.domain.errors import BadInput

Scope = Literal["plan", "run", "approve", "execute", "audit", "admin"]
EVERY_SCOPE: frozenset[Scope] = frozenset(get_args(Scope))
OWNER = "owner"
"""Who holds the home itself: its command line, and the token in its `server.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token as it is kept."""

    token_id: str
    name: str
    scopes: frozenset[Scope]
    speaks_for_others: bool
    """Whether requests may name a person for whom they are made: for a bot that many people talk to."""
    salt: str
    hash: str
    created_at: str
    revoked_at: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The token as everyone with `admin` sees it, without what is kept of its secret."""
        return {
            "token_id": self.token_id,
            "name": self.name,
            "scopes": sorted(self.scopes),
            "speaks_for_others": self.speaks_for_others,
            "created_at": self.created_at,
            "revoked_at": self.revoked_at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, under which name the record has it, and what it may do."""

    name: str
    scopes: frozenset[Scope]


THE_OWNER = Caller(name=OWNER, scopes=EVERY_SCOPE)


def hash_secret(salt: str, secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()


def write_token(token_id: str, secret: str) -> str:
    """The token as its holder keeps it."""
    return f"bw_{token_id}_{secret}"


def split_token(text: str) -> tuple[str, str] | None:
    """Id and secret of a written token; None for anything else."""
    mark, _, rest = text.partition("_")
    token_id, _, secret = rest.partition("_")
    return (token_id, secret) if mark == "bw" and token_id and secret else None


def read_scopes(words: list[str]) -> frozenset[Scope]:
    """Scopes by name.

    Raises:
        BadInput: `token.scopes`, none or an unknown one.
    """
    known = sorted(EVERY_SCOPE)
    unknown = [word for word in words if word not in EVERY_SCOPE]
    if unknown or not words:
        said = f'"{unknown[0]}" is no scope' if unknown else "a token needs a scope"
        raise BadInput(
            "token.scopes", f"{said[:1].upper()}{said[1:]}: they are {', '.join(known)}.", choices=known
        )
    return frozenset(scope for scope in EVERY_SCOPE if scope in words)
