"""Run a command in its own process group, watch it, and leave none of the group behind.

It is ended (TERM, two seconds, then KILL, the whole group) when it is cancelled, exceeds its time, or shows
no sign of life for so long; what is left of its group after it ends is killed too. A grandchild that makes
its own session escapes. Memory is read from /proc twice a second: not at all on macOS, and a short peak is
missed.
"""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from executors.errors import BackendFailed, JobCancelled

GRACE_SECONDS = 2.0
POLL_SECONDS = 0.1
MEMORY_EVERY_SECONDS = 0.5
LONGEST_LINE = 4 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a supervised process ended."""

    returncode: int
    seconds: float
    peak_ram_bytes: int  # the group's resident memory summed, so that shared pages count more than once


def supervise(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    standard_input: bytes,
    log: Path,
    on_line: Callable[[bytes], bool],
    cancel: threading.Event,
    timeout_seconds: float,
    silence_seconds: float,
) -> Ending:
    """Run a command in its own process group.

    `on_line` gets each line of its output, and says whether it was a sign of life.

    Raises:
        BackendFailed: `backend.timeout` or `backend.silent`.
        JobCancelled: when cancelled.
    """
    if cancel.is_set():
        raise JobCancelled
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    lifeline, held_end = os.pipe()
    with log.open("ab") as log_file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            env={**environment, "BITWRIGHT_LIFELINE": str(lifeline)},
            pass_fds=(lifeline,),
            start_new_session=True,
        )
    os.close(lifeline)
    assert process.stdin is not None
    assert process.stdout is not None
    lines: queue.Queue[bytes | None] = queue.Queue(maxsize=10_000)
    threading.Thread(target=_feed, args=(process.stdin, standard_input), daemon=True).start()
    reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
    reader.start()
    try:
        peak = _watch(
            process,
            lines,
            on_line=on_line,
            cancel=cancel,
            started=started,
            timeout_seconds=timeout_seconds,
            silence_seconds=silence_seconds,
            name=Path(command[-1]).stem,
        )
    finally:
        end_group(process)
        os.close(held_end)
    # Take what it still said. Only a grandchild that left the group can still hold the pipe: do not wait for
    # it.
    deadline = time.monotonic() + GRACE_SECONDS
    while reader.is_alive() and time.monotonic() < deadline:
        _drain(lines, on_line)
        reader.join(0.02)
    _drain(lines, on_line)
    return Ending(returncode=process.returncode, seconds=time.monotonic() - started, peak_ram_bytes=peak)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, then make it; reap its leader."""
    if not _has_ended(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while not _has_ended(process) and time.monotonic() < deadline:
            time.sleep(0.02)
    # Before the leader is reaped, so that its number cannot have passed to another group.
    with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError when only zombies are left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def group_ram_bytes(group: int) -> int:
    """Resident bytes of every process in the group; 0 where the system has no /proc."""
    total = 0
    with suppress(OSError):
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            with suppress(OSError, ValueError, IndexError):
                # After the command name, which may hold spaces and brackets: state, ppid, pgrp …, rss is the
                # 22nd.
                fields = (
                    Path(entry.path, "stat")
                    .read_text(encoding="utf-8", errors="replace")
                    .rpartition(")")[2]
                    .split()
                )
                if int(fields[2]) == group:
                    total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total


def _watch(
    process: subprocess.Popen[bytes],
    lines: "queue.Queue[bytes | None]",
    *,
    on_line: Callable[[bytes], bool],
    cancel: threading.Event,
    started: float,
    timeout_seconds: float,
    silence_seconds: float,
    name: str,
) -> int:
    """Hand lines on until the process ends; the most memory its group held."""
    peak = 0
    heard = measured = started
    while not _has_ended(process):
        with suppress(queue.Empty):
            line = lines.get(timeout=POLL_SECONDS)
            if line is None:
                time.sleep(POLL_SECONDS)  # it closed its output and lives on
            elif on_line(line):
                heard = time.monotonic()
        now = time.monotonic()
        if now - measured > MEMORY_EVERY_SECONDS or peak == 0:
            peak, measured = max(peak, group_ram_bytes(process.pid)), now
        if cancel.is_set():
            raise JobCancelled
        if now - started > timeout_seconds:
            raise BackendFailed(
                "backend.timeout", f"{name} took more than {timeout_seconds:.0f} s and was ended."
            )
        if now - heard > silence_seconds:
            raise BackendFailed(
                "backend.silent", f"{name} said nothing for {silence_seconds:.0f} s and was ended."
            )
    return peak


def _drain(lines: "queue.Queue[bytes | None]", on_line: Callable[[bytes], bool]) -> None:
    with suppress(queue.Empty):
        while (line := lines.get_nowait()) is not None:
            on_line(line)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the leader has ended, without reaping it where the system can tell."""
    if process.returncode is not None:
        return True
    if sys.platform == "linux":
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, process.pid, flags) is not None
    return process.poll() is not None  # type: ignore[unreachable]  # on macOS


def _feed(stream: IO[bytes], content: bytes) -> None:
    with suppress(OSError):  # it may end without reading
        stream.write(content)
    with suppress(OSError):
        stream.close()


def _read_lines(stream: IO[bytes], lines: "queue.Queue[bytes | None]") -> None:
    """Whole lines; what is longer than any event is handed on in pieces, which no reader takes for one."""
    with suppress(OSError, ValueError), stream:
        while line := stream.readline(LONGEST_LINE):
            lines.put(line)
    lines.put(None)
