"""Verdicts: the trap of Qwen2.5-72B, every way out of it, and unknown that is never allowed."""

from dataclasses import replace

import pytest

from planner.domain.choose.legality import least_able
from planner.domain.choose.predictor import Predictor
from planner.domain.facts.hardware import Target
from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload


def key_of(candidate):
    return (
        *(candidate.scheme.name, candidate.method, candidate.engine, candidate.group_size),
        *(candidate.placement, candidate.prebuilt is not None),
    )


@pytest.fixture(scope="session")
def judge(plan_inputs):
    """Verdicts of all candidates of a request, by (scheme, method, engine, group size, placement, published)."""

    def build(model, target, *, context=8192, concurrency=4, **request):
        inputs = plan_inputs(model, target, **request)
        workload = Workload(context_tokens=context, concurrency=concurrency)
        predictor = Predictor(inputs, workload)
        return {
            key_of(prospect.candidate): predictor.judge(prospect).verdict
            for prospect in predictor.list_prospects()
        }

    return build


@pytest.fixture(scope="session")
def on_two_a6000(judge, qwen72b, a_target):
    return judge(qwen72b, a_target(count=2))


TP2, PP2, DP2 = Placement(tp=2), Placement(pp=2), Placement(dp=2)


@pytest.mark.parametrize(
    ("key", "status"),
    [
        pytest.param(("W4A16", "gptq", "vllm", 128, TP2, False), "illegal", id="group-128-over-two-ranks"),
        pytest.param(("W4A16", "rtn", "vllm", 128, TP2, False), "illegal", id="by-rounding-as-well"),
        pytest.param(("W4A16", "gptq", "vllm", 64, TP2, False), "legal", id="group-64"),
        pytest.param(("W4A16", "gptq", "vllm", 32, TP2, False), "legal", id="group-32"),
        pytest.param(("W4A16", "gptq", "vllm", 128, PP2, False), "legal", id="pipeline"),
        pytest.param(("W4A16", "awq", "vllm", 128, TP2, True), "legal", id="published-and-padded"),
        pytest.param(("W4A16", "gptq", "vllm", 128, TP2, True), "legal", id="published-gptq"),
        pytest.param(("BF16", "none", "vllm", None, TP2, False), "illegal", id="16-bits-tensor"),
        pytest.param(("BF16", "none", "vllm", None, PP2, False), "illegal", id="16-bits-pipeline"),
        pytest.param(("BF16", "none", "vllm", None, DP2, False), "illegal", id="16-bits-replicas"),
        pytest.param(("BF16", "none", "llama.cpp", None, PP2, False), "illegal", id="16-bits-gguf"),
    ],
)
def test_what_loads_of_qwen_72b_on_two_a6000(on_two_a6000, key, status):
    assert on_two_a6000[key].status == status


def test_the_trap_is_explained_with_its_arithmetic_and_the_way_out(on_two_a6000):
    verdict = on_two_a6000["W4A16", "gptq", "vllm", 128, TP2, False]
    finding = verdict.findings[0]
    assert finding.code == "shape.group_not_divisible"
    for part in ("29568", "14784", "115.5", "128"):
        assert part in finding.message
    assert "64 or 32" in finding.way_out[0]
    assert any("replicas" in way for way in finding.way_out)
    assert any("pipeline" in way for way in finding.way_out)
    assert any("29696" in way for way in finding.way_out)


def test_16_bits_of_qwen_72b_are_over_by_tens_of_gib(on_two_a6000):
    finding = on_two_a6000["BF16", "none", "vllm", None, TP2, False].findings[0]
    assert finding.code == "memory.over_by"
    # 72.7e9 parameters in 2 bytes over two cards of 42.8 GiB usable: 67.7 GiB of weights on each.
    assert finding.numbers["over_by_bytes"] > 25 * 2**30
    assert finding.numbers["usable_bytes"] == 45_949_648_896


def test_unknown_is_its_own_verdict_and_says_what_is_not_covered(judge, a_model, a_target):
    # No row says what vLLM does with FP8 on RDNA 3.
    verdicts = judge(a_model(), a_target("AMD Radeon RX 7900 XTX"), engine="vllm", schemes=("FP8_DYNAMIC",))
    assert verdicts
    for verdict in verdicts.values():
        assert (verdict.status, verdict.kernel) == ("unknown", None)
        assert [finding.code for finding in verdict.findings] == ["unknown.engine_rule"]
        assert "FP8_DYNAMIC" in verdict.findings[0].message


def test_below_2_9_bits_only_by_name(judge, a_model, a_target):
    key = ("Q2_K", "rtn", "llama.cpp", None, Placement(), False)
    unasked = judge(a_model(), a_target())[key]
    assert (unasked.status, unasked.findings[0].code) == ("illegal", "policy.two_bit")
    assert judge(a_model(), a_target(), schemes=("Q2_K",))[key].status == "legal"


def test_all_failing_rules_are_reported(judge, qwen72b, a_target):
    verdict = judge(qwen72b, a_target(count=2, gib=16))["W4A16", "gptq", "vllm", 128, TP2, False]
    assert [finding.code for finding in verdict.findings] == ["shape.group_not_divisible", "memory.over_by"]


def test_the_least_able_card_decides_for_a_mixed_target(a_device):
    mixed = Target(devices=(a_device("NVIDIA H100 80GB SXM5"), a_device("NVIDIA T4")))
    assert least_able(mixed.devices).name == "NVIDIA T4"


def test_an_old_driver_refuses_vllm_and_not_llama_cpp(judge, a_model, a_target):
    old = replace(a_target(), cuda="11.8", driver="520.61.05")
    codes = {
        engine: {finding.code for finding in verdict.findings}
        for (_, _, engine, *_), verdict in judge(a_model(), old).items()
    }
    assert "driver.too_old" in codes["vllm"]
    assert "driver.too_old" not in codes["llama.cpp"]
    newer = replace(old, cuda="12.4")
    assert not any(
        finding.code == "driver.too_old"
        for verdict in judge(a_model(), newer).values()
        for finding in verdict.findings
    )


def test_equal_shards_on_uneven_cards_say_that_the_smallest_bounds_all(judge, qwen72b, a_device):
    target = Target(devices=(a_device("NVIDIA RTX A6000"), a_device("NVIDIA GeForce RTX 3090")))
    verdict = judge(qwen72b, target)["BF16", "none", "vllm", None, PP2, False]
    (finding,) = [finding for finding in verdict.findings if finding.code == "memory.over_by"]
    assert "the smallest card bounds all" in finding.message
    assert "RTX 3090" in finding.message


def test_every_finding_has_a_code_a_sentence_and_a_source(judge, qwen72b, a_target):
    for verdict in judge(qwen72b, a_target("NVIDIA T4", count=2)).values():
        for finding in verdict.findings:
            assert "." in finding.code
            assert finding.message[-1] != "."
            assert "\n" not in finding.message
            assert finding.source
