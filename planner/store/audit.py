"""Audit questions: one SELECT over a copy that cannot reach files, settings or the live database.

A snapshot of the tables it names is written to a file of its own and opened read-only by a second connection with
external access off and its configuration locked; before that, DuckDB's own parser must say that the text is
exactly one SELECT statement.
"""

import re
import secrets
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from planner.domain.errors import BadInput
from planner.ports import AuditRows
from planner.store.connection import Database
from planner.store.queries import load_queries

TABLES = (
    "decisions",
    "alternatives",
    "rejected_candidates",
    "jobs",
    "measurements",
    "evidence",
    "predicted_vs_measured",
    "models",
    "accelerators",
    "engine_rules",
)
"""What an auditor sees."""
STARTS_AS_SELECT = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|with|from|values)\b", re.IGNORECASE | re.DOTALL
)
TIME_LIMIT_S = 20.0
ROW_LIMIT = 10_000
MEMORY_LIMIT = "1GB"


def run_audit_query(database: Database, sql: str, *, time_limit_s: float = TIME_LIMIT_S) -> AuditRows:
    """Column names and rows of one SELECT; of more than `ROW_LIMIT` rows the first, and that it says.

    Raises:
        BadInput: `audit.not_select`, `audit.query_failed`, `audit.too_slow`.
    """
    _check_is_one_select(sql)
    with tempfile.TemporaryDirectory(prefix="bitwright-audit-") as folder:
        snapshot = Path(folder) / "snapshot.duckdb"
        start = time.monotonic()
        _write_snapshot(database, snapshot, named_tables(sql), time_limit_s)
        time_left_s = max(0.0, time_limit_s - (time.monotonic() - start))
        connection = duckdb.connect(str(snapshot), read_only=True, config={"threads": 2})
        try:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET enable_external_access = false")
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            connection.execute("SET lock_configuration = true")
            return _run(connection, sql, time_left_s)
        finally:
            connection.close()


def _check_is_one_select(sql: str) -> None:
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise BadInput("audit.query_failed", f"Not SQL that can be read: {_first_line(error)}") from error
    # PRAGMA, SHOW and DESCRIBE are SELECTs to the parser: the first word counts as well.
    if len(statements) != 1 or statements[0].type.name != "SELECT" or not STARTS_AS_SELECT.match(sql):
        raise BadInput(
            "audit.not_select",
            "An audit question is exactly one SELECT statement; nothing else is run. "
            f"Tables: {', '.join(TABLES)}.",
        )
    lowered = sql.lower()
    for forbidden in ("duckdb_settings", "duckdb_databases", "pragma_", "getenv", "current_setting"):
        if forbidden in lowered:
            raise BadInput("audit.not_select", f"Audit questions may not use {forbidden}: only the tables.")


def named_tables(sql: str) -> list[str]:
    """The tables whose names occur in a question: only these are copied for it."""
    words = set(re.findall(r"[a-z_]+", sql.lower()))
    return [table for table in TABLES if table in words]


def _write_snapshot(database: Database, snapshot: Path, tables: Sequence[str], time_limit_s: float) -> None:
    # All cursors of a database see what one attaches: questions asked at once need names of their own.
    name = f"audit_copy_{secrets.token_hex(8)}"
    with database.cursor() as cursor:
        cursor.execute(f"ATTACH '{snapshot}' AS {name}")
        try:
            with _limited(cursor, time_limit_s) as is_over:
                for table in tables:
                    if table == "alternatives":
                        _unpack_alternatives(cursor, name, snapshot.with_name("alternatives.jsonl"), is_over)
                        continue
                    columns = "* EXCLUDE (alternatives)" if table == "decisions" else "*"
                    cursor.execute(f"CREATE TABLE {name}.{table} AS SELECT {columns} FROM {table}")  # noqa: S608 - names above
        finally:
            cursor.execute(f"DETACH {name}")


@contextmanager
def _limited(connection: duckdb.DuckDBPyConnection, time_limit_s: float) -> Iterator[threading.Event]:
    """Interrupt what the connection runs when the time is over, which the event tells.

    Raises:
        BadInput: `audit.too_slow`.
    """
    is_over = threading.Event()

    def stop() -> None:
        is_over.set()
        connection.interrupt()

    timer = threading.Timer(time_limit_s, stop)
    timer.start()
    try:
        yield is_over
    except duckdb.InterruptException as error:
        raise BadInput("audit.too_slow", "The question took too long and was stopped.") from error
    finally:
        timer.cancel()


def _unpack_alternatives(
    cursor: duckdb.DuckDBPyConnection, copy: str, file: Path, is_over: threading.Event
) -> None:
    queries = load_queries("audit")
    rows = cursor.execute(queries["list_packed_alternatives"])
    with file.open("w", encoding="utf-8") as lines:
        while (row := rows.fetchone()) and not is_over.is_set():
            decision_id, packed, unpacked = row
            text = unpacked if packed is None else zlib.decompress(packed).decode()
            lines.write(f'{{"decision_id":"{decision_id}","alternatives":{text or "[]"}}}\n')
    if is_over.is_set():
        raise BadInput("audit.too_slow", "Unpacking the alternatives took too long and was stopped.")
    cursor.execute(queries["unpack_alternatives"].format(copy=copy), {"file": str(file)})


def _run(connection: duckdb.DuckDBPyConnection, sql: str, time_limit_s: float) -> AuditRows:
    with _limited(connection, time_limit_s):
        try:
            result = connection.execute(sql)
            names = [column[0] for column in result.description]
            rows = result.fetchmany(ROW_LIMIT + 1)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise BadInput(
                "audit.query_failed", f"{_first_line(error)} Tables: {', '.join(TABLES)}."
            ) from error
    return AuditRows(names, rows[:ROW_LIMIT], truncated=len(rows) > ROW_LIMIT)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."
