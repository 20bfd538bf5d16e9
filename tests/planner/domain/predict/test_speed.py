"""The roofline by hand, and no number where nothing was measured."""

from dataclasses import replace

import pytest

from planner.domain.facts.evidence import Efficiency, EvidenceBase, size_class
from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.predict.links import Exchange
from planner.domain.predict.speed import beside_host, copy_for_prompts, find_efficiency, predict_speed

HALF = Efficiency("vllm", "*", "decode", "4 bits", 0.4, 0.5, 0.6, 10, ("a benchmark",))


@pytest.fixture
def predict(a_device):
    """Speed of 40 GB of weights on one card of 768 GB/s whose engine reaches half of it."""

    def build(rows=(HALF,), *, placement=None, concurrency=1, context=8192, kv=0.0, device=None):
        base = EvidenceBase(
            version="test",
            efficiency={(row.engine, row.device, row.metric, row.width): row for row in rows},
        )
        return predict_speed(
            engine="vllm",
            placement=placement or Placement(),
            device=device or a_device(),
            workload=Workload(context_tokens=context, concurrency=concurrency),
            weights_bytes_read=40_000_000_000,
            kv_bytes_read=kv,
            params=70e9,
            params_total=70e9,
            weight_bits=4.0,
            evidence=base,
        )

    return build


def test_a_token_reads_the_weights_once(predict):
    found = predict()
    # 768e9 / 40e9 = 19.2 a second at full bandwidth; 0.4, 0.5 and 0.6 of it.
    assert found.decode_tokens_per_s == pytest.approx(9.6)
    assert (found.decode_low, found.decode_high) == (pytest.approx(7.68), pytest.approx(11.52))
    assert found.itl_ms == pytest.approx(1000 / 9.6)
    assert found.sources == ("a benchmark",)


def test_tensor_parallel_reads_on_all_ranks_at_once(predict):
    assert predict(placement=Placement(tp=2)).decode_tokens_per_s == pytest.approx(19.2)


def test_a_batch_shares_the_weights_and_each_reads_its_own_cache(predict):
    # Halfway through its answer a sequence of 8192 tokens at 3:1 holds 8192 x 0.875 = 7168.
    kv_bytes_read = 7168 * 300_000
    found = predict(concurrency=4, kv=kv_bytes_read)
    step_bytes = 40e9 + 4 * kv_bytes_read
    assert found.decode_tokens_per_s == pytest.approx(768e9 * 0.5 / step_bytes)
    assert found.total_tokens_per_s == pytest.approx(4 * found.decode_tokens_per_s)


@pytest.mark.parametrize(
    ("concurrency", "dp"),
    [
        pytest.param(1, 2, id="one-user-two-replicas"),
        pytest.param(5, 2, id="five-users-two-replicas"),
        pytest.param(4, 2, id="even"),
    ],
)
def test_replicas_serve_the_users_there_are_and_no_more(predict, concurrency, dp):
    found = predict(concurrency=concurrency, placement=Placement(dp=dp))
    assert found.total_tokens_per_s == pytest.approx(concurrency * found.decode_tokens_per_s)


def test_prefill_is_bound_by_arithmetic(predict, a_device):
    prefill = replace(HALF, metric="prefill")
    device = a_device(fp16_flops=140e12)
    # 140e12 x 0.5 / (2 x 70e9) = 500 tokens a second; 6144 tokens of prompt take 12.288 s.
    found = predict((HALF, prefill), device=device)
    assert found.prefill_tokens_per_s == pytest.approx(500)
    assert found.ttft_ms == pytest.approx(12_288)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"rows": ()}, id="nothing-measured"),
        pytest.param({"rows": (replace(HALF, count=2),)}, id="two-figures-are-too-few"),
        pytest.param({"rows": (replace(HALF, engine="llama.cpp"),)}, id="another-engine"),
    ],
)
def test_unknown_stays_unknown(predict, fields):
    found = predict(**fields)
    assert (found.decode_tokens_per_s, found.total_tokens_per_s, found.basis) == (None, None, "insufficient")


def test_without_a_known_bandwidth_there_is_no_speed(predict, a_device):
    assert predict(device=a_device(bandwidth_bytes_per_s=None)).decode_tokens_per_s is None


def test_the_devices_own_figures_come_first(a_device):
    own = replace(HALF, device="NVIDIA RTX A6000", likely=0.7)
    base = EvidenceBase(
        version="test",
        efficiency={("vllm", row.device, "decode", "4 bits"): row for row in (HALF, own)},
    )
    found = find_efficiency(base, "vllm", a_device(), "decode", 4.0, 70e9)
    assert found is not None
    assert found.likely == 0.7


@pytest.mark.parametrize(
    ("params", "share"),
    [
        pytest.param(135e6, 0.2, id="the-same-model"),
        pytest.param(7e9, 0.25, id="fifty-times-larger"),
    ],
)
def test_what_a_small_model_reached_here_says_nothing_of_a_large_one(a_device, params, share):
    cpu = replace(a_device(), kind="cpu", name="Any CPU")
    own = replace(HALF, device="Any CPU", likely=0.2, count=1)
    base = EvidenceBase(
        version="test",
        efficiency={("vllm", "*", "decode", "4 bits"): HALF},
        own_efficiency={("vllm", "Any CPU", "decode", "4 bits", size_class(135e6)): own},
    )
    found = find_efficiency(base, "vllm", cpu, "decode", 4.0, params)
    assert found is not None
    assert found.likely == share


def test_a_conversation_starts_faster_than_it_goes_on(predict):
    found = predict(concurrency=4, kv=10_000_000_000)
    # One user, an empty cache: 768e9 x 0.5 / 40e9; four halfway through read as much cache as weights.
    assert found.decode_at_start == pytest.approx((7.68, 9.6, 11.52))
    assert found.decode_tokens_per_s == pytest.approx(4.8)


def test_layers_in_host_memory_set_the_pace(a_device):
    card = a_device(bandwidth_bytes_per_s=768e9)
    assert beside_host(card, 0.0) is card
    # half of a gigabyte at 768 GB/s and half at 51.2: 0.651 + 9.766 ms
    slowed = beside_host(card, 0.5)
    assert slowed.bandwidth_bytes_per_s == pytest.approx(1e9 / 0.010417, rel=1e-3)


def test_a_prompts_batch_copies_what_lies_on_the_host():
    # 24 GB at 12 GB/s are 2 seconds, shared by 512 tokens
    assert copy_for_prompts(Exchange(), 24_000_000_000, 512).prompt_token == pytest.approx(2 / 512)
