"""Decision → job: the chosen candidate, or one that was named, with all the executor has to know."""

import secrets
from collections.abc import Mapping
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.facts.request_words import ANY_HOST, HOST_MARK
from planner.domain.record.choice import choose_candidate, make_specification
from planner.domain.record.job import Job
from planner.domain.record.token import OWNER
from planner.usecases.workshop import Workshop


def submit_job(
    workshop: Workshop,
    decision_id: str,
    *,
    choice: Mapping[str, Any] | None = None,
    calibration_file: str | None = None,
    idempotency_key: str | None = None,
    by: str = OWNER,
) -> Job:
    """Record a job that waits for approval; the same key answers with the job it made before.

    Raises:
        BadInput: `decision.unknown`, `job.no_such_candidate`, `job.nothing_to_make`, `job.no_weights`,
            `job.no_demo_model`, `job.key_reused`.
    """
    decision = workshop.decisions.find_decision(decision_id)
    candidate = choose_candidate(decision.body, choice or {})
    job_id = f"j-{secrets.token_hex(5)}"
    specification = make_specification(
        job_id, decision.decision_id, decision.body, candidate, calibration_file
    )
    now = workshop.clock.now()
    job = Job(
        job_id=job_id,
        decision_id=decision.decision_id,
        state="submitted",
        specification=specification,
        created_at=now,
        updated_at=now,
        submitted_by=by,
        wanted_host=_find_wanted_host(decision.body),
    )
    kept = workshop.jobs.find_job(workshop.jobs.add_job(job, idempotency_key))
    if kept.job_id == job_id:
        workshop.job_events.add_job_event(job_id, {"event": "state", "state": "submitted"}, now)
    elif _differs(kept.specification, specification):
        raise BadInput(
            "job.key_reused",
            f"This idempotency key made job {kept.job_id} of another request. Use a new key for a new job.",
        )
    return kept


def _find_wanted_host(body: Mapping[str, Any]) -> str | None:
    """The host of a decision that was made for a host; one made for cards or for this machine binds no job."""
    words = [ask["words"] for ask in body["request"]["devices"]]
    is_bound = any(word.startswith((HOST_MARK, ANY_HOST)) for word in words)
    return body["target"]["host"] if is_bound else None


def _differs(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return any(kept.get(name) != asked[name] for name in asked if name != "job_id")
