"""`server.json` in a home: which service owns its database, if one lives.

The file names address, process and token, readable by its owner only. It is a claim, not a lock: whoever holds
the database is the owner, and a file left by a killed service is recognised by a dead process or by an address
that does not answer to the token.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "server.json"
ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A service that said it owns this home."""

    url: str
    pid: int
    token: str
    started_at: str


def write_server(home: Path, server: LiveServer) -> None:
    """Replace the file in one step, readable by its owner only."""
    temporary = home / f".{FILE_NAME}.{server.pid}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(server), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(home / FILE_NAME)


def remove_server(home: Path, pid: int) -> None:
    """Remove the file if it still is this process's."""
    server = read_server(home)
    if server is not None and server.pid == pid:
        (home / FILE_NAME).unlink(missing_ok=True)


def read_server(home: Path) -> LiveServer | None:
    """What the file says, or None where there is none that can be read."""
    with suppress(OSError, ValueError, TypeError):
        return LiveServer(**json.loads((home / FILE_NAME).read_text(encoding="utf-8")))
    return None


def is_claimed(home: Path) -> bool:
    """Whether the process that said it owns this home lives, answering or not."""
    server = read_server(home)
    return server is not None and _is_alive(server.pid)


def find_live_server(home: Path) -> LiveServer | None:
    """The service that owns this home, if its process lives and it answers to its token."""
    server = read_server(home)
    if server is None or not _is_alive(server.pid):
        return None
    from planner.contract.client import Client  # noqa: PLC0415 - httpx costs a tenth of a second
    from planner.contract.errors import ContractError  # noqa: PLC0415
    from planner.contract.retries import Patience  # noqa: PLC0415

    with Client(server.url, server.token, patience=Patience(seconds=ANSWER_SECONDS)) as client:
        try:
            health = client.check_health()
        except ContractError:
            return None
    return server if health.pid == server.pid else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
