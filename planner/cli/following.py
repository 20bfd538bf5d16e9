"""Follow a job to its end while its executor runs beside us, and notice when either is gone."""

import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from planner.cli.door import Door
from planner.domain.errors import BitwrightError, JobFailed

LOOK_SECONDS = 0.2
LAST_WORD_SECONDS = 5.0
"""How long an executor that ended may have its last word still on the way."""
REFUSED_STATUS = 2
"""An executor's exit status when the job went to another one."""
FINAL_STATES = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Ended:
    """The stream is over, or broke with an error."""

    error: BaseException | None = None


def follow_job(door: Door, job_id: str, executor: subprocess.Popen[bytes] | None) -> Iterator[dict[str, Any]]:
    """The job's events until it is over.

    Raises:
        BitwrightError: the service is gone.
        JobFailed: `executor.died`, the executor ended without a word.
    """
    told: queue.Queue[dict[str, Any] | Ended] = queue.Queue()
    threading.Thread(target=_read, args=(door, job_id, told), daemon=True).start()
    silent_since_death = 0.0
    while True:
        try:
            event = told.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            silent_since_death = _count_silence(executor, silent_since_death)
            if silent_since_death > LAST_WORD_SECONDS:
                raise _explain_death(door, job_id, executor) from None
            continue
        if isinstance(event, Ended):
            if event.error is not None:
                raise event.error
            return
        yield event


def _read(door: Door, job_id: str, told: "queue.Queue[dict[str, Any] | Ended]") -> None:
    try:
        for event in door.follow_job(job_id):
            told.put(event)
    except BitwrightError as error:
        told.put(Ended(error))
    except Exception as error:  # noqa: BLE001 - the reader in the other thread must hear of it
        told.put(Ended(error))
    else:
        told.put(Ended())


def _count_silence(executor: subprocess.Popen[bytes] | None, so_far: float) -> float:
    """Seconds without a word since the executor ended; none when it runs, or left the job to another."""
    if executor is None or executor.poll() in {None, REFUSED_STATUS}:
        return 0.0
    return so_far + LOOK_SECONDS


def _explain_death(door: Door, job_id: str, executor: subprocess.Popen[bytes] | None) -> JobFailed:
    status = None if executor is None else executor.poll()
    if door.find_job(job_id)["state"] not in FINAL_STATES:
        door.cancel_job(job_id)
    return JobFailed(
        "executor.died",
        f"The executor ended with status {status} in the middle of job {job_id}. Nothing was published; its log is "
        "logs/executor.log in the home. Run it again: what a killed job left is swept up by the next one.",
    )
