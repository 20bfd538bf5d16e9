"""Tokens in the store. Every request is checked against them, so they are read once and kept while none changes."""

from typing import Any

from planner.domain.record.token import Token
from planner.store.connection import Database
from planner.store.queries import load_queries


class TokenStore:
    """All tokens, revoked ones too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("tokens")
        self._kept: dict[str, Token] | None = None

    def add_token(self, token: Token) -> None:
        """Keep a token."""
        self._write(
            "add_token",
            {
                "token_id": token.token_id,
                "name": token.name,
                "scopes": sorted(token.scopes),
                "speaks_for_others": token.speaks_for_others,
                "salt": token.salt,
                "hash": token.hash,
                "at": token.created_at,
            },
        )

    def find_token(self, token_id: str) -> Token | None:
        """By id."""
        return self._tokens().get(token_id)

    def list_tokens(self) -> list[Token]:
        """Oldest first."""
        return list(self._tokens().values())

    def revoke_token(self, token_id: str, at: str) -> None:
        """End a token; one that is revoked already stays as it is."""
        self._write("revoke_token", {"token_id": token_id, "at": at})

    def _write(self, query: str, parameters: dict[str, Any]) -> None:
        with self._database.writer() as cursor:
            cursor.execute(self._queries[query], parameters)
            self._kept = None

    def _tokens(self) -> dict[str, Token]:
        kept = self._kept
        if kept is None:
            with self._database.cursor() as cursor:
                rows = cursor.execute(self._queries["list_tokens"]).fetchall()
            kept = {row[0]: _read_token(row) for row in rows}
            self._kept = kept
        return kept


def _read_token(row: tuple[Any, ...]) -> Token:
    token_id, name, scopes, speaks, salt, hashed, created_at, revoked_at = row
    return Token(
        token_id=token_id,
        name=name,
        scopes=frozenset(scopes),
        speaks_for_others=speaks,
        salt=salt,
        hash=hashed,
        created_at=created_at,
        revoked_at=revoked_at,
    )
