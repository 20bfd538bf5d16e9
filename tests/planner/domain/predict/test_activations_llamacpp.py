"""llama.cpp's compute buffer, as its own logs print it. Rows are of `evidence/memory_truth.csv`."""

import pytest

from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.predict.activations import predict_activations
from planner.domain.predict.constants import Constant
from planner.domain.predict.llamacpp_builds import constants_of_build

MIB = 2**20


@pytest.fixture(scope="session")
def buffer_of(tables, catalogue_model):
    """MiB of the compute buffer on one device."""

    def predict(model, context, version=None, *, pp=1, first=True, last=True):
        found = predict_activations(
            catalogue_model(model),
            "llama.cpp",
            Placement(pp=pp),
            Workload(context_tokens=context, concurrency=1),
            1,
            is_first=first,
            is_last=last,
            constants=constants_of_build(tables.memory, "llama.cpp", version),
        )
        return found.likely / MIB

    return predict


@pytest.mark.parametrize(
    ("model", "context", "version", "printed"),
    [
        pytest.param("meta-llama/Meta-Llama-3-8B", 8192, "2824 (4426e298)", 560.0, id="scores-of-32-heads"),
        pytest.param("meta-llama/Meta-Llama-3-8B", 512, "2797 (858f6b73)", 258.5, id="logits-are-wider"),
        # llamacpp-buffer-context less KV cache, build 1671: what is live in one layer's feed-forward
        pytest.param("huggyllama/llama-13b", 512, "1671 (8fe03ff)", 75.0, id="feed-forward-of-13b"),
        pytest.param("huggyllama/llama-30b", 512, "1671 (8fe03ff)", 97.0, id="feed-forward-of-30b"),
        pytest.param("huggyllama/llama-65b", 512, "1671 (8fe03ff)", 119.0, id="feed-forward-of-65b"),
        # ik_llama.cpp pull 344, flash attention
        pytest.param("zai-org/GLM-4-32B-0414", 32768, None, 308.0, id="flash-attention-keeps-no-scores"),
        pytest.param("Qwen/Qwen3-30B-A3B", 4096, None, 300.75, id="flash-attention-of-a-mixture"),
    ],
)
def test_one_device(buffer_of, model, context, version, printed):
    assert buffer_of(model, context, version) == pytest.approx(printed, abs=0.1)


def test_every_device_of_a_pipeline_keeps_four_copies_of_its_inputs(buffer_of):
    """Build 2833, 2x and 4x RTX 3090: 640.01 MiB on each, 640.02 on the last."""
    for pp in (2, 4):
        for first, last in ((True, False), (False, True)):
            found = buffer_of(
                "meta-llama/Meta-Llama-3-8B", 8192, "2833 (d46dbc76)", pp=pp, first=first, last=last
            )
            assert found == pytest.approx(640.0, abs=0.1)


def test_the_first_device_makes_the_mask_that_flash_attention_reads(buffer_of):
    """ik_llama.cpp issue 398, Qwen3-30B-A3B over 2x T4 at 32,768: 368.01 and 444.77 MiB."""
    model = "Qwen/Qwen3-30B-A3B"
    assert buffer_of(model, 32768, pp=2, last=False) == pytest.approx(368.0, abs=0.1)
    assert buffer_of(model, 32768, pp=2, first=False) == pytest.approx(444.75, abs=0.1)


def test_builds_before_the_split_by_layers_have_one_scratch(buffer_of):
    """Build 1671: LLaMA-7B takes 70.5 MiB of scratch on one RTX 4090 and, summed, on six."""
    first = buffer_of("huggyllama/llama-7b", 512, "1671 (8fe03ff)", pp=6, last=False)
    last = buffer_of("huggyllama/llama-7b", 512, "1671 (8fe03ff)", pp=6, first=False)
    assert (first, last) == (0, pytest.approx(70.5))


def test_what_nobody_said_about_flash_attention_is_in_the_interval(tables, catalogue_model):
    found = predict_activations(
        catalogue_model("meta-llama/Meta-Llama-3-8B"),
        "llama.cpp",
        Placement(),
        Workload(context_tokens=8192, concurrency=1),
        1,
        is_last=True,
        constants=constants_of_build(tables.memory, "llama.cpp", "83bc2f28 (6077)"),
    )
    assert found.low <= 258.5 * MIB
    assert found.high >= 560 * MIB == found.likely


def test_latent_attention_is_between_absorbed_and_unfolded(tables, catalogue_model):
    """ik_llama.cpp issue 437, DeepSeek-R1 on one RTX 5090: 4252.01 MiB at 32,768 in micro-batches of 2,048."""
    found = predict_activations(
        catalogue_model("deepseek-ai/DeepSeek-R1"),
        "llama.cpp",
        Placement(),
        Workload(context_tokens=32768, concurrency=1),
        1,
        is_last=True,
        constants={**tables.memory, ("llama.cpp", "batched_tokens"): Constant(2048, 2048, 2048, "-ub 2048")},
    )
    # 2 x 7168 + 128 heads x (192 + 512 + 576) widths of 4 bytes, and the mask in 16 bits
    assert found.likely == 4 * 2048 * (2 * 7168 + 128 * 1280) + 2 * 2048 * 32768
    assert found.low < 4252.01 * MIB < found.high
