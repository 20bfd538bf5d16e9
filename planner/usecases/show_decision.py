"""A recorded decision with what its jobs measured beside what it promised."""

from typing import Any

from planner.usecases.workshop import Workshop


def show_decision(workshop: Workshop, decision_id: str) -> dict[str, Any]:
    """The decision as `plan --json` printed it, with `jobs` and `measurements` where there are any."""
    decision = workshop.decisions.find_decision(decision_id)
    shown = decision.as_json()
    shown["jobs"] = [
        {
            "job_id": job.job_id,
            "state": job.state,
            "host": job.host,
            "updated_at": job.updated_at,
            "error": job.error,
        }
        for job in workshop.jobs.list_jobs(decision.decision_id, 100)
    ]
    shown["measurements"] = workshop.measurements.list_measurements(decision.decision_id)
    return shown
