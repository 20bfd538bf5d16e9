"""The peak of vLLM's profile run: printed figures of two engines generations, and what it depends on."""

from dataclasses import replace

import pytest

from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.facts.versions import read_version
from planner.domain.predict.activations_vllm import predict_batch_peak
from planner.domain.predict.constants import Constant
from planner.domain.predict.engine_defaults import resolve_constants
from planner.domain.units import GIB

H100, A100 = "NVIDIA H100 80GB SXM5", "NVIDIA A100 80GB PCIe"
RTX_3090, T4 = "NVIDIA GeForce RTX 3090", "NVIDIA T4"


@pytest.fixture(scope="session")
def peak_of(tables, catalogue_model, a_device):
    """The peak of one version on one card, with terms that were set by hand."""

    def predict(model_id, version, card, *, context=8192, tp=1, is_last=True, **terms):
        constants = dict(
            resolve_constants(
                tables.memory, tables.defaults, "vllm", a_device(card), version=read_version(version)
            )
        )
        constants |= {("vllm", term): Constant(value, value, value, "set") for term, value in terms.items()}
        return predict_batch_peak(
            catalogue_model(model_id),
            "vllm",
            Placement(tp=tp),
            Workload(context_tokens=context, concurrency=1),
            1,
            is_last=is_last,
            constants=constants,
        )

    return predict


@pytest.mark.parametrize(
    ("model_id", "version", "card", "asked", "printed_gib"),
    [
        # evidence/memory_truth.csv, kind vllm-activation-peak; 1024 slots on an H100 since 0.8.3
        pytest.param("Qwen/Qwen3-0.6B", "0.11.0", H100, {"context": 16000}, 5.56, id="vocabulary-151936"),
        pytest.param("meta-llama/Llama-3.1-8B", "0.11.0", H100, {}, 4.76, id="vocabulary-128256"),
        pytest.param("openai/gpt-oss-20b", "0.11.0", H100, {}, 7.38, id="vocabulary-201088"),
        # 256 slots, whatever the ranks
        pytest.param("meta-llama/Meta-Llama-3-8B", "0.6.5", A100, {}, 1.26, id="first-engine"),
        pytest.param("meta-llama/Meta-Llama-3-8B", "0.6.5", A100, {"tp": 2}, 1.26, id="over-two"),
        pytest.param("Qwen/Qwen3-30B-A3B", "0.8.5", T4, {"context": 131072, "tp": 4}, 1.39, id="experts"),
        # the layer is the larger: a whole prompt at once (printed peak less the weights, 14.99)
        pytest.param("meta-llama/Llama-3.1-8B", "0.6.4", RTX_3090, {"context": 20000}, 2.07, id="20k"),
        pytest.param("meta-llama/Llama-3.1-8B", "0.6.4", RTX_3090, {"context": 29000}, 2.99, id="29k"),
        pytest.param("Qwen/Qwen2.5-1.5B", "0.6.4", T4, {"context": 32768}, 2.02, id="32k-on-a-t4"),
        # chunks of 2048 tokens and few slots
        pytest.param(
            "meta-llama/Llama-3.1-8B",
            "0.6.4",
            RTX_3090,
            {"context": 131072, "sequence_slots": 16},
            0.22,
            id="chunked",
        ),
    ],
)
def test_the_peak_is_the_one_that_was_printed(peak_of, model_id, version, card, asked, printed_gib):
    peak = peak_of(model_id, version, card, **asked)
    assert peak.likely / GIB == pytest.approx(printed_gib, rel=0.06)
    assert peak.low <= peak.likely <= peak.high


def test_sampling_happens_on_the_last_stage_alone(peak_of):
    first, last = (peak_of("Qwen/Qwen3-0.6B", "0.11.0", H100, is_last=is_last) for is_last in (False, True))
    assert first.likely < last.likely / 10


def test_ranks_share_a_layer(peak_of):
    slots = {"sequence_slots": 1}
    one, two = (peak_of("Qwen/Qwen2.5-72B", "0.28", H100, tp=tp, **slots).likely for tp in (1, 2))
    # tokens x 2 bytes x 3 of 29,568 columns less
    assert one - two == 2 * 8192 * 3 * 29568 / 2


def test_a_whole_prompt_counts_where_chunks_are_off(peak_of):
    chunked = peak_of("Qwen/Qwen2.5-72B", "0.28", A100, context=32000)
    whole = peak_of("Qwen/Qwen2.5-72B", "0.28", A100, context=32000, whole_prompt_tokens=32000)
    assert whole.likely > 10 * chunked.likely


def test_no_batch_holds_more_than_all_its_slots_could(peak_of, a_model, tables):
    constants = {**tables.memory, ("vllm", "sequence_slots"): Constant(4, 4, 4, "set")}
    short = Workload(context_tokens=64, concurrency=1)
    peak = predict_batch_peak(
        replace(a_model(), vocab_size=1), "vllm", Placement(), short, 1, is_last=True, constants=constants
    )
    # 4 x 64 tokens x (3 x 4096 + 3.5 x 1024) x 2 bytes
    assert peak.likely == 4 * 64 * (3 * 4096 + 3.5 * 1024) * 2


def test_an_image_of_any_size_is_encoded_at_its_largest(peak_of):
    asked = {"model_id": "Qwen/Qwen2.5-VL-7B-Instruct", "version": "0.7.3", "card": RTX_3090}
    few = {"sequence_slots": 1, "whole_prompt_tokens": 0, "batched_tokens": 2048}
    # evidence/memory_truth.csv: 1.16 GiB at a context of 8,192 tokens, half of the largest image
    assert peak_of(**asked, context=8192, **few).likely / GIB == pytest.approx(1.16, rel=0.2)
    assert peak_of(**asked, context=32768, **few).likely == 2 * GIB
    assert peak_of(**asked, context=32768, tp=2, **few).likely == 1 * GIB
    assert peak_of(**asked, context=32768, image_encoder=0, **few).likely < 0.5 * GIB
