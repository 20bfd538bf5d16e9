"""What an executor tells while it works, kept in order for whoever follows."""

from collections.abc import Mapping, Sequence
from typing import Any

from planner.domain.record.job import Job
from planner.usecases.claim_job import take_up_again
from planner.usecases.workshop import Workshop


def record_events(workshop: Workshop, claim_id: str, events: Sequence[Mapping[str, Any]]) -> Job:
    """Append a claimed job's events; those of a job that is no longer claimed are dropped. The job.

    Raises:
        BadInput: `claim.unknown`, also when the job went to another host.
    """
    job = take_up_again(workshop, workshop.claims.find_claimed_job(claim_id), claim_id)
    if job.state == "claimed":
        now = workshop.clock.now()
        for event in events:
            workshop.job_events.add_job_event(job.job_id, event, now)
    return job
