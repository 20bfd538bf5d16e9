"""Everything an executor refuses or loses: a stable code, and one sentence with what to do next.

ExecutorError
├── JobRefused          nothing was started: bad job, no room, unknown backend, an artifact in the way
├── EnvironmentFailed   the backend's own environment could not be built
├── BackendFailed       the backend said so, or died, hung, or broke its protocol
├── ArtifactRejected    it was made, and is not fit to be published
└── JobCancelled        someone asked for it
"""


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


class JobCancelled(ExecutorError):
    """Someone asked for it."""

    def __init__(self) -> None:
        super().__init__("job.cancelled", "The job was cancelled. Nothing was published.")
