"""A job that failed or was cancelled, once more: a new job of the same decision, which waits for approval again."""

from planner.domain.errors import BadInput
from planner.domain.record.choice import CHOICE_FIELDS
from planner.domain.record.job import Job
from planner.domain.record.token import OWNER
from planner.usecases.submit_job import submit_job
from planner.usecases.workshop import Workshop


def retry_job(workshop: Workshop, job_id: str, by: str = OWNER) -> Job:
    """The job that makes what this one did not; asked again, the same one.

    Raises:
        BadInput: `job.unknown`, or `job.not_over` for one that may still succeed or did.
    """
    job = workshop.jobs.find_job(job_id)
    if job.state not in {"failed", "cancelled"}:
        raise BadInput(
            "job.not_over", f"Job {job.job_id} is {job.state}: only one that failed is tried again."
        )
    made = {name: job.specification.get(name) for name in CHOICE_FIELDS}
    return submit_job(
        workshop,
        job.decision_id,
        choice={name: value for name, value in made.items() if value is not None},
        calibration_file=job.specification.get("calibration_file"),
        idempotency_key=f"retry-{job.job_id}",
        by=by,
    )
