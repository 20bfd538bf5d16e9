"""Evidence in and out: the predictors' view of it as of one version, and rows appended by this home's jobs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from planner.domain.facts.evidence import Efficiency, EvidenceBase, JobRate, QualityRow
from planner.store.connection import Database
from planner.store.loads import Load
from planner.store.queries import load_queries

COLUMNS = (
    *("subject", "model_label", "model_id", "family", "params", "scheme", "method", "group_size", "bits"),
    *("engine", "device", "metric", "higher_is_better", "value", "baseline", "unit"),
    *("source_title", "source_ref", "source_date", "detail", "decision_id", "job_id", "recorded_at"),
)
"""Columns of a row that this home adds."""


class EvidenceStore:
    """Rows of `evidence`, only ever appended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("evidence")
        self._highest: int | None = None  # id of the newest row while none is being written

    def highest_id(self) -> int:
        """Id of the newest row; where one is just being written, it is waited for."""
        highest = self._highest
        if highest is not None:
            return highest
        with self._database.writer() as cursor:
            row = cursor.execute(self._queries["highest_evidence_id"]).fetchone()
            assert row is not None
            if not self._database.is_in_transaction:
                self._highest = int(row[0])
        return int(row[0])

    def read_base(self, load: Load, highest_id: int, benchmarks: Sequence[str]) -> EvidenceBase:
        """Everything predictors may look at, as of `highest_id` of one load."""
        parameters = {"load_id": load.load_id, "highest_id": highest_id}
        with self._database.cursor() as cursor:
            quality = cursor.execute(
                self._queries["list_quality"], {**parameters, "benchmarks": list(benchmarks)}
            ).fetchall()
            efficiency = cursor.execute(
                self._queries["list_efficiency"], {"load_id": load.load_id}
            ).fetchall()
            own = cursor.execute(self._queries["list_own_efficiency"], {"highest_id": highest_id}).fetchall()
            rates = cursor.execute(self._queries["list_job_rates"], {"highest_id": highest_id}).fetchall()
        by_benchmark: dict[str, list[QualityRow]] = {name: [] for name in benchmarks}
        for row in quality:
            by_benchmark[row[7]].append(QualityRow(*row))
        return EvidenceBase(
            version=f"{load.data_sha256}+{highest_id}",
            quality=by_benchmark,
            efficiency={(row[0], row[1], row[2], row[3]): _efficiency(row) for row in efficiency},
            own_efficiency={(row[0], row[1], row[2], row[3], row[9]): _efficiency(row[:9]) for row in own},
            jobs={(row[0], row[1], row[2], row[3]): JobRate(*row) for row in rates},
        )

    def add_row(self, row: Mapping[str, Any]) -> int:
        """Append one measurement; absent columns are null.

        Returns:
            the new row's id.
        """
        parameters = {name: row.get(name) for name in COLUMNS}
        parameters["detail"] = json.dumps(row.get("detail"))
        with self._database.writer() as cursor:
            self._highest = None
            added = cursor.execute(self._queries["add_evidence"], parameters).fetchone()
        assert added is not None
        return int(added[0])

    def find_rows(
        self,
        data_sha256: str,
        *,
        subject: str | None,
        model: str | None,
        scheme: str | None,
        metric: str | None,
        row_limit: int,
        before: int | None = None,
    ) -> list[dict[str, Any]]:
        """Rows for a person to read, newest first."""
        return self._list(
            "find_evidence",
            {
                "data_sha256": data_sha256,
                "subject": subject,
                "model": model,
                "scheme": scheme,
                "metric": metric,
                "row_limit": row_limit,
                "before": before,
            },
        )

    def count_sources(self, data_sha256: str) -> list[dict[str, Any]]:
        """Sources with their number of rows."""
        return self._list("count_sources", {"data_sha256": data_sha256})

    def _list(self, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        with self._database.cursor() as cursor:
            result = cursor.execute(self._queries[query], dict(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _efficiency(row: tuple[Any, ...]) -> Efficiency:
    engine, device, metric, width, low, likely, high, count, sources = row
    return Efficiency(engine, device, metric, width, low, likely, high, count, tuple(sources))
