"""Migrations: forward, once each, on a new file and on one that is behind."""

from importlib.resources import files

import duckdb
import pytest

from planner.domain.errors import MachineRefused
from planner.store.connection import FILE_NAME, open_database

NAMES = sorted(
    entry.name
    for entry in files("planner.store").joinpath("migrations").iterdir()
    if entry.name.endswith(".sql")
)


def applied(database):
    with database.cursor() as cursor:
        return [row[0] for row in cursor.execute("SELECT name FROM migrations ORDER BY number").fetchall()]


def test_numbers_run_from_one_without_gaps():
    assert [int(name[:4]) for name in NAMES] == list(range(1, len(NAMES) + 1))
    assert all(name[4] == "_" and " " not in name for name in NAMES)


def test_an_empty_file_gets_all_of_them_in_order(database):
    assert applied(database) == NAMES


def test_opening_it_again_applies_nothing(tmp_path):
    for _ in range(2):
        database = open_database(tmp_path)
        assert applied(database) == NAMES
        database.close()


@pytest.mark.parametrize("behind", range(1, len(NAMES)))
def test_a_file_that_is_behind_gets_the_rest_and_keeps_its_rows(tmp_path, behind):
    folder = files("planner.store").joinpath("migrations")
    connection = duckdb.connect(str(tmp_path / FILE_NAME))
    connection.execute(
        "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name VARCHAR, applied_at TIMESTAMP)"
    )
    for name in NAMES[:behind]:
        connection.execute(folder.joinpath(name).read_text(encoding="utf-8"))
        connection.execute("INSERT INTO migrations VALUES (?, ?, now()::TIMESTAMP)", [int(name[:4]), name])
    connection.execute("INSERT INTO documents VALUES ('abc', 'request', '{}')")
    connection.close()
    database = open_database(tmp_path)
    with database.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM documents").fetchone() == (1,)
    assert applied(database) == NAMES
    database.close()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / FILE_NAME
    path.write_bytes(b"a letter to a friend\n" * 1000)
    with pytest.raises(MachineRefused) as caught:
        open_database(tmp_path)
    assert caught.value.code == "database.unreadable"
    assert str(path) in caught.value.message
    assert path.read_bytes() == b"a letter to a friend\n" * 1000


def test_a_home_beneath_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineRefused) as caught:
        open_database(tmp_path / "file" / "home")
    assert caught.value.code == "home.not_writable"
    assert "BITWRIGHT_HOME" in caught.value.message
