"""Canonical JSON: the same bytes for the same value, whether written whole, in parts, or filled into a form."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from planner.domain.canonical import (
    Form,
    Written,
    as_plain,
    canonical_json,
    number,
    quote,
    round_significant,
    sha256_of,
    whole,
)

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WHOLE_NUMBERS = st.integers(-(2**53), 2**53)
TEXTS = st.text(max_size=8) | st.sampled_from(["\x00", "%", "%s", "%%", "100 %", '"', "\\u0000"])
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE_NUMBERS | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)
FIELDS = st.dictionaries(st.sampled_from(["a", "b", "B", "ö", "z_z"]), VALUES)


def shuffled(value):
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def written(value):
    return Written(canonical_json(value))


def filled_from(fields):
    """Each field as a form takes it."""
    return {name: canonical_json(value) for name, value in fields.items()}


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


@given(st.none() | FLOATS)
@example(0.0)
@example(-0.0)
@example(100.0)
@example(1e5)
@example(999999.5)
@example(123456789.0)
@example(1e16)
@example(1e-4)
@example(1.5e-5)
@example(5e-324)
@example(1.7976931348623157e308)
def test_a_number_is_written_as_in_any_value(value):
    assert number(value) == canonical_json(value)


@given(st.none() | WHOLE_NUMBERS)
def test_a_whole_number_is_written_as_in_any_value(value):
    assert whole(value) == canonical_json(value)


@given(st.none() | st.text())
@example('"\\\x00\n\u2028ö')
def test_a_string_is_written_as_in_any_value(value):
    assert quote(value) == canonical_json(value)


@given(OBJECTS)
def test_what_is_written_equals_the_dict_that_it_was_written_from(content):
    rounded = round_significant(content)
    assert written(content) == rounded
    assert rounded == written(content)
    assert written(content).read() == rounded
    assert dict(written(content)) == rounded


def test_what_is_written_differs_from_another_dict():
    assert written({"a": 1}) != {"a": 2}
    assert written({"a": 1}) != written({"a": 1, "b": None})


@given(OBJECTS, OBJECTS, VALUES)
@example({"a": 1}, {"b": 2}, "\x00")
@example({"a": "\x00"}, {}, ["\x00", "\x00"])
@example({"\x00": {}}, {"\x00": "\x00"}, {"\x00": 1})
@example({}, {"a": 1}, '"\x00"')
def test_parts_that_are_written_already_change_no_byte(one, other, beside):
    parts = {"z": one, "beside": beside, "list": [other, beside, one], "a": {"inside": other}}
    told = {
        "z": written(one),
        "beside": beside,
        "list": (written(other), beside, written(one)),
        "a": {"inside": written(other)},
    }
    assert canonical_json(told) == canonical_json(parts)
    assert sha256_of(told) == sha256_of(parts)
    assert canonical_json(written(one)) == canonical_json(one)


@given(OBJECTS, VALUES)
def test_as_plain_holds_dictionaries_and_lists_alone(content, beside):
    content, beside = round_significant(content), round_significant(beside)
    plain = as_plain({"b": written(content), "a": (beside, [written(content)])})
    assert list(plain) == ["b", "a"]
    assert json.loads(json.dumps(plain)) == {"b": content, "a": [beside, [content]]}


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError, match="set has no JSON"):
        canonical_json({"a": {1, 2}})


@given(FIELDS)
def test_a_form_filled_in_is_the_canonical_json_of_its_values(fields):
    assert Form(*fields).fill(**filled_from(fields)) == canonical_json(fields)


@given(FIELDS, st.data())
def test_filling_in_some_values_first_changes_no_byte(fields, data):
    values = filled_from(fields)
    first = data.draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    form = Form(*fields).fill_some(**{name: values[name] for name in first})
    later = {name: value for name, value in values.items() if name not in first}
    assert form.fill(**later) == canonical_json(fields)


@given(FIELDS)
def test_filling_in_one_value_after_the_other_changes_no_byte(fields):
    form = Form(*fields)
    for name, value in filled_from(fields).items():
        form = form.fill_some(**{name: value})
    assert form.fill() == canonical_json(fields)


def test_filling_in_some_values_leaves_the_form_as_it_was():
    form = Form("a", "b")
    form.fill_some(a=1)
    assert form.fill(a=2, b=3) == '{"a":2,"b":3}'


def test_text_with_percent_signs_survives():
    form = Form("rate", "note", "n").fill_some(note=quote("5 % of %s, 100%%"))
    assert form.fill(rate=quote("%d"), n=7) == '{"n":7,"note":"5 % of %s, 100%%","rate":"%d"}'


def test_text_with_percent_signs_survives_what_is_filled_in_after_it():
    form = Form("note", "n", "rate").fill_some(note=quote("5 % of %s, 100%%")).fill_some(n=7)
    assert form.fill(rate=quote("%d")) == '{"n":7,"note":"5 % of %s, 100%%","rate":"%d"}'


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(KeyError, match="b"):
        Form("a", "b").fill(a=1)
    with pytest.raises(KeyError, match="c"):
        Form("a", "b", "c").fill_some(a=1).fill(b=2)
