"""One move of a job's state, told to whoever follows it."""

from collections.abc import Mapping
from typing import Any

from planner.domain.record.job import Job, JobState, check_move
from planner.usecases.workshop import Workshop


def move_job(
    workshop: Workshop,
    job: Job,
    state: JobState,
    *,
    host: str | None = None,
    claim_id: str | None = None,
    approved_by: str | None = None,
    result: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> Job:
    """Move a job and append the move to its events; the job as it is afterwards.

    Raises:
        BadInput: `job.illegal_move`, also when somebody else moved it since it was read.
    """
    now = workshop.clock.now()
    event: dict[str, Any] = {"event": "state", "state": state}
    if host is not None:
        event["host"] = host
    if approved_by is not None:
        event["by"] = approved_by
    if error is not None:
        event["error"] = dict(error)
    # Together, so that whoever sees a job that is over has been told all of it.
    with workshop.together():
        check_move(job, state)
        while not workshop.jobs.move_job(
            job.job_id,
            job.state,
            state,
            now,
            host=host,
            claim_id=claim_id,
            approved_by=approved_by,
            result=result,
            error=error,
        ):
            job = workshop.jobs.find_job(job.job_id)
            check_move(job, state)
        workshop.job_events.add_job_event(job.job_id, event, now)
        return workshop.jobs.find_job(job.job_id)
