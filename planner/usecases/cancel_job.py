"""A person stops a job. Its executor learns of it with its next word, stops and sweeps up."""

from planner.domain.record.job import Job
from planner.usecases.move_job import move_job
from planner.usecases.workshop import Workshop


def cancel_job(workshop: Workshop, job_id: str) -> Job:
    """Cancel a job that is not over; one that was cancelled already stays so.

    Raises:
        BadInput: `job.unknown`, `job.illegal_move`.
    """
    job = workshop.jobs.find_job(job_id)
    return job if job.state == "cancelled" else move_job(workshop, job, "cancelled")
