"""A person lets a job run."""

from planner.domain.record.job import Job
from planner.usecases.move_job import move_job
from planner.usecases.workshop import Workshop


def approve_job(workshop: Workshop, job_id: str) -> Job:
    """Hand a submitted job to executors.

    Raises:
        BadInput: `job.unknown`, `job.illegal_move`.
    """
    return move_job(workshop, workshop.jobs.find_job(job_id), "approved")
