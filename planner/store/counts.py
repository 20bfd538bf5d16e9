"""How much the record holds, for whoever watches the service."""

from planner.store.connection import Database
from planner.store.queries import load_queries


class CountStore:
    """Counts over the whole record."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("counts")

    def count_record(self) -> dict[tuple[str, str], int]:
        """Numbers by subject (`decisions`, `jobs`, `evidence`) and part (a job's state, the evidence's origin)."""
        with self._database.cursor() as cursor:
            rows = cursor.execute(self._queries["count_record"]).fetchall()
        return {(subject, part): number for subject, part, number in rows}
