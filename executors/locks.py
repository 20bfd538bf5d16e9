"""File locks that the system lets go of when their holder dies, however it dies.

flock on a file of its own; the file is removed on the way out. Because a file may be removed between opening
and locking it, a lock counts only if the path still names the file that was locked. Not for network file
systems without flock.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from executors.errors import JobCancelled, JobRefused

POLL_SECONDS = 0.1


@contextmanager
def hold_lock(path: Path, *, wait_seconds: float, cancel: threading.Event | None = None) -> Iterator[None]:
    """Hold the lock inside; wait for another holder at most so long.

    Raises:
        JobRefused: `lock.busy`, when the wait is over.
        JobCancelled: when cancelled while waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    while (descriptor := try_lock(path)) is None:
        if cancel is not None and cancel.is_set():
            raise JobCancelled
        if time.monotonic() > deadline:
            raise JobRefused(
                "lock.busy",
                f"Another process has held {path.name} for {wait_seconds:.0f} s. Wait for it, or end it.",
            )
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        release_lock(path, descriptor)


def try_lock(path: Path) -> int | None:
    """The locked file's descriptor, or None where someone living holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_current = os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        is_current = False
    if not is_current:
        os.close(descriptor)
        return None
    return descriptor


def release_lock(path: Path, descriptor: int) -> None:
    """Remove the file and let go."""
    with suppress(FileNotFoundError):
        path.unlink()
    os.close(descriptor)
