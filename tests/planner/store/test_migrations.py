"""Migrations: forward, once each, on a new file and on one that is behind."""

import zlib
from dataclasses import replace
from importlib.resources import files

import duckdb
import pytest

from planner.domain.canonical import canonical_json
from planner.domain.errors import MachineRefused
from planner.domain.record.decision import FIRST_HASH, Draft, seal_decision, write_body
from planner.domain.record.inputs import make_document
from planner.store.connection import FILE_NAME, open_database
from planner.store.records import RecordStore

AT = "2026-01-01T00:00:00+00:00"
COLUMNS_AT_5 = (
    "sequence, decision_id, created_at, request, model, target, scheme, method, engine, body, alternatives, "
    "previous_sha256, record_sha256"
)
NAMES = sorted(
    entry.name
    for entry in files("planner.store").joinpath("migrations").iterdir()
    if entry.name.endswith(".sql")
)


def applied(database):
    with database.cursor() as cursor:
        return [row[0] for row in cursor.execute("SELECT name FROM migrations ORDER BY number").fetchall()]


def open_behind(home, behind):
    """A new file with the first so many migrations applied."""
    folder = files("planner.store").joinpath("migrations")
    connection = duckdb.connect(str(home / FILE_NAME))
    connection.execute(
        "CREATE TABLE migrations (number INTEGER PRIMARY KEY, name VARCHAR, applied_at TIMESTAMP)"
    )
    for name in NAMES[:behind]:
        connection.execute(folder.joinpath(name).read_text(encoding="utf-8"))
        connection.execute("INSERT INTO migrations VALUES (?, ?, now()::TIMESTAMP)", [int(name[:4]), name])
    return connection


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
    connection = open_behind(tmp_path, behind)
    connection.execute("INSERT INTO documents VALUES ('abc', 'model', '{}')")
    connection.close()
    database = open_database(tmp_path)
    with database.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM documents").fetchone() == (1,)
    assert applied(database) == NAMES
    database.close()


@pytest.fixture
def decided(a_body):
    """Two decisions on one request and one on another, where nothing fits: the last."""
    asked, other = (
        make_document("request", {"request": {"text": text, "share": 0.25}, "notes": ['ä "b" 5 %']})
        for text in ("größer für T4", "\u2028\x00 a test")
    )
    sealed, previous = [], FIRST_HASH
    for n, request in enumerate((asked, asked, other)):
        body = {**a_body, "n": n, "inputs": {"request_sha256": request.sha256}}
        if request is other:
            body |= {"chosen": None, "alternatives": []}
        sealed.append(seal_decision(Draft(write_body(body), request.text), previous, AT))
        previous = sealed[-1].record_sha256
    return sealed


def write_at_5(connection, decisions):
    """Write decisions as version 5 of the file has them: alternatives packed, requests among the documents."""
    for sequence, decision in enumerate(decisions, start=1):
        body, chosen = dict(decision.body), decision.body["chosen"] or {}
        packed = zlib.compress(canonical_json(body.pop("alternatives")).encode())
        connection.execute(
            "INSERT OR IGNORE INTO documents VALUES (?, 'request', ?)",
            [body["inputs"]["request_sha256"], decision.request_document],
        )
        connection.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(sequence, decision.decision_id, decision.created_at),
                *(body["request"]["text"], body["model"]["id"], body["target"]["label"]),
                *(chosen.get("scheme"), chosen.get("method"), chosen.get("engine")),
                *(canonical_json(body), decision.previous_sha256, decision.record_sha256, packed),
            ],
        )


def read_columns(cursor):
    return cursor.execute(f"SELECT {COLUMNS_AT_5} FROM decisions ORDER BY sequence").fetchall()


def test_decisions_written_at_5_are_read_as_they_were(tmp_path, decided):
    connection = open_behind(tmp_path, 5)
    write_at_5(connection, decided)
    before = read_columns(connection)
    connection.close()
    database = open_database(tmp_path)
    with database.cursor() as cursor:
        assert read_columns(cursor) == before
    records = RecordStore(database)
    assert [records.find_decision(decision.decision_id) for decision in decided] == decided
    database.close()


def test_the_chain_goes_on_after_decisions_written_at_5(tmp_path, decided, a_body):
    connection = open_behind(tmp_path, 5)
    write_at_5(connection, decided)
    connection.close()
    database = open_database(tmp_path)
    records = RecordStore(database)
    (added,) = records.add_decisions([Draft(write_body(a_body))], AT)
    assert added.previous_sha256 == decided[-1].record_sha256
    expected = [added.decision_id, *(decision.decision_id for decision in reversed(decided))]
    assert [row["decision_id"] for row in records.list_decisions(10)] == expected
    database.close()


def test_a_decision_written_at_5_whose_request_is_gone_has_none(tmp_path, decided):
    connection = open_behind(tmp_path, 5)
    write_at_5(connection, decided)
    connection.execute("DELETE FROM documents")
    connection.close()
    database = open_database(tmp_path)
    found = RecordStore(database).find_decision(decided[0].decision_id)
    assert found == replace(decided[0], request_document=None)
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
