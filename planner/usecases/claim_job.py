"""A host takes a job under a lease, and keeps it by renewing.

A lease that ends unrenewed gives the job back: the next host may claim it, and the first one's claim then names no
job any more. Until somebody else has it, the first host takes its job up again by renewing. A service that starts
to stay gives every lease another length: nobody could renew while it was away. One that a command starts for
itself, at an address no other host knew, gives back what has lapsed instead.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from planner.domain.errors import BadInput
from planner.domain.record.job import FINAL_STATES, Job
from planner.usecases.move_job import move_job
from planner.usecases.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a host's hands."""

    claim_id: str
    job: Job
    leased_until: str


def claim_job(workshop: Workshop, host: str, job_id: str | None = None) -> Claim | None:
    """The oldest approved job, or the one named; None when there is nothing to do now.

    Raises:
        BadInput: `job.unknown`, `job.not_claimable` for a named job that is over or in other hands, or
            `job.other_host`.
    """
    give_back_lapsed_jobs(workshop)
    wanted = job_id or workshop.claims.oldest_approved_job(host)
    if wanted is None:
        return None
    job = workshop.jobs.find_job(wanted)
    if job.state not in {"submitted", "approved"} and job_id:
        _refuse(job)
    if job.wanted_host not in {None, host}:
        raise BadInput(
            "job.other_host", f"Job {job.job_id} was planned for {job.wanted_host}: {host} cannot have it."
        )
    if job.state != "approved":
        return None
    claim_id, now = f"c-{secrets.token_hex(8)}", workshop.clock.now()
    until = end_of_lease(workshop)
    # The lease first: a claimed job without one would count as lapsed.
    workshop.claims.add_claim(claim_id, job.job_id, host, now, until)
    try:
        return Claim(claim_id, move_job(workshop, job, "claimed", host=host, claim_id=claim_id), until)
    except BadInput:
        return None  # another host was faster


def renew_claim(workshop: Workshop, claim_id: str) -> tuple[Job, str]:
    """Keep a claim for another lease; the job and the new end.

    Raises:
        BadInput: `claim.unknown`, also when the job went to another host.
    """
    job = workshop.claims.find_claimed_job(claim_id)
    until = end_of_lease(workshop)
    if job.state not in FINAL_STATES:
        workshop.claims.renew_claim(claim_id, until)
    return take_up_again(workshop, job, claim_id), until


def take_up_again(workshop: Workshop, job: Job, claim_id: str) -> Job:
    """Claim a job once more that was given back and that nobody else took.

    Raises:
        BadInput: `job.illegal_move`, when somebody did just now.
    """
    if job.state != "approved":
        return job
    return move_job(workshop, job, "claimed", host=job.host, claim_id=claim_id)


def extend_leases(workshop: Workshop) -> None:
    """Give every host that holds a job another lease, as a service does that was away."""
    workshop.claims.extend_claims(end_of_lease(workshop))


def give_back_lapsed_jobs(workshop: Workshop) -> None:
    """Make jobs whose lease has ended claimable again."""
    for job_id in workshop.claims.list_lapsed_jobs(workshop.clock.now()):
        job = workshop.jobs.find_job(job_id)
        if job.state == "claimed":
            move_job(workshop, job, "approved")


def end_of_lease(workshop: Workshop) -> str:
    """The moment a lease taken now ends."""
    now = datetime.fromisoformat(workshop.clock.now())
    return (now + timedelta(seconds=workshop.lease_seconds)).isoformat(timespec="milliseconds")


def _refuse(job: Job) -> NoReturn:
    where = f" by {job.host}" if job.state == "claimed" and job.host else ""
    raise BadInput("job.not_claimable", f"Job {job.job_id} is {job.state}{where}: it cannot be claimed.")
