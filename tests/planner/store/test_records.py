"""The chain of decisions, its documents and its jobs."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from planner.domain.errors import BadInput
from planner.domain.record.decision import FIRST_HASH
from planner.domain.record.inputs import make_document
from planner.domain.record.job import Job
from planner.store.audit import run_audit_query

AT = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def a_job(records):
    """A submitted job that is already kept."""

    def build(job_id="j-1", *, key=None, state="submitted") -> Job:
        job = Job(
            job_id=job_id,
            decision_id="d-1",
            state=state,
            specification={"scheme": "W4A16"},
            created_at=AT,
            updated_at=AT,
        )
        records.add_job(job, key)
        return job

    return build


def test_each_decision_stands_on_the_one_before(records, keep, a_body):
    first, second = (keep({**a_body, "n": n}) for n in (1, 2))
    assert first.previous_sha256 == FIRST_HASH
    assert second.previous_sha256 == first.record_sha256


def test_a_decision_is_found_by_its_id_or_the_beginning_of_it(records, keep, a_body):
    kept = keep(a_body)
    assert records.find_decision(kept.decision_id) == kept
    assert records.find_decision(kept.decision_id[:6]).record_sha256 == kept.record_sha256


def test_a_request_is_kept_with_its_decision(records, keep, a_body):
    asked = make_document("request", {"request": {"text": 'größer "als" 5 %\x00', "share": 0.25}})
    kept = keep(a_body, asked.text)
    assert kept.request_document == asked.text
    assert records.find_decision(kept.decision_id) == kept


def test_a_decision_of_an_older_home_keeps_its_alternatives_in_its_body(records, database, keep, a_body):
    kept = keep(a_body)
    with database.cursor() as cursor:
        cursor.execute("UPDATE chain SET alternatives = NULL, body = ?", [json.dumps(kept.body)])
    assert records.find_decision(kept.decision_id) == kept
    (row,) = run_audit_query(database, "SELECT count(*) FROM alternatives").rows
    assert row == (len(a_body["alternatives"]),)


def test_what_was_undone_is_not_taken_for_kept(records, database, keep, a_body):
    document = make_document("model", {"a": 1})
    first = keep(a_body)
    with suppress(RuntimeError), database.transaction():
        keep({**a_body, "n": 2}, documents=(document,))
        raise RuntimeError
    again = keep({**a_body, "n": 2}, documents=(document,))
    assert again.previous_sha256 == first.record_sha256
    assert records.find_document(document.sha256) == {"a": 1}


@pytest.mark.parametrize("words", ["d-nothing", "", "%", "d-'; DROP TABLE decisions; --"])
def test_what_names_no_decision_is_refused(records, keep, a_body, words):
    keep(a_body)
    with pytest.raises(BadInput) as caught:
        records.find_decision(words)
    assert caught.value.code == "decision.unknown"


def test_a_beginning_that_several_share_is_refused(records, keep, a_body):
    for n in range(2):
        keep({**a_body, "n": n})
    with pytest.raises(BadInput) as caught:
        records.find_decision("d-")
    assert caught.value.code == "decision.ambiguous"


def test_decisions_are_listed_newest_first(records, keep, a_body):
    kept = [keep({**a_body, "n": n}).decision_id for n in range(3)]
    assert [row["decision_id"] for row in records.list_decisions(10)] == kept[::-1]
    assert len(records.list_decisions(2)) == 2


def test_a_document_is_kept_once_and_found_by_its_hash(records, keep, a_body):
    first = make_document("model", {"b": 1, "a": 2.0000001})
    assert make_document("model", {"a": 2.0, "b": 1}) == first
    for n in range(2):
        keep({**a_body, "n": n}, documents=(first,))
    assert records.find_document(first.sha256) == {"a": 2.0, "b": 1}
    with pytest.raises(BadInput) as caught:
        records.find_document("0" * 64)
    assert caught.value.code == "record.document_missing"


def test_an_idempotency_key_makes_one_job(records, a_job):
    a_job("j-1", key="once")
    twice = Job(job_id="j-2", decision_id="d-1", state="submitted", specification={}, created_at=AT)
    assert records.add_job(twice, "once") == "j-1"
    assert records.add_job(twice, "another") == "j-2"


def test_a_job_moves_only_from_the_state_that_was_seen(records, a_job):
    a_job()
    assert records.move_job("j-1", "submitted", "approved", AT) is True
    assert records.move_job("j-1", "submitted", "cancelled", AT) is False
    assert records.find_job("j-1").state == "approved"


def test_events_are_numbered_and_read_after_one_that_was_seen(records, a_job):
    a_job()
    for stage in ("loading", "quantizing", "saving"):
        records.add_job_event("j-1", {"stage": stage}, AT)
    assert [row["sequence"] for row in records.list_job_events("j-1", 0)] == [1, 2, 3]
    assert [row["event"] for row in records.list_job_events("j-1", 2)] == [{"stage": "saving"}]


def test_a_lease_that_ended_is_found(records, a_job):
    a_job(state="approved")
    records.add_claim("c-1", "j-1", "host", AT, "2026-01-01T00:01:00+00:00")
    records.move_job("j-1", "approved", "claimed", AT, host="host", claim_id="c-1")
    assert records.list_lapsed_jobs("2026-01-01T00:00:30+00:00") == []
    assert records.list_lapsed_jobs("2026-01-01T00:02:00+00:00") == ["j-1"]
    records.renew_claim("c-1", "2026-01-01T00:05:00+00:00")
    assert records.list_lapsed_jobs("2026-01-01T00:02:00+00:00") == []


def test_rejected_candidates_are_a_table_of_their_own(records, database, keep, a_body):
    kept = keep(a_body)
    with database.cursor() as cursor:
        rows = cursor.execute("SELECT decision_id, code FROM rejected_candidates").fetchall()
    assert rows == [(kept.decision_id, "memory.over_by")]


def test_what_one_thread_writes_together_is_kept_together(database, records, keep, a_body):
    def write_and_fail():
        with database.transaction():
            keep(a_body)
            assert len(records.list_decisions(5)) == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert records.list_decisions(5) == []
    with database.transaction():
        keep(a_body)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(records.list_decisions, 5).result() == []
    assert len(records.list_decisions(5)) == 1
