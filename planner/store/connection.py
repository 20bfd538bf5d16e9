"""The only door to the database file: open it, hold it, migrate it.

One process owns the file at a time. Every use takes its own cursor, so threads do not meet; those that write take
turns, so that none loses a race for the next number of a chain.
"""

import importlib.util
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

import duckdb

from planner.domain.errors import MachineRefused

FILE_NAME = "bitwright.duckdb"
LOCK_WAIT_S = 2.0
LOG_LIMIT = "64MB"
"""How long the log may grow before it is written back, which takes the longer the more is recorded. A plan takes
35 KB: 1,900 of them at this, 470 at DuckDB's own 16 MB. Reading back 53 MB after a kill took 1.0 s."""
DISK_WORDS = ("No space left", "File too large", "Disk quota exceeded", "Could not write all bytes")
"""How DuckDB reports a disk or a quota that takes no more."""


class Database:
    """An open database file, migrated to this version."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._turn = threading.RLock()
        self._own = threading.local()  # a thread's cursor while it is in a transaction
        _spare_lookups()
        self._connection = _connect(path)
        try:
            _migrate(self._connection)
        except duckdb.Error as error:
            raise _refusal(path, str(error)) from error

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of one's own, closed at the end; in a transaction, the transaction's."""
        held = getattr(self._own, "cursor", None)
        if held is not None:
            yield held
            return
        cursor = self._connection.cursor()
        try:
            yield cursor
        except duckdb.Error as error:
            refusal = _disk_refusal(self.path, str(error))
            if refusal is None:
                raise
            raise refusal from error
        finally:
            cursor.close()

    @property
    def is_in_transaction(self) -> bool:
        """Whether what this thread does now may still be undone with a transaction around it."""
        return getattr(self._own, "cursor", None) is not None

    @contextmanager
    def writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of one's own while no other thread writes; each statement is kept by itself."""
        with self._turn, self.cursor() as cursor:
            yield cursor

    @contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor whose statements are kept together or not at all, with all that the thread does inside."""
        with self.writer() as cursor:
            if getattr(self._own, "cursor", None) is not None:
                yield cursor  # part of the transaction around it
                return
            cursor.execute("BEGIN")
            self._own.cursor = cursor
            try:
                yield cursor
            except BaseException:
                with suppress(duckdb.Error):  # a database that could not write has rolled back by itself
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._own.cursor = None
            cursor.execute("COMMIT")

    def close(self) -> None:
        """Write the log back and let go of the file."""
        self._connection.close()


def open_database(home: Path) -> Database:
    """Open (and make, the first time) the database of a home.

    Raises:
        MachineRefused: `home.not_writable`, `home.disk_full`, `database.held`, `database.unreadable`.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineRefused(
            "home.not_writable",
            f"Cannot make the folder {home}: {error.strerror}. Set BITWRIGHT_HOME to a folder you may write to.",
        ) from error
    return Database(home / FILE_NAME)


def _spare_lookups() -> None:
    """Say once that pandas is not here: DuckDB looks for it at every bound value, 3 ms for each plan."""
    if "pandas" not in sys.modules and importlib.util.find_spec("pandas") is None:
        sys.modules["pandas"] = None  # type: ignore[assignment]  # Python's own way to say "not importable"


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + LOCK_WAIT_S
    is_new = not path.exists()
    while True:
        try:
            connection = duckdb.connect(str(path), config={"threads": 2})
        except duckdb.IOException as error:
            text = str(error)
            if "lock" in text and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            if is_new and "lock" not in text:
                path.unlink(missing_ok=True)  # the beginning of a file that could not be written
            raise _refusal(path, text) from error
        except duckdb.Error as error:
            raise _refusal(path, str(error)) from error
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET checkpoint_threshold = '{LOG_LIMIT}'")
        return connection


def _refusal(path: Path, text: str) -> MachineRefused:
    if "lock" in text:
        holder = re.search(r"PID (\d+)", text)
        by = f" by process {holder.group(1)}" if holder else ""
        return MachineRefused(
            "database.held",
            f"{path} is in use{by}: one process owns the file at a time. Wait for it, stop it, "
            "or give this command its own BITWRIGHT_HOME.",
        )
    full = _disk_refusal(path, text)
    if full is not None:
        return full
    if "Permission denied" in text or "Read-only" in text:
        return MachineRefused(
            "home.not_writable", f"Cannot write {path}. Set BITWRIGHT_HOME to a folder you may write to."
        )
    first_line = text.splitlines()[0]
    return MachineRefused(
        "database.unreadable",
        f"{path} cannot be opened ({first_line}). Move it aside and Bitwright starts a new one; nothing was changed.",
    )


def _disk_refusal(path: Path, text: str) -> MachineRefused | None:
    """The refusal for a write that the disk did not take; None for any other error."""
    if not any(words in text for words in DISK_WORDS):
        return None
    named = re.search(r'write (?:all bytes )?(?:to )?file "([^"]+)"', text)
    return MachineRefused(
        "home.disk_full",
        f"No space left on the disk that holds {named.group(1) if named else path}: nothing was recorded. "
        "Free some and run it again.",
    )


def _migrate(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name VARCHAR, applied_at TIMESTAMP)"
    )
    applied = {row[0] for row in connection.execute("SELECT number FROM migrations").fetchall()}
    folder = files("planner.store").joinpath("migrations")
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        number = int(entry.name[:4]) if entry.name.endswith(".sql") else 0
        if number == 0 or number in applied:
            continue
        connection.execute("BEGIN")
        connection.execute(entry.read_text(encoding="utf-8"))
        connection.execute("INSERT INTO migrations VALUES (?, ?, now()::TIMESTAMP)", [number, entry.name])
        connection.execute("COMMIT")
