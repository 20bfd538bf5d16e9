"""The nearest measurements answer, and nothing is made up where there are none."""

import pytest

from planner.domain.facts.evidence import DEMO_MODEL, EvidenceBase
from planner.domain.predict.quality import QualityAsk, predict_quality


def predict(rows, **fields):
    by_benchmark = {}
    for row in rows:
        by_benchmark.setdefault(row.benchmark, []).append(row)
    ask = QualityAsk(
        **{
            "model_id": "test/model-1b",
            "params": 1e9,
            "scheme": "W4A16",
            "method": "gptq",
            "group_size": 128,
            "bits": 4.0,
            "benchmark": "mmlu",
            **fields,
        }
    )
    return predict_quality(ask, EvidenceBase(version="test", quality=by_benchmark))


@pytest.fixture
def three_rows(a_quality_row):
    """Three models of one size that lost 1 %, 2 % and 3 %."""
    return [
        a_quality_row(evidence_id=n, model_id=f"test/other{n}-1b", value=60 * (1 - n / 100))
        for n in (1, 2, 3)
    ]


def test_without_measurements_there_is_no_number_and_no_interval():
    found = predict([])
    assert found.basis == "insufficient"
    assert (found.expected, found.low, found.high, found.expected_delta, found.loss) == (None,) * 5
    assert found.n_measurements == 0


def test_two_results_are_too_few_to_speak_for_another_model(three_rows):
    assert predict(three_rows[:2]).basis == "insufficient"
    assert predict(three_rows).basis != "insufficient"


def test_leaving_the_model_alone_loses_nothing(three_rows):
    found = predict(three_rows, method="none", scheme="BF16")
    assert (found.expected_delta, found.low_delta, found.high_delta, found.loss) == (0, 0, 0, 0)


def test_the_models_own_measurement_outranks_all_others(three_rows, a_quality_row):
    own = a_quality_row(evidence_id=9, model_id="test/model-1b", value=59.7)
    found = predict([*three_rows, own])
    assert (found.basis, found.n_measurements) == ("measured", 1)
    # 59.7 against 60 lost 0.5 %.
    assert found.loss == pytest.approx(0.005)
    assert found.expected == pytest.approx(59.7)


def test_models_of_the_size_give_the_median_with_an_interval_around_it(three_rows):
    found = predict(three_rows)
    assert found.loss == pytest.approx(0.02)
    assert found.low_delta < found.expected_delta < found.high_delta
    # The pool's baseline, 60, stands in for the unknown one: 2 % of it is 1.2 points.
    assert found.expected is None
    assert found.expected_delta == pytest.approx(-1.2)


def test_a_given_baseline_sets_unit_and_value(three_rows):
    in_percent = predict(three_rows, baseline=70.0)
    as_share = predict(three_rows, baseline=0.7)
    assert in_percent.expected == pytest.approx(68.6)
    assert as_share.expected == pytest.approx(0.686)
    assert in_percent.loss == as_share.loss


def test_sources_that_print_shares_count_in_percent(three_rows, a_quality_row):
    shares = [
        a_quality_row(evidence_id=10 + n, model_id=f"test/share{n}-1b", value=0.588, baseline=0.6)
        for n in range(5)
    ]
    # 0.588 of 0.6 lost 2 %, as 58.8 of 60 did: 1.2 points of percent either way.
    assert predict([*three_rows, *shares]).expected_delta == pytest.approx(-1.2)
    assert predict(shares).expected_delta == pytest.approx(-1.2)


def test_a_lower_is_better_benchmark_rises(a_quality_row):
    rows = [
        a_quality_row(
            evidence_id=n,
            model_id=f"test/other{n}-1b",
            benchmark="perplexity",
            higher_is_better=False,
            value=10.2,
            baseline=10.0,
        )
        for n in (1, 2, 3)
    ]
    found = predict(rows, benchmark="perplexity", baseline=10.0)
    assert found.expected == pytest.approx(10.2)
    assert found.loss == pytest.approx(0.02)


def test_a_collapsed_run_is_no_loss_to_learn_from(a_quality_row):
    row = a_quality_row(benchmark="perplexity", higher_is_better=False, value=900.0, baseline=10.0)
    assert predict([row] * 5, benchmark="perplexity").basis == "insufficient"


def test_the_demo_model_speaks_for_itself_alone(a_quality_row):
    rows = [a_quality_row(evidence_id=n, model_id=DEMO_MODEL) for n in range(5)]
    assert predict(rows).basis == "insufficient"
    assert predict(rows, model_id=DEMO_MODEL).basis == "measured"


def test_other_schemes_methods_and_sizes_do_not_pool_as_the_recipe(a_quality_row):
    far = [a_quality_row(evidence_id=n, params=70e9, model_id=f"test/big{n}-70b") for n in range(3)]
    assert predict(far).basis in {"prior", "insufficient"}
    coarser = [a_quality_row(evidence_id=n, group_size=1024, model_id=f"t/c{n}-1b") for n in range(3)]
    assert predict(coarser).basis in {"prior", "insufficient"}


def test_relatives_stand_in_where_the_benchmark_has_too_few_rows(a_quality_row):
    rows = [a_quality_row(evidence_id=n, benchmark="arc-c", model_id=f"test/other{n}-1b") for n in range(4)]
    found = predict(rows, related=("arc-c",))
    assert found.basis == "size-trend"
    assert found.loss == pytest.approx(0.01)


def test_a_loud_source_does_not_drown_the_others(a_quality_row):
    loud = [
        a_quality_row(evidence_id=n, model_id=f"test/a{n}-1b", value=57.0, source="loud") for n in range(9)
    ]
    quiet = [
        a_quality_row(evidence_id=20 + n, model_id=f"test/b{n}-1b", value=59.4, source=f"quiet {n}")
        for n in range(4)
    ]
    # Nine rows of one source weigh 9 x 9^-0.5 = 3, four sources of one row 4: the quiet ones have the median.
    assert predict([*loud, *quiet]).loss == pytest.approx(0.01)


def test_every_figure_names_its_sources(three_rows):
    assert predict(three_rows).sources == ("a paper (3)",)


def test_more_bits_of_one_kind_never_lose_more(a_quality_row):
    # Three unlucky models in 8 bits (3 % lost) beside nine in 4 bits (1 % lost).
    gguf = {"method": "gguf", "group_size": None}
    rows = [
        *(
            a_quality_row(
                evidence_id=n, model_id=f"test/a{n}-1b", scheme="Q8_0", bits=8.5, value=58.2, **gguf
            )
            for n in range(3)
        ),
        *(
            a_quality_row(
                evidence_id=10 + n, model_id=f"test/b{n}-1b", scheme="Q4_K_M", bits=4.85, value=59.4, **gguf
            )
            for n in range(9)
        ),
    ]
    asked = {"method": "rtn", "group_size": None}
    narrow = predict(rows, scheme="Q4_K_M", bits=4.85, **asked)
    wide = predict(rows, scheme="Q8_0", bits=8.5, **asked)
    assert narrow.loss == pytest.approx(0.01)
    assert wide.loss <= narrow.loss
