"""How a backend script talks: one JSON job in, JSON-line events out, the last one the result.

The scripts of every backend share this file, `checkpoint.py` and `scoring.py` beside it, and nothing else;
they import nothing of Bitwright, so that they run in any backend's environment (the executor puts this folder
on PYTHONPATH).

File descriptor 1 is taken away before a library is imported: whatever prints, Python or C, goes to standard
error, which the executor keeps as the job's log. Known limit: peak memory is that of this process alone (the
executor measures the whole tree).
"""

import importlib.metadata
import json
import os
import platform
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

SHORT_WRITE = re.compile(r"\d+ requested and \d+ written|File too large")
"""How NumPy and the system say that a write ended early."""


class JobError(Exception):
    """A refusal that the person who asked can act on: a stable code and one sentence with what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Wire:
    """The way out of a backend script: stages, warnings, and the result."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.stage_seconds: dict[str, float] = {}

    def send(self, event: Mapping[str, object]) -> None:
        """Write one event as one line; numbers that JSON cannot hold are an error here, not at the reader."""
        self._stream.write(json.dumps(event, allow_nan=False, ensure_ascii=False) + "\n")
        self._stream.flush()

    def stage(self, stage: str, done: int, total: int, unit: str) -> None:
        """Say how far a stage is."""
        self.send({"event": "stage", "stage": stage, "done": done, "total": total, "unit": unit})

    def warn(self, message: str) -> None:
        """Say something that the person should know and that does not stop the job."""
        self.send({"event": "warning", "message": message})

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds spent inside to the stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + time.monotonic() - started


def run_script(work: Callable[[dict[str, Any], Wire], dict[str, object]]) -> NoReturn:
    """Read the job, do the work, print its result or its error, and leave with 0 or 1."""
    wire = Wire(_claim_stdout())
    _end_with_parent()
    try:
        result = work(_read_job(), wire)
        # Sent inside, so that a NaN in a result is refused like any other failure.
        wire.send({"event": "result", **result})
    except JobError as error:
        wire.send({"event": "error", "code": error.code, "message": error.message})
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  the protocol promises an error event, whatever a library throws
        traceback.print_exc()
        wire.send(explain_exception(error))
        sys.exit(1)
    sys.exit(0)


def explain_exception(error: Exception) -> dict[str, object]:
    """The error event for something that no script foresaw."""
    line = (str(error).strip().splitlines() or ["no message"])[0][:300]
    # Libraries wrap the system's error in their own; its words stay.
    if "No space left on device" in str(error) or "Disk quota exceeded" in str(error):
        return _error("backend.disk_full", "The disk filled up. Free some space, then retry.")
    if SHORT_WRITE.search(str(error)):
        return _error(
            "backend.disk_full",
            f"A file could not be written whole ({line}): the disk, a quota or a file size limit (ulimit -f) is at "
            "its end. Free some space or lift the limit, then retry. See the log.",
        )
    if isinstance(error, MemoryError) or "DefaultCPUAllocator: can't allocate memory" in str(error):
        return _error("backend.out_of_memory", "Memory ran out. Free some, or run on a host with more.")
    if isinstance(error, OSError):
        return _error(
            "backend.io", f"{error.strerror or line}: {error.filename or 'no file named'}. See the log."
        )
    return _error("backend.unexpected", f"{type(error).__name__}: {line}. The job's log has the whole story.")


def peak_ram_bytes() -> int:
    """The most resident memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def tool_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Exact versions of Python and of the named distributions in this environment."""
    found = {"python": platform.python_version()}
    for name in distributions:
        found[name] = importlib.metadata.version(name)
    return found


def _claim_stdout() -> TextIO:
    """Keep the real standard output for events and point descriptor 1 at standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return events


def _end_with_parent() -> None:
    """End this whole process group, which the executor made for the job, when the executor's pipe closes."""
    descriptor = os.environ.get("BITWRIGHT_LIFELINE")
    if descriptor is None or os.getpgrp() != os.getpid():
        return

    def wait() -> None:
        os.read(int(descriptor), 1)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _read_job() -> dict[str, Any]:
    try:
        job = json.loads(sys.stdin.read())
    except ValueError as error:
        raise JobError("backend.bad_job", f"Standard input is not one JSON job ({error}).") from None
    if not isinstance(job, dict):
        raise JobError("backend.bad_job", "Standard input is JSON, but not an object.")
    return job


def _error(code: str, message: str) -> dict[str, object]:
    return {"event": "error", "code": code, "message": message}
