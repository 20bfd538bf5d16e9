"""Processes that a command starts and always ends: the service of the home, an executor for one job.

Each gets a session of its own, so that Ctrl-C reaches the command alone, which then ends them in order; and each
is told this process's id, so that it ends by itself should the command be killed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from planner.domain.errors import MachineRefused

END_SECONDS = 20.0
"""More than a backend's own grace: its group is ended before its executor is."""


@contextmanager
def started(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    output: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running process, its complaints appended to the log; ended on the way out whatever happens."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        complaints = log.open("ab")
    except OSError as error:
        raise MachineRefused("home.not_writable", f"Cannot write {log}: {error.strerror}.") from error
    with complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=complaints if output is None else output,
            stderr=complaints,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_process(process)


def end_like_ctrl_c() -> None:
    """Let SIGTERM stop this command as Ctrl-C does: in order, its job cancelled, its processes ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Do something whole before Ctrl-C or SIGTERM is heard: a job made, and noted as one to cancel."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def bitwright(*arguments: str) -> list[str]:
    """The command line of another Bitwright process, under this interpreter."""
    return [sys.executable, "-m", "planner.main", *arguments]


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, wait, make it; a second Ctrl-C cuts the wait short."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
