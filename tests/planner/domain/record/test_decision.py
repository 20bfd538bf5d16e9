"""The record: canonical, chained, and telling when it was touched."""

import json
from dataclasses import replace

import pytest

from planner.domain.canonical import sha256_of
from planner.domain.record.decision import FIRST_HASH, Draft, list_differences, seal_decision, write_body

AT = "2026-01-01T00:00:00+00:00"


def test_the_hash_covers_body_time_and_the_record_before():
    sealed = seal_decision(Draft(write_body({"chosen": None})), FIRST_HASH, AT)
    others = [
        seal_decision(Draft(write_body({"chosen": 1})), FIRST_HASH, AT),
        seal_decision(Draft(write_body({"chosen": None})), "1" * 64, AT),
        seal_decision(Draft(write_body({"chosen": None})), FIRST_HASH, "2026-01-02T00:00:00+00:00"),
    ]
    assert len({sealed.record_sha256, *(other.record_sha256 for other in others)}) == 4
    assert sealed.decision_id == f"d-{sealed.record_sha256[:10]}"


def test_as_json_has_no_wrapper():
    sealed = seal_decision(Draft(write_body({"chosen": None, "rejected": []})), FIRST_HASH, AT)
    assert set(sealed.as_json()) == {
        *("decision_id", "chosen", "rejected", "created_at", "record_sha256", "previous_sha256")
    }


def test_the_hash_is_of_the_canonical_json_of_the_whole():
    body = {"chosen": {"ö": 1.00000049, "a": [True, None]}, "rejected": []}
    sealed = seal_decision(Draft(write_body(body)), FIRST_HASH, AT)
    whole = {"body": body, "previous_sha256": FIRST_HASH, "created_at": AT}
    assert sealed.record_sha256 == sha256_of(whole)


def test_a_decision_is_written_as_it_is_read():
    sealed = seal_decision(Draft(write_body({"chosen": {"b": 0.1234567}})), FIRST_HASH, AT)
    assert json.loads(sealed.write_json()) == sealed.as_json()
    assert replace(sealed, parts={}).write_json() == sealed.write_json()


@pytest.mark.parametrize(
    ("recorded", "replayed", "paths"),
    [
        pytest.param({"a": 1}, {"a": 1}, [], id="same"),
        pytest.param({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b"], id="nested"),
        pytest.param({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]"], id="in-a-list"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, ["a"], id="lists-of-two-lengths"),
        pytest.param({"a": 1}, {}, ["a"], id="gone"),
        pytest.param({}, {"a": None, "b": 0}, ["b"], id="new"),
        pytest.param({"a": 1, "b": 2}, {"a": 2, "b": 1}, ["a", "b"], id="several"),
    ],
)
def test_differences_are_named_by_path(recorded, replayed, paths):
    assert [found["path"] for found in list_differences(recorded, replayed)] == paths
