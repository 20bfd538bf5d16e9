"""Everything an executor refuses or loses: a stable code, and one sentence with what to do next.

ExecutorError
├── JobRefused          nothing was started: bad job, no room, unknown backend, an artifact in the way
├── EnvironmentFailed   the backend's own environment could not be built
├── BackendFailed       the backend said so, or died, hung, or broke its protocol
├── ArtifactRejected    it was made, and is not fit to be published
├── HostFailed          the machine refused: disk full, not writable, file taken away
└── JobCancelled        someone asked for it
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class ExecutorError(Exception):
    """The root: a stable code, and a sentence for the person who asked."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class JobRefused(ExecutorError):
    """Nothing was started."""


class EnvironmentFailed(ExecutorError):
    """The backend's own environment could not be built."""


class BackendFailed(ExecutorError):
    """The backend said so, or died, hung, or broke its protocol."""


class ArtifactRejected(ExecutorError):
    """The artifact was made, and is not fit to be published."""


class HostFailed(ExecutorError):
    """The machine refused: disk full, not writable, file taken away."""


class JobCancelled(ExecutorError):
    """Someone asked for it."""

    def __init__(self) -> None:
        super().__init__("job.cancelled", "The job was cancelled. Nothing was published.")


@contextmanager
def tell_host_failures(what: str) -> Iterator[None]:
    """Turn what the operating system refuses inside into a `HostFailed`: `host.disk_full` or `host.io`."""
    try:
        yield
    except OSError as error:
        named = f" ({error.filename})" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"The disk filled up during {what}{named}. Nothing was published. Free some space, then retry."
            raise HostFailed("host.disk_full", message) from error
        reason = f"{error.strerror or error}{named}"
        message = f"The machine refused something during {what}: {reason}. Nothing was published."
        raise HostFailed("host.io", message) from error
