"""The service that a command works through: one that lives on this home, or one of its own while it is needed.

Who looks for a service and starts one holds `service-start.lock`, so that two commands never start two. Who uses
another command's service holds `service-users.lock`, shared; the owner ends its service when it can hold that lock
alone, and within the first, so that nobody joins a service that is ending. The system takes both locks back from
the dead. A service that went away all the same, its owner killed or stopped by Ctrl-C, is opened again by whoever
misses it first, at its old address with its old token: executors and clients go on as if it had been slow.
"""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from planner.cli.processes import bitwright, end_process, started
from planner.cli.server_door import KINDS
from planner.domain.errors import MachineRefused, Unreachable
from planner.live_server import LiveServer, find_live_server, read_server
from planner.settings import Settings

START_LOCK = "service-start.lock"
USERS_LOCK = "service-users.lock"
START_SECONDS = 15.0
"""How long a home that another process still holds, or is just opening, is asked again."""
LOOK_SECONDS = 0.25
IN_PASSING = frozenset({"service.running", "service.port_taken", "database.held"})
"""Refusals of a start that pass when another service has begun or ended."""


class HomeService:
    """A command's hold on the service of its home."""

    def __init__(self, settings: Settings, ending: ExitStack) -> None:
        self._settings = settings
        self._ending = ending
        self.server = _find_or_start(settings, ending, None)

    def revive(self) -> None:
        """Open it again where it was, if nobody did yet.

        Raises:
            Unreachable: `service.replaced`, another one owns the home now, elsewhere.
            BitwrightError: what it refused when it started.
        """
        self._ending.close()
        before, self.server = self.server, _find_or_start(self._settings, self._ending, self.server)
        if (self.server.url, self.server.token) != (before.url, before.token):
            raise Unreachable(
                "service.replaced",
                f"The service at {before.url} went away, and another owns {self._settings.home} now. Run it again.",
            )


@contextmanager
def open_service(settings: Settings) -> Iterator[HomeService]:
    """The service that owns the home: a live one, or one that is started here and ended here.

    Raises:
        BitwrightError: what the service refused when it started.
    """
    with ExitStack() as ending:
        yield HomeService(settings, ending)


def _find_or_start(settings: Settings, ending: ExitStack, before: LiveServer | None) -> LiveServer:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with _hold(settings.home / START_LOCK, fcntl.LOCK_EX):
            live = find_live_server(settings.home)
            if live is not None:
                ending.enter_context(_hold(settings.home / USERS_LOCK, fcntl.LOCK_SH))
                return live
            try:
                return ending.enter_context(_start(settings, before))
            except MachineRefused as error:
                if error.code not in IN_PASSING or time.monotonic() > deadline:
                    raise
        time.sleep(LOOK_SECONDS)


@contextmanager
def _start(settings: Settings, before: LiveServer | None) -> Iterator[LiveServer]:
    """A service of our own; Ctrl-C ends it at once, anything else waits until nobody uses it any more."""
    port = "0" if before is None else before.url.rpartition(":")[2]
    command = bitwright("serve", "--port", port, "--parent-pid", str(os.getpid()), "--json")
    token = {} if before is None else {"BITWRIGHT_HANDED_TOKEN": before.token}
    log = settings.home / "logs" / "service.log"
    with started(command, log, output=subprocess.PIPE, environment=token) as process:
        server = _wait_for_service(process, settings)
        try:
            yield server
        except Exception:
            _end_when_unused(settings.home, process)
            raise
        _end_when_unused(settings.home, process)


def _end_when_unused(home: Path, process: subprocess.Popen[bytes]) -> None:
    is_told = False
    while process.poll() is None:
        with _hold(home / START_LOCK, fcntl.LOCK_EX), suppress(BlockingIOError):
            with _hold(home / USERS_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
                end_process(process)
            return
        if not is_told:
            click.echo("another quantize still uses this service; waiting", err=True)
        is_told = True
        time.sleep(LOOK_SECONDS)


def _wait_for_service(service: subprocess.Popen[bytes], settings: Settings) -> LiveServer:
    """Its first line says that it is ready, or what it refused."""
    assert service.stdout is not None
    line = service.stdout.readline()
    try:
        said = json.loads(line)
    except ValueError:
        said = {}
    if error := said.get("error"):
        kind = KINDS.get(service.wait(), MachineRefused)
        raise kind(error["code"], error["message"])
    server = read_server(settings.home)
    if server is None or server.pid != said.get("pid"):
        log = settings.home / "logs" / "service.log"
        raise MachineRefused("service.not_started", f"The service did not start. Its log is {log}.")
    return server


@contextmanager
def _hold(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a file; with LOCK_NB a BlockingIOError says that others do."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise MachineRefused(
            "home.not_writable",
            f"Cannot write {path}: {error.strerror}. Set BITWRIGHT_HOME to a folder you may write to.",
        ) from error
    with file:
        fcntl.flock(file, how)
        yield
