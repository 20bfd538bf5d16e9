"""What a benchmark loses, with the interval, and the nearest measurements named."""

import pytest

from planner.domain.errors import BadInput, UnknownModel
from planner.usecases.predict_evidence import predict_evidence

ASK = {"model": "qwen2.5-72b", "scheme": "W4A16", "method": "awq", "benchmark": "mmlu"}


@pytest.fixture
def predict(shared_workshop):
    def ask(**fields):
        return predict_evidence(shared_workshop, {**ASK, **fields})

    return ask


def test_a_prediction_has_an_interval_and_its_sources(predict):
    answer = predict()
    assert answer["low_delta"] <= answer["expected_delta"] <= answer["high_delta"]
    assert answer["n_measurements"] >= 3
    assert answer["sources"]
    assert answer["basis"] in {"measured", "same-family", "size-trend", "prior"}


def test_a_baseline_sets_the_unit(predict):
    percent, share = predict(baseline_value=86.1), predict(baseline_value=0.861)
    assert 80 < percent["expected"] < 88
    assert share["expected"] == pytest.approx(percent["expected"] / 100, rel=1e-4)
    assert percent["expected"] == pytest.approx(86.1 + percent["expected_delta"], rel=1e-4)


@pytest.mark.parametrize(
    ("fields", "same_as"),
    [
        pytest.param({"benchmark": "MMLU"}, {}, id="case"),
        pytest.param({"benchmark": "mmlu_pro"}, {"benchmark": "mmlu-pro"}, id="separator"),
        pytest.param({"scheme": "AWQ-4bit-128g"}, {"group_size": 128}, id="group-in-the-scheme"),
        pytest.param({"method": "AutoRound"}, {"method": "autoround"}, id="method"),
        pytest.param({"model": "Qwen/Qwen2.5-72B-Instruct"}, {}, id="suffix"),
    ],
)
def test_spellings_of_one_thing_have_one_answer(predict, fields, same_as):
    assert predict(**fields) == predict(**same_as)


def test_a_scheme_without_rows_is_answered_from_its_bits(predict):
    answer = predict(scheme="Q4_1", method="rtn")
    assert answer["basis"] in {"prior", "size-trend"}
    assert answer["expected_delta"] is not None


def test_a_benchmark_that_nothing_is_known_about_is_insufficient(predict):
    answer = predict(benchmark="lambada", scheme="W1A16", method="rtn")
    if answer["basis"] == "insufficient":
        assert (answer["expected_delta"], answer["low_delta"], answer["n_measurements"]) == (None, None, 0)


def test_16_bits_are_the_baseline(predict):
    answer = predict(scheme="FP16", method=None, baseline_value=86.1)
    assert (answer["expected"], answer["expected_delta"]) == (86.1, 0)


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        pytest.param({"scheme": "W5A17"}, "scheme.unknown", "W5A17", id="no-such-width"),
        pytest.param({"method": "magic"}, "method.unknown", "magic", id="no-such-method"),
        pytest.param({"benchmark": "mmlo"}, "benchmark.unknown", "mmlu", id="did-you-mean"),
        pytest.param({"benchmark": None}, "evidence.missing_field", "benchmark", id="nothing-said"),
        pytest.param({"baseline_value": -1}, "evidence.bad_field", "baseline_value", id="negative"),
        pytest.param({"baseline_value": "high"}, "evidence.bad_field", "high", id="a-word"),
        pytest.param({"group_size": 0}, "evidence.bad_field", "group_size", id="zero"),
        pytest.param({"shots": 5}, "evidence.unknown_field", "shots", id="no-such-field"),
    ],
)
def test_what_names_nothing_is_refused(predict, fields, code, named):
    with pytest.raises(BadInput, match=named) as caught:
        predict(**fields)
    assert caught.value.code == code


def test_an_unknown_model_is_unknown_here_as_well(predict):
    with pytest.raises(UnknownModel):
        predict(model="nothing-9b")
