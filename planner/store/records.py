"""Decisions, jobs and measurements: the record, appended and chained."""

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import duckdb

from planner.domain.canonical import Written, write_rounded
from planner.domain.errors import BadInput
from planner.domain.record.decision import FIRST_HASH, Decision, Draft, join_parts, seal_decision
from planner.domain.record.inputs import Document
from planner.domain.record.job import Job, JobState
from planner.store.connection import Database
from planner.store.queries import load_queries

PACKING = 1
"""Level of zlib for a decision's alternatives: a ninth of the bytes in a third of a millisecond."""


class RecordStore:
    """Everything that was promised, done and got."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("records")
        self._kept: set[str] = set()
        self._last: tuple[int, str] | None = None  # place and hash of the newest decision, once it is known

    def find_document(self, sha256: str) -> Any:
        """An input by its hash.

        Raises:
            BadInput: `record.document_missing`.
        """
        with self._database.cursor() as cursor:
            row = cursor.execute(self._queries["find_document"], {"sha256": sha256}).fetchone()
        if row is None:
            raise BadInput(
                "record.document_missing", f"The recorded input {sha256[:12]}… is not in this home."
            )
        return json.loads(row[0])

    def add_decisions(self, drafts: Sequence[Draft], created_at: str) -> list[Decision]:
        """Seal drafts into the chain and keep them, with the requests and the inputs that they name by hash.

        They are kept in one statement, all or none: four together take two thirds longer than one.
        """
        named = {document.sha256: document for draft in drafts for document in draft.documents}
        new = [document for document in named.values() if document.sha256 not in self._kept]
        decisions: list[Decision] = []
        with self._database.writer() as writer:
            may_be_undone = self._database.is_in_transaction
            with self._database.transaction() if new else nullcontext(writer) as cursor:
                for document in new:
                    self._add_document(cursor, document)
                sequence, previous = self._last or self._read_last(cursor)
                values: list[Any] = []
                for draft in drafts:
                    decision = seal_decision(draft, previous, created_at)
                    sequence, previous = sequence + 1, decision.record_sha256
                    values += _write_row(decision, sequence)
                    decisions.append(decision)
                cursor.execute(_repeat_row(self._queries["add_decisions"], len(drafts)), values)
            self._last = None if may_be_undone else (sequence, previous)
            self._kept.update(document.sha256 for document in new if not may_be_undone)
        return decisions

    def _add_document(self, cursor: duckdb.DuckDBPyConnection, document: Document) -> None:
        if cursor.execute(self._queries["find_document"], {"sha256": document.sha256}).fetchone() is None:
            values = {"sha256": document.sha256, "kind": document.kind, "content": document.text}
            cursor.execute(self._queries["add_document"], values)

    def _read_last(self, cursor: duckdb.DuckDBPyConnection) -> tuple[int, str]:
        row = cursor.execute(self._queries["last_decision"]).fetchone()
        return (row[0], row[1]) if row else (0, FIRST_HASH)

    def find_decision(self, decision_id: str) -> Decision:
        """One decision, by its id or the beginning of it.

        Raises:
            BadInput: `decision.unknown`, or `decision.ambiguous` when several begin like that.
        """
        with self._database.cursor() as cursor:
            rows = cursor.execute(self._queries["find_decision"], {"decision_id": decision_id}).fetchall()
        if not rows or not decision_id:
            raise BadInput(
                "decision.unknown", f'No decision called "{decision_id}". List them with: bitwright decisions'
            )
        if len(rows) > 1:
            raise BadInput(
                "decision.ambiguous", f'Several decisions begin with "{decision_id}": give more of the id.'
            )
        found, created_at, text, alternatives, request_document, previous, record = rows[0]
        body = json.loads(text)
        if alternatives is not None:
            body["alternatives"] = json.loads(zlib.decompress(alternatives))
        return Decision(
            decision_id=found,
            body=body,
            previous_sha256=previous,
            record_sha256=record,
            created_at=created_at,
            request_document=request_document,
        )

    def list_decisions(self, row_limit: int, before: str | None = None) -> list[dict[str, Any]]:
        """Newest decisions, in short; only those older than the decision `before`."""
        parameters = {"before": before and self.find_decision(before).decision_id, "row_limit": row_limit}
        return self._list("list_decisions", parameters)

    def add_job(self, job: Job, idempotency_key: str | None) -> str:
        """Keep a new job, or answer the id of the one that the same key made before."""
        with self._database.transaction() as cursor:
            if idempotency_key is not None:
                row = cursor.execute(
                    self._queries["find_job_by_key"], {"idempotency_key": idempotency_key}
                ).fetchone()
                if row is not None:
                    return str(row[0])
            cursor.execute(
                self._queries["add_job"],
                {
                    "job_id": job.job_id,
                    "decision_id": job.decision_id,
                    "state": job.state,
                    "specification": json.dumps(job.specification),
                    "idempotency_key": idempotency_key,
                    "at": job.created_at,
                    "submitted_by": job.submitted_by,
                    "wanted_host": job.wanted_host,
                },
            )
        return job.job_id

    def find_job(self, job_id: str) -> Job:
        """One job.

        Raises:
            BadInput: `job.unknown`.
        """
        jobs = self._jobs("find_job", {"job_id": job_id})
        if not jobs:
            raise BadInput("job.unknown", f'No job called "{job_id}". List them with: bitwright jobs')
        return jobs[0]

    def find_claimed_job(self, claim_id: str) -> Job:
        """The job that a claim holds.

        Raises:
            BadInput: `claim.unknown`.
        """
        with self._database.cursor() as cursor:
            row = cursor.execute(self._queries["find_claimed_job"], {"claim_id": claim_id}).fetchone()
        if row is None:
            raise BadInput("claim.unknown", f'No claim called "{claim_id}".')
        return self.find_job(row[0])

    def list_jobs(self, decision_id: str | None, row_limit: int, before: str | None = None) -> list[Job]:
        """Newest jobs, of one decision or all; only those that come after the job `before` in that order."""
        parameters = {
            "decision_id": decision_id,
            "row_limit": row_limit,
            "before": before and self.find_job(before).job_id,
        }
        return self._jobs("list_jobs", parameters)

    def oldest_approved_job(self, host: str) -> str | None:
        """The next job that a host may have."""
        with self._database.cursor() as cursor:
            row = cursor.execute(self._queries["oldest_approved_job"], {"host": host}).fetchone()
        return None if row is None else str(row[0])

    def add_claim(self, claim_id: str, job_id: str, host: str, at: str, leased_until: str) -> None:
        """Keep which host holds a job, and until when."""
        parameters = {
            "claim_id": claim_id,
            "job_id": job_id,
            "host": host,
            "at": at,
            "leased_until": leased_until,
        }
        with self._database.writer() as cursor:
            cursor.execute(self._queries["add_claim"], parameters)

    def renew_claim(self, claim_id: str, leased_until: str) -> None:
        """Move the end of a lease."""
        with self._database.writer() as cursor:
            cursor.execute(self._queries["renew_claim"], {"claim_id": claim_id, "leased_until": leased_until})

    def extend_claims(self, leased_until: str) -> None:
        """Move the end of every lease that holds a job."""
        with self._database.writer() as cursor:
            cursor.execute(self._queries["extend_claims"], {"leased_until": leased_until})

    def list_running_jobs(self, host: str) -> list[Job]:
        """Jobs that a host holds."""
        return self._jobs("list_running_jobs", {"host": host})

    def list_lapsed_jobs(self, now: str) -> list[str]:
        """Claimed jobs whose lease has ended."""
        return [str(row["job_id"]) for row in self._list("list_lapsed_jobs", {"now": now})]

    def move_job(
        self,
        job_id: str,
        from_state: JobState,
        state: JobState,
        at: str,
        *,
        host: str | None = None,
        claim_id: str | None = None,
        approved_by: str | None = None,
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> bool:
        """Change a job's state if it still is `from_state`; False when somebody was faster."""
        with self._database.writer() as cursor:
            row = cursor.execute(
                self._queries["move_job"],
                {
                    "job_id": job_id,
                    "from_state": from_state,
                    "state": state,
                    "at": at,
                    "host": host,
                    "claim_id": claim_id,
                    "approved_by": approved_by,
                    "result": None if result is None else json.dumps(result),
                    "error": None if error is None else json.dumps(error),
                },
            ).fetchone()
        return row is not None

    def add_job_event(self, job_id: str, event: Mapping[str, Any], at: str) -> None:
        """Append to a job's events."""
        with self._database.writer() as cursor:
            cursor.execute(
                self._queries["add_job_event"],
                {"job_id": job_id, "at": at, "event": json.dumps(event)},
            )

    def list_job_events(self, job_id: str, after: int) -> list[dict[str, Any]]:
        """Events after the one with number `after`."""
        rows = self._list("list_job_events", {"job_id": job_id, "after": after})
        return [{**row, "event": json.loads(row["event"])} for row in rows]

    def add_measurement(self, row: Mapping[str, Any]) -> None:
        """Keep one measured figure beside its prediction."""
        with self._database.writer() as cursor:
            cursor.execute(self._queries["add_measurement"], dict(row))

    def list_measurements(self, decision_id: str) -> list[dict[str, Any]]:
        """Predicted beside measured, for all jobs of a decision."""
        return self._list("list_measurements", {"decision_id": decision_id})

    def _jobs(self, query: str, parameters: Mapping[str, Any]) -> list[Job]:
        return [
            Job(
                job_id=row["job_id"],
                decision_id=row["decision_id"],
                state=row["state"],
                specification=json.loads(row["specification"]),
                host=row["host"],
                claim_id=row["claim_id"],
                created_at=row["created_at"],
                updated_at=row["updated_at"],
                submitted_by=row["submitted_by"],
                approved_by=row["approved_by"],
                wanted_host=row["wanted_host"],
                result=json.loads(row["result"]) if row["result"] else None,
                error=json.loads(row["error"]) if row["error"] else None,
            )
            for row in self._list(query, parameters)
        ]

    def _list(self, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._database.cursor() as cursor:
            result = cursor.execute(self._queries[query], dict(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _repeat_row(query: str, count: int) -> str:
    """A query that inserts one row, for several: DuckDB reads one long list of values faster than one row each."""
    head, mark, row = query.partition("VALUES ")
    return head + mark + ", ".join([row] * count)


def _write_row(decision: Decision, sequence: int) -> tuple[Any, ...]:
    parts = dict(decision.parts)
    alternatives = parts.pop("alternatives", None)
    request, model, target, chosen = (
        json.loads(parts[name]) for name in ("request", "model", "target", "chosen")
    )
    chosen = chosen or {}
    head = {
        "created_at": decision.created_at,
        "request": request["text"],
        "model": model["id"],
        "target": target["label"],
        "scheme": chosen.get("scheme"),
        "method": chosen.get("method"),
        "engine": chosen.get("engine"),
        "request_document": Written(decision.request_document) if decision.request_document else None,
        "previous_sha256": decision.previous_sha256,
        "record_sha256": decision.record_sha256,
    }
    packed = alternatives and zlib.compress(alternatives.encode(), PACKING)
    return sequence, decision.decision_id, write_rounded(head), join_parts(parts), packed
