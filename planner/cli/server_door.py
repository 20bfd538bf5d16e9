"""The door when a service owns this home: every question goes over the contract, every refusal comes back as ours."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.pages import MOST_PAGE_ROWS
from planner.contract.requests import JobSubmission, TokenAsk
from planner.domain.errors import (
    Ambiguous,
    BadInput,
    BitwrightError,
    JobFailed,
    MachineRefused,
    Unreachable,
)

KINDS: Mapping[int, type[BitwrightError]] = {
    kind.exit_status: kind for kind in (MachineRefused, BadInput, Ambiguous, Unreachable, JobFailed)
}
"""The kind of error for an exit status."""


FOLDER = re.compile(
    r"""(?<!\S)(?:(["'])((?:\.\.?|~)(?:/[^"']*)?)\1|((?:\.\.?|~)(?:/[^"'\s,]*)?))(?=[\s,]|$)"""
)
"""A folder in a sentence, named from where the command is typed: `./it`, `../it`, `~/it`."""


def name_folders(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with folders named in full, for a service has a folder of its own to read `./it` from."""
    named = dict(fields)
    if isinstance(named.get("ask"), str):
        named["ask"] = FOLDER.sub(lambda found: f'"{_in_full(found[2] or found[3])}"', named["ask"])
    model = named.get("model")
    if isinstance(model, str) and model.startswith((".", "~")):
        named["model"] = _in_full(model)
    return named


def _in_full(folder: str) -> str:
    return str(Path(folder).expanduser().absolute())


class ServerDoor:
    """Commands against a live service."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._key = secrets.token_hex(
            8
        )  # so that a submission whose answer was lost is made once when sent again

    def plan(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        with translated():
            return self._client.plan(name_folders(ask))

    def plan_unrecorded(self, ask: Mapping[str, Any]) -> dict[str, Any]:
        with translated():
            (answer,) = self._client.plan_batch([name_folders(ask)])
        if "error" in answer:
            error = answer["error"]
            raise BadInput(
                error["code"],
                error["message"],
                choices=error.get("choices", ()),
                suggestions=error.get("suggestions", ()),
            )
        return answer

    def list_decisions(self, row_limit: int) -> list[dict[str, Any]]:
        with translated():
            found = self._client.iterate_decisions(min(row_limit, MOST_PAGE_ROWS))
            return [decision.model_dump() for decision in islice(found, row_limit)]

    def show_decision(self, decision_id: str) -> dict[str, Any]:
        with translated():
            return self._client.show_decision(decision_id)

    def replay_decision(self, decision_id: str) -> dict[str, Any]:
        with translated():
            return self._client.replay_decision(decision_id)

    def audit(self, sql: str) -> dict[str, Any]:
        with translated():
            return self._client.audit(sql).model_dump()

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        with translated():
            return self._client.estimate(name_folders(fields))

    def predict_evidence(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        with translated():
            return self._client.predict_evidence(fields)

    def list_evidence(self, filters: Mapping[str, str | None], row_limit: int) -> list[dict[str, Any]]:
        with translated():
            found = self._client.iterate_evidence(filters, min(row_limit, MOST_PAGE_ROWS))
            return list(islice(found, row_limit))

    def list_sources(self) -> list[dict[str, Any]]:
        with translated():
            return self._client.list_sources()

    def submit_job(
        self, decision_id: str, choice: Mapping[str, Any], calibration_file: str | None
    ) -> dict[str, Any]:
        submission = JobSubmission.model_validate(
            {"decision_id": decision_id, "choice": dict(choice), "calibration_file": calibration_file}
        )
        with translated():
            key = f"{self._key}-{submission.model_dump_json()}"
            return self._client.submit_job(submission, sha256(key.encode()).hexdigest()).model_dump()

    def list_jobs(self, row_limit: int) -> list[dict[str, Any]]:
        with translated():
            return [job.model_dump() for job in self._client.list_jobs(row_limit=row_limit)]

    def find_job(self, job_id: str) -> dict[str, Any]:
        with translated():
            return self._client.find_job(job_id).model_dump()

    def approve_job(self, job_id: str) -> dict[str, Any]:
        with translated():
            return self._client.approve_job(job_id).model_dump()

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        with translated():
            return self._client.cancel_job(job_id).model_dump()

    def list_hosts(self) -> list[dict[str, Any]]:
        with translated():
            return [host.model_dump() for host in self._client.list_hosts()]

    def retry_job(self, job_id: str) -> dict[str, Any]:
        with translated():
            return self._client.retry_job(job_id).model_dump()

    def create_token(self, scopes: list[str], name: str | None, speaks_for_others: bool) -> dict[str, Any]:
        ask = TokenAsk(scopes=scopes, name=name, speaks_for_others=speaks_for_others)
        with translated():
            return self._client.create_token(ask).model_dump()

    def list_tokens(self) -> list[dict[str, Any]]:
        with translated():
            return [token.model_dump() for token in self._client.list_tokens()]

    def revoke_token(self, name: str) -> dict[str, Any]:
        with translated():
            return self._client.revoke_token(name).model_dump()

    def follow_job(self, job_id: str) -> Iterator[dict[str, Any]]:
        with translated():
            for event in self._client.follow_job(job_id):
                yield event.event


@contextmanager
def translated() -> Iterator[None]:
    """Refusals of the contract as this process's own errors: same code, same sentence, same exit status."""
    try:
        yield
    except ContractError as error:
        kind = KINDS.get(error.exit_status, MachineRefused)
        raise kind(error.code, error.message, choices=error.choices, suggestions=error.suggestions) from error
