"""The door when this process owns the database for the length of a command. Use cases are imported when asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from planner.usecases.workshop import Workshop


class LocalDoor:
    """Commands over a workshop of our own."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.plan_model import plan_model
        from planner.usecases.read_ask import read_ask

        return plan_model(self._workshop, read_ask(ask)).as_json()

    def plan_unrecorded(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.plan_model import plan_without_record
        from planner.usecases.read_ask import read_ask

        return plan_without_record(self._workshop, read_ask(ask))

    def list_decisions(self, row_limit: int) -> list[dict[str, Any]]:
        return self._workshop.decisions.list_decisions(row_limit)

    def show_decision(self, decision_id: str) -> dict[str, Any]:
        from planner.usecases.show_decision import show_decision

        return show_decision(self._workshop, decision_id)

    def replay_decision(self, decision_id: str) -> dict[str, Any]:
        from planner.usecases.replay_decision import replay_decision

        return replay_decision(self._workshop, decision_id)

    def audit(self, sql: str) -> dict[str, Any]:
        found = self._workshop.audit(sql)
        return {
            "columns": found.columns,
            "rows": [list(row) for row in found.rows],
            "truncated": found.truncated,
        }

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.estimate_candidate import estimate_candidate

        return estimate_candidate(self._workshop, fields)

    def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        from planner.usecases.predict_evidence import predict_evidence

        return predict_evidence(self._workshop, fields)

    def list_evidence(self, filters: Mapping[str, str | None], row_limit: int) -> list[dict[str, Any]]:
        data_sha256 = self._workshop.knowledge.version().data_sha256
        names = ("subject", "model", "scheme", "metric")
        wanted = {name: filters.get(name) for name in names}
        return self._workshop.evidence.find_rows(data_sha256, **wanted, row_limit=row_limit, before=None)

    def list_sources(self) -> list[dict[str, Any]]:
        return self._workshop.evidence.count_sources(self._workshop.knowledge.version().data_sha256)

    def submit_job(
        self, decision_id: str, choice: Mapping[str, Any], calibration_file: str | None
    ) -> dict[str, Any]:
        from planner.usecases.submit_job import submit_job

        job = submit_job(self._workshop, decision_id, choice=choice, calibration_file=calibration_file)
        return job.as_json()

    def list_jobs(self, row_limit: int) -> list[dict[str, Any]]:
        return [job.as_json() for job in self._workshop.jobs.list_jobs(None, row_limit)]

    def find_job(self, job_id: str) -> dict[str, Any]:
        return self._workshop.jobs.find_job(job_id).as_json()

    def approve_job(self, job_id: str) -> dict[str, Any]:
        from planner.usecases.approve_job import approve_job

        return approve_job(self._workshop, job_id).as_json()

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        from planner.usecases.cancel_job import cancel_job

        return cancel_job(self._workshop, job_id).as_json()

    def list_hosts(self) -> list[dict[str, Any]]:
        from planner.usecases.keep_host import list_hosts

        return list_hosts(self._workshop)

    def retry_job(self, job_id: str) -> dict[str, Any]:
        from planner.usecases.retry_job import retry_job

        return retry_job(self._workshop, job_id).as_json()

    def create_token(self, scopes: list[str], name: str | None, speaks_for_others: bool) -> dict[str, Any]:
        from planner.usecases.manage_tokens import create_token

        token, text = create_token(self._workshop, scopes, name, speaks_for_others=speaks_for_others)
        return {**token.as_json(), "token": text}

    def list_tokens(self) -> list[dict[str, Any]]:
        return [token.as_json() for token in self._workshop.tokens.list_tokens()]

    def revoke_token(self, name: str) -> dict[str, Any]:
        from planner.usecases.manage_tokens import revoke_token

        return revoke_token(self._workshop, name).as_json()

    def follow_job(self, job_id: str) -> Iterator[dict[str, Any]]:
        """What there is: while this process holds the database, no executor can add to it."""
        self._workshop.jobs.find_job(job_id)
        for row in self._workshop.job_events.list_job_events(job_id, 0):
            yield row["event"]
