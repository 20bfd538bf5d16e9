"""A person lets a job run. Who asked for a costly one does not approve it; the owner of the home may do both."""

from planner.domain.errors import BadInput
from planner.domain.record.choice import CHOICE_FIELDS, choose_candidate
from planner.domain.record.job import Job
from planner.domain.record.token import OWNER
from planner.domain.units import format_seconds
from planner.usecases.move_job import move_job
from planner.usecases.workshop import Workshop


def approve_job(workshop: Workshop, job_id: str, by: str = OWNER) -> Job:
    """Hand a submitted job to executors.

    Raises:
        BadInput: `job.unknown`, `job.illegal_move`, `job.own_approval`.
    """
    job = workshop.jobs.find_job(job_id)
    if by == job.submitted_by and by != OWNER and job.state == "submitted":
        _check_cost(workshop, job)
    return move_job(workshop, job, "approved", approved_by=by)


def _check_cost(workshop: Workshop, job: Job) -> None:
    decision = workshop.decisions.find_decision(job.decision_id)
    made = choose_candidate(decision.body, {name: job.specification.get(name) for name in CHOICE_FIELDS})
    _, minutes = made["job"]["intervals"]["minutes"]
    limit = workshop.approval_minutes
    if limit == 0 or minutes > limit:
        raise BadInput(
            "job.own_approval",
            f"Who asks for a run does not approve it: this one may take {format_seconds(60 * minutes)}, "
            f"{format_seconds(60 * limit)} is the limit (BITWRIGHT_APPROVAL_MINUTES). Ask someone else. "
            "(A bot's token is made with: bitwright token create --speaks-for-others.)",
        )
