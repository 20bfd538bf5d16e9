"""The record: canonical, chained, and telling when it was touched."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.domain.record.decision import (
    FIRST_HASH,
    canonical_json,
    list_differences,
    seal_decision,
    sha256_of,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def shuffled(value):
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(VALUES)
def test_the_order_of_keys_changes_no_byte_and_no_hash(value):
    assert canonical_json(shuffled(value)) == canonical_json(value)
    assert sha256_of(shuffled(value)) == sha256_of(value)


@given(VALUES)
def test_reading_it_back_and_writing_it_again_changes_nothing(value):
    once = canonical_json(value)
    assert canonical_json(json.loads(once)) == once


@pytest.mark.parametrize(
    ("number", "text"),
    [
        pytest.param(0.123456789, "0.123457", id="six-digits"),
        pytest.param(123456789.0, "123457000.0", id="large"),
        pytest.param(123456789, "123456789", id="whole-numbers-stay"),
        pytest.param(1 / 3, "0.333333", id="third"),
        pytest.param(math.nextafter(0.1, 1), "0.1", id="last-bit-is-noise"),
    ],
)
def test_floats_have_six_significant_digits(number, text):
    assert canonical_json({"n": number}) == f'{{"n":{text}}}'


def test_the_hash_covers_body_time_and_the_record_before():
    sealed = seal_decision({"chosen": None}, FIRST_HASH, "2026-01-01T00:00:00+00:00")
    others = [
        seal_decision({"chosen": 1}, FIRST_HASH, "2026-01-01T00:00:00+00:00"),
        seal_decision({"chosen": None}, "1" * 64, "2026-01-01T00:00:00+00:00"),
        seal_decision({"chosen": None}, FIRST_HASH, "2026-01-02T00:00:00+00:00"),
    ]
    assert len({sealed.record_sha256, *(other.record_sha256 for other in others)}) == 4
    assert sealed.decision_id == f"d-{sealed.record_sha256[:10]}"


def test_as_json_has_no_wrapper():
    sealed = seal_decision({"chosen": None, "rejected": []}, FIRST_HASH, "2026-01-01T00:00:00+00:00")
    assert set(sealed.as_json()) == {
        *("decision_id", "chosen", "rejected", "created_at", "record_sha256", "previous_sha256")
    }


def test_the_hash_is_of_the_canonical_json_of_the_whole():
    body = {"chosen": {"ö": 1.00000049, "a": [True, None]}, "rejected": []}
    sealed = seal_decision(body, FIRST_HASH, "2026-01-01T00:00:00+00:00")
    whole = {"body": body, "previous_sha256": FIRST_HASH, "created_at": "2026-01-01T00:00:00+00:00"}
    assert sealed.record_sha256 == sha256_of(whole)


def test_a_decision_is_written_as_it_is_read():
    sealed = seal_decision({"chosen": {"b": 0.1234567}}, FIRST_HASH, "2026-01-01T00:00:00+00:00")
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
