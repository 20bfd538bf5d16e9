"""Run a backend's script behind a wall: own process group, bare environment, JSON in, JSON lines out.

How it is watched and ended: supervise.py. A descriptor the script inherits closes when the executor dies, and
`jobwire.py` then ends the group, so that a killed executor leaves nothing running.

What is NOT protected: the script runs as the same user, may read and write what that user may, and may use
the network; a grandchild that makes its own session escapes the group; memory is measured twice a second, not
limited. Backends are trusted code in pinned versions: the wall is against accidents.
"""

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.errors import BackendFailed
from executors.supervise import Ending, supervise

Event = dict[str, Any]

# What a script needs from outside. No HOME, no tokens, no proxies: it has no business on the network.
PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)


@dataclass(frozen=True, kw_only=True)
class ScriptRun:
    """A script that ended well: its result event, how long it took and the most memory its processes held."""

    result: Event
    seconds: float
    peak_ram_bytes: int


def run_script(
    python: Path,
    script: Path,
    job: Mapping[str, object],
    *,
    shared_modules: Path,
    scratch: Path,
    log: Path,
    on_event: Callable[[Event], None],
    cancel: threading.Event,
    timeout_seconds: float,
    silence_seconds: float,
) -> ScriptRun:
    """Run one backend script to its result event; its standard error goes to the log.

    Raises:
        BackendFailed: its own error event's code, or `backend.killed`, `backend.crashed`,
            `backend.timeout`, `backend.silent`, `backend.no_result`.
        JobCancelled: when cancelled.
    """
    last: Event = {}
    is_warned = False

    def receive(line: bytes) -> bool:
        nonlocal last, is_warned
        event = parse_event(line)
        if event is None:
            if not is_warned:
                on_event(
                    {
                        "event": "warning",
                        "message": f"{script.stem} printed a line that is no event: {line[:80]!r}",
                    }
                )
            is_warned = True
            return False
        last = event
        if event["event"] in ("stage", "warning"):
            on_event(event)
        return True

    ending = supervise(
        [str(python), str(script)],
        environment=bare_environment(scratch, shared_modules, int(str(job.get("threads") or 1))),
        standard_input=json.dumps(job).encode(),
        log=log,
        on_line=receive,
        cancel=cancel,
        timeout_seconds=timeout_seconds,
        silence_seconds=silence_seconds,
    )
    if last.get("event") == "error":
        message = str(last.get("message", "It gave no reason."))
        raise BackendFailed(
            str(last.get("code", "backend.unknown")), message.replace("See the log.", f"See {log}.")
        )
    if ending.returncode != 0:
        raise explain_death(script.stem, ending, log)
    if last.get("event") != "result":
        raise BackendFailed(
            "backend.no_result",
            f"{script.stem} ended well but gave no result. This is a fault of the backend; see {log}.",
        )
    return ScriptRun(result=last, seconds=ending.seconds, peak_ram_bytes=ending.peak_ram_bytes)


def bare_environment(scratch: Path, shared_modules: Path, threads: int) -> dict[str, str]:
    """The environment of a script: the allowed names; its home is a folder that goes with the job."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {
        **passed,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "HF_HOME": str(scratch / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # on a busy host, threads that spin while they wait double the work
        "PYTHONPATH": str(shared_modules),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def parse_event(line: bytes) -> Event | None:
    """The event on a line, if it is one."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def explain_death(name: str, ending: Ending, log: Path) -> BackendFailed:
    """A sentence for an exit status that came without an error event."""
    peak = f"{ending.peak_ram_bytes / 1024**3:.1f} GiB"
    if ending.returncode == -signal.SIGKILL:
        return BackendFailed(
            "backend.killed",
            f"{name} was killed from outside, most often because memory ran out (it held {peak}). "
            "Free memory, or run on a host with more.",
        )
    if ending.returncode < 0:
        number = -ending.returncode
        known = {int(known) for known in signal.Signals}
        signal_name = signal.Signals(number).name if number in known else str(number)
        return BackendFailed("backend.crashed", f"{name} crashed ({signal_name}, it held {peak}). See {log}.")
    return BackendFailed(
        "backend.crashed", f"{name} ended with status {ending.returncode} and no reason. See {log}."
    )
