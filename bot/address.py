"""Where the service is and what opens it: as said, or as the home's `server.json` says at the moment.

A service that owns the home takes a new token at every start, and maybe another port, so the file is read again
when the one that was known does not open it any more.
"""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.failures import Refused
from bot.settings import Settings


@dataclass(frozen=True, slots=True)
class Address:
    """Where, and with which token."""

    url: str
    token: str = field(repr=False)


def find_address(settings: Settings, server: str | None = None, token_file: Path | None = None) -> Address:
    """The service: options first, then the environment, then the one that owns the home.

    Raises:
        Refused: `settings.no_service`.
    """
    own = _read_json(settings.home / "server.json")
    given = _read_token(token_file) if token_file else {}
    url = server or settings.server or given.get("url") or own.get("url")
    token = given.get("token") or settings.token or own.get("token")
    if not url or not token:
        raise Refused(
            "settings.no_service",
            "Which service? Start one with: bitwright serve, or set BITWRIGHT_SERVER and BITWRIGHT_TOKEN.",
        )
    return Address(url, token)


def _read_token(path: Path) -> dict[str, str]:
    """A file with the token alone, or a server.json."""
    with suppress(OSError):
        text = path.read_text(encoding="utf-8").strip()
        return _read_json(path) if text.startswith("{") else {"token": text}
    return {}


def _read_json(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        read = json.loads(path.read_text(encoding="utf-8"))
        return read if isinstance(read, dict) else {}
    return {}
