"""An executor ends a job without an artifact, or confirms that it stopped one that was cancelled."""

from planner.domain.record.job import Job
from planner.usecases.claim_job import take_up_again
from planner.usecases.move_job import move_job
from planner.usecases.workshop import Workshop


def fail_job(workshop: Workshop, claim_id: str, code: str, message: str) -> Job:
    """Record why a claimed job ended; a job that is over stays as it is.

    Raises:
        BadInput: `claim.unknown`.
    """
    job = take_up_again(workshop, workshop.claims.find_claimed_job(claim_id), claim_id)
    if job.state != "claimed":
        return job
    return move_job(workshop, job, "failed", error={"code": code, "message": message})
