"""Four objectives, each an admission and an order."""

from dataclasses import replace

import pytest

from planner.domain.choose.candidates import Candidate
from planner.domain.choose.legality import Verdict
from planner.domain.choose.objective import Scored, rank
from planner.domain.facts.kernels import Kernel, Placement
from planner.domain.predict.job_cost import NOTHING_TO_MAKE
from planner.domain.predict.memory import MemoryEstimate
from planner.domain.predict.quality import QualityPrediction
from planner.domain.predict.speed import SpeedPrediction


@pytest.fixture
def scored(tables):
    """A legal candidate: 4 bits, loses 0.5 % (2 % at most), 100 tokens a second, 10 GB, half the card free."""

    def build(
        scheme="Q4_K_M",
        *,
        loss=0.005,
        loss_high=0.02,
        speed=100.0,
        size=10_000,
        spare=0.5,
        bits=4.85,
        **fields,
    ):
        usable = 100_000
        memory = MemoryEstimate(
            device="test card",
            weights_bytes=size,
            kv_cache_bytes=0,
            activation_bytes=0,
            overhead_bytes=0,
            total_low_bytes=size,
            total_high_bytes=int(usable * (1 - spare)),
            usable_bytes=usable,
            kv_capacity_tokens=0,
            all_devices_bytes=size,
        )
        nothing = QualityPrediction(
            benchmark="mmlu",
            expected=None,
            low=None,
            high=None,
            expected_delta=None,
            low_delta=None,
            high_delta=None,
            loss=loss,
            loss_high=loss_high,
            n_measurements=3,
            sources=(),
            basis="measured",
        )
        rate = SpeedPrediction(
            decode_tokens_per_s=speed,
            decode_low=speed,
            decode_high=speed,
            total_tokens_per_s=speed,
            decode_at_start=None,
            prefill_tokens_per_s=None,
            ttft_ms=None,
            itl_ms=None,
            n_measurements=9,
            sources=(),
            basis="measured",
        )
        candidate = Candidate(
            scheme=tables.schemes[scheme, "gguf"],
            method="rtn",
            engine="llama.cpp",
            backend="llamacpp",
            group_size=None,
            placement=Placement(),
            kv_dtype="auto",
            native_bits=bits,
            calibrated=False,
            prebuilt=None,
            intermediate_size=4096,
        )
        return replace(
            Scored(
                candidate=candidate,
                verdict=Verdict(status="legal", findings=(), kernel=Kernel("ggml mul_mat", False, "a test")),
                memory=memory,
                quality=nothing,
                also_quality=(),
                speed=rate,
                bytes_per_step=size,
                artifact_bytes=size,
                bits_per_weight=bits,
                job=NOTHING_TO_MAKE,
            ),
            **fields,
        )

    return build


def names(ranking):
    return [item.candidate.scheme.name for item in ranking.admitted]


def test_balanced_takes_the_fastest_that_loses_little(scored):
    fast = scored("Q4_K_S", speed=120)
    slow = scored("Q8_0", speed=60, loss=0.001)
    lossy = scored("Q4_0", speed=200, loss=0.02)
    ranking = rank([slow, lossy, fast], "balanced", ())
    assert names(ranking) == ["Q4_K_S", "Q8_0"]
    assert [(item.candidate.scheme.name, why.code) for item, why in ranking.passed_over] == [
        ("Q4_0", "objective.loss")
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"loss": 0.0101}, "objective.loss", id="expected-loss-above-one-percent"),
        pytest.param({"loss_high": 0.031}, "objective.loss", id="bad-end-above-three-percent"),
        pytest.param({"spare": 0.049}, "objective.headroom", id="less-than-five-percent-to-spare"),
        pytest.param({"loss": None, "loss_high": None}, "objective.no_evidence", id="nothing-measured"),
        pytest.param({"bits": 3.4}, "policy.three_bit", id="a-prototype"),
    ],
)
def test_balanced_passes_over_with_a_reason(scored, fields, code):
    ranking = rank([scored("Q8_0"), scored("Q4_0", **fields)], "balanced", ())
    assert names(ranking) == ["Q8_0"]
    assert [why.code for _, why in ranking.passed_over] == [code]


def test_speeds_within_five_percent_are_a_tie_that_the_lower_loss_wins(scored):
    close = [scored("Q4_K_S", speed=100, loss=0.009), scored("Q5_K_M", speed=96, loss=0.001)]
    assert names(rank(close, "balanced", ())) == ["Q5_K_M", "Q4_K_S"]
    apart = [scored("Q4_K_S", speed=100, loss=0.009), scored("Q5_K_M", speed=94, loss=0.001)]
    assert names(rank(apart, "balanced", ())) == ["Q4_K_S", "Q5_K_M"]


def test_ties_in_speed_and_loss_go_to_less_memory(scored):
    found = rank([scored("Q5_K_M", size=12_000), scored("Q4_K_M", size=9_000)], "balanced", ())
    assert names(found) == ["Q4_K_M", "Q5_K_M"]


def test_when_nothing_is_admitted_the_smallest_loss_that_fits_is_taken_and_said(scored):
    ranking = rank([scored("Q4_0", loss=0.08), scored("Q4_K_M", loss=0.05)], "balanced", ())
    assert names(ranking)[0] == "Q4_K_M"
    assert "smallest loss that fits" in ranking.remark


def test_a_prototype_enters_balanced_through_that_last_clause_alone(scored):
    assert names(rank([scored("Q3_K_M", bits=3.4)], "balanced", ())) == ["Q3_K_M"]


def test_quality_takes_the_smallest_loss_and_within_the_noise_the_faster(scored):
    found = rank([scored("Q4_K_M", loss=0.02, speed=200), scored("Q8_0", loss=0.0, speed=50)], "quality", ())
    assert names(found) == ["Q8_0", "Q4_K_M"]
    noise = rank([scored("Q8_0", loss=0.0, speed=50), scored("Q6_K", loss=0.001, speed=70)], "quality", ())
    assert names(noise) == ["Q6_K", "Q8_0"]


def test_speed_takes_the_fastest_within_three_percent(scored):
    found = rank([scored("Q4_0", loss=0.029, speed=150), scored("Q8_0", speed=60)], "speed", ())
    assert names(found) == ["Q4_0", "Q8_0"]
    assert names(rank([scored("Q4_0", loss=0.031, speed=150), scored("Q8_0")], "speed", ())) == ["Q8_0"]


def test_memory_takes_the_smallest_within_three_percent(scored):
    found = rank(
        [scored("Q8_0", size=20_000), scored("Q3_K_M", bits=3.4, size=8_000, loss=0.025)], "memory", ()
    )
    assert names(found) == ["Q3_K_M", "Q8_0"]


def test_what_was_named_is_admitted_whatever_it_loses(scored):
    ranking = rank([scored("Q2_K", bits=2.6, loss=0.2, loss_high=0.5)], "balanced", ("Q2_K",))
    assert names(ranking) == ["Q2_K"]
    assert ranking.remark is None


def test_where_no_speed_is_known_fewer_bytes_read_stand_in(scored):
    unknown = scored().speed._replace(total_tokens_per_s=None)
    found = rank(
        [
            scored("Q8_0", size=20_000, speed=10.0),
            replace(scored("Q4_K_M", size=9_000), speed=unknown),
        ],
        "speed",
        (),
    )
    assert names(found) == ["Q4_K_M", "Q8_0"]


def test_nothing_legal_ranks_as_nothing():
    ranking = rank([], "balanced", ())
    assert (ranking.admitted, ranking.passed_over, ranking.remark) == ([], [], None)
