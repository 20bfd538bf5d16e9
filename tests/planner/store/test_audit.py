"""Audit questions: one SELECT over the record, and no way to a file, a setting or the live database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from planner.domain.errors import BadInput
from planner.store.audit import TABLES, run_audit_query

SECRET = "the secret line"
AT = "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        pytest.param("SELECT model FROM decisions", [("test/model",)], id="decisions"),
        pytest.param("SELECT code, tp FROM rejected_candidates", [("memory.over_by", 1)], id="rejected"),
        pytest.param(
            "SELECT numbers ->> 'over_by_bytes' FROM rejected_candidates", [("7",)], id="numbers-inside"
        ),
        pytest.param(
            "SELECT rank, scheme, memory ->> 'total_bytes' FROM alternatives ORDER BY rank",
            [(1, "FP8", "9"), (2, "Q8_0", "8")],
            id="alternatives",
        ),
        pytest.param(
            "WITH d AS (SELECT decision_id FROM decisions) SELECT count(*) FROM d", [(1,)], id="with"
        ),
        pytest.param(
            "SELECT count(*) > 1000 FROM evidence WHERE subject = 'quality'", [(True,)], id="evidence"
        ),
        pytest.param("SELECT count(*) FROM jobs", [(0,)], id="no-jobs-yet"),
        pytest.param("SELECT count(*) FROM predicted_vs_measured", [(0,)], id="nothing-measured-yet"),
        pytest.param("SELECT 1 -- ; a comment", [(1,)], id="comment"),
    ],
)
def test_a_select_is_answered(loaded, sql, rows):
    assert run_audit_query(loaded, sql).rows == rows


def test_columns_come_with_their_names(loaded):
    found = run_audit_query(loaded, "SELECT decision_id, model AS which FROM decisions")
    assert found.columns == ["decision_id", "which"]


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("", id="nothing"),
        pytest.param("INSERT INTO decisions SELECT * FROM decisions", id="insert"),
        pytest.param("UPDATE decisions SET model = 'x'", id="update"),
        pytest.param("DELETE FROM decisions", id="delete"),
        pytest.param("DROP TABLE decisions", id="drop"),
        pytest.param("CREATE TABLE mine AS SELECT 1", id="create"),
        pytest.param("COPY decisions TO '{folder}/out.csv'", id="copy-out"),
        pytest.param("COPY decisions FROM '{secret}'", id="copy-in"),
        pytest.param("COPY (SELECT 1) TO '{folder}/out.csv'", id="copy-select"),
        pytest.param("EXPORT DATABASE '{folder}/out'", id="export"),
        pytest.param("ATTACH '{folder}/other.db'", id="attach"),
        pytest.param("PRAGMA database_list", id="pragma"),
        pytest.param("SELECT * FROM pragma_database_list()", id="pragma-function"),
        pytest.param("SELECT 1; SELECT 2", id="two-statements"),
        pytest.param("SELECT 1; DROP TABLE decisions", id="a-second-statement-hidden"),
        pytest.param("SELECT * FROM read_csv('/etc/passwd')", id="read-csv"),
        pytest.param("SELECT * FROM read_text('{secret}')", id="read-text"),
        pytest.param("SELECT * FROM read_blob('{secret}')", id="read-blob"),
        pytest.param("SELECT * FROM read_json('{secret}')", id="read-json"),
        pytest.param("SELECT * FROM read_parquet('{secret}')", id="read-parquet"),
        pytest.param("SELECT * FROM '{secret}'", id="a-file-as-a-table"),
        pytest.param("SELECT * FROM sniff_csv('{secret}')", id="sniff"),
        pytest.param("SELECT * FROM glob('/etc/*')", id="glob"),
        pytest.param("SELECT * FROM duckdb_settings()", id="settings"),
        pytest.param("SELECT * FROM duckdb_databases()", id="databases"),
        pytest.param("SELECT * FROM duckdb_secrets()", id="secrets"),
        pytest.param("SELECT getenv('HOME')", id="environment"),
        pytest.param("SELECT current_setting('memory_limit')", id="one-setting"),
        pytest.param("SELECT * FROM (SELECT * FROM read_text('{secret}'))", id="read-inside"),
        pytest.param("SELECT (SELECT content FROM read_text('{secret}'))", id="read-as-a-value"),
        pytest.param("LOAD httpfs", id="load"),
        pytest.param("INSTALL httpfs", id="install"),
        pytest.param("SET enable_external_access = true", id="set"),
        pytest.param("RESET memory_limit", id="reset"),
        pytest.param("CALL dbgen(sf = 0.1)", id="call"),
        pytest.param("EXPLAIN ANALYZE SELECT * FROM read_text('{secret}')", id="explain"),
        pytest.param("PREPARE p AS SELECT 1", id="prepare"),
        pytest.param("VACUUM", id="vacuum"),
        pytest.param("CHECKPOINT", id="checkpoint"),
        pytest.param("BEGIN", id="begin"),
        pytest.param("USE other", id="use"),
        pytest.param("SELECT * FROM query('DROP TABLE decisions')", id="query-function"),
        pytest.param("SELECT * FROM nothing_like_it", id="no-such-table"),
        pytest.param("SELECT FROM WHERE", id="no-sql"),
    ],
)
def test_everything_else_is_refused_in_one_sentence(loaded, tmp_path, sql):
    secret = tmp_path / "secret.csv"
    secret.write_text(f"a,b\n{SECRET},1\n", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(BadInput) as caught:
        run_audit_query(loaded, sql.format(folder=tmp_path, secret=secret))
    assert caught.value.code in {"audit.not_select", "audit.query_failed"}
    assert "\n" not in caught.value.message
    assert SECRET not in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "DESCRIBE decisions", "SUMMARIZE decisions", "EXPLAIN SELECT 1"]
)
def test_what_only_looks_like_a_select_to_the_parser_is_refused(loaded, sql):
    with pytest.raises(BadInput) as caught:
        run_audit_query(loaded, sql)
    assert caught.value.code == "audit.not_select"


def test_a_question_never_changes_the_record(loaded):
    with pytest.raises(BadInput):
        run_audit_query(loaded, "SELECT nextval('evidence_ids')")
    assert run_audit_query(loaded, "SELECT count(*) FROM decisions").rows == [(1,)]


@pytest.mark.parametrize("table", TABLES)
def test_every_table_that_is_named_can_be_asked(loaded, table):
    assert run_audit_query(loaded, f"SELECT * FROM {table} LIMIT 1").columns


def test_a_question_without_end_is_stopped(loaded):
    with pytest.raises(BadInput) as caught:
        run_audit_query(
            loaded, "SELECT count(*) FROM range(1000000000) a, range(1000000000) b", time_limit_s=0.3
        )
    assert caught.value.code == "audit.too_slow"


def test_unpacking_for_a_question_is_part_of_its_time(keep, database, a_body):
    for n in range(200):
        keep({**a_body, "n": n, "alternatives": a_body["alternatives"] * 50})
    with pytest.raises(BadInput) as caught:
        run_audit_query(database, "SELECT count(*) FROM alternatives", time_limit_s=0.001)
    assert caught.value.code == "audit.too_slow"
    assert run_audit_query(database, "SELECT count(*) FROM alternatives").rows == [(20_000,)]


@pytest.mark.parametrize(
    ("asked", "answered", "truncated"),
    [
        pytest.param(10_000, 10_000, False, id="as many as one answer holds"),
        pytest.param(10_001, 10_000, True, id="one more"),
    ],
)
def test_an_answer_says_that_there_were_more_rows(loaded, asked, answered, truncated):
    found = run_audit_query(loaded, f"SELECT * FROM range({asked})")
    assert (len(found.rows), found.truncated) == (answered, truncated)


def test_questions_asked_at_once_do_not_meet(loaded):
    together = threading.Barrier(4)

    def ask(_):
        together.wait()
        return [run_audit_query(loaded, "SELECT count(*) FROM decisions").rows for _ in range(5)]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [[[(1,)]] * 5] * 4
