"""Peaks of transformers, one row of evidence/memory_truth.csv for each cause: the moment that decides them."""

import pytest

from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.facts.torch_allocator import unsplit_rest, unsplit_rests
from planner.domain.predict.activations_transformers import Share, predict_torch_peak
from planner.domain.predict.memory import predict_memory, weigh
from planner.domain.predict.seats import divide, seat_devices
from planner.domain.predict.transformers_versions import constants_of_version
from planner.domain.units import MIB

GENERATED = 2048
"""Tokens that Qwen's benchmarks generate after the prompt."""


@pytest.fixture
def peak_mib(catalogue_model, tables, a_target):
    """Summed peak in MiB of a row of Qwen's benchmarks."""

    def estimate(name, scheme, form, version, prompt, card="NVIDIA A100 80GB PCIe"):
        constants = dict(constants_of_version(tables.memory, "transformers", version))
        tokens = constants["transformers", "batched_tokens"]
        constants["transformers", "batched_tokens"] = type(tokens)(prompt, prompt, prompt, "the row's prompt")
        stored = tables.schemes[scheme, form]
        division = divide(
            catalogue_model(f"Qwen/{name}"),
            "transformers",
            Placement(),
            a_target(card).devices,
            is_gguf=stored.is_gguf_mix,
        )
        workload = Workload(context_tokens=prompt + GENERATED, concurrency=1)
        estimate = predict_memory(
            seat_devices(division, workload, "auto", constants), weigh(division, stored, 128, tables.gguf)
        )
        low, high = estimate.all_devices_low_bytes, estimate.all_devices_high_bytes
        return estimate.all_devices_bytes / MIB, (low / MIB, high / MIB)

    return estimate


H20 = "NVIDIA H20 96GB"
GIB = 1024


@pytest.mark.parametrize(
    ("row", "measured"),
    [
        # Qwen2.5 speed benchmark, transformers 4.46.0, printed in GiB to two places.
        pytest.param(("Qwen2.5-7B", "BF16", "safetensors", "4.46.0", 30720), 19.97 * GIB, id="prompt"),
        pytest.param(("Qwen2.5-7B", "BF16", "safetensors", "4.46.0", 1), 14.38 * GIB, id="end"),
        pytest.param(("Qwen2.5-3B", "BF16", "safetensors", "4.46.0", 1), 5.95 * GIB, id="unsplit-rests"),
        pytest.param(("Qwen2.5-3B", "W4A16", "awq", "4.46.0", 1), 2.50 * GIB, id="carried-head"),
        pytest.param(("Qwen2.5-32B", "W4A16", "gptq", "4.46.0", 30720), 31.84 * GIB, id="exllama-buffer"),
        # Qwen2 speed benchmark, 4.38.2.
        pytest.param(("Qwen2-7B", "BF16", "safetensors", "4.38.2", 30720), 42.62 * GIB, id="prompts-logits"),
        pytest.param(("Qwen2-1.5B", "BF16", "safetensors", "4.38.2", 1), 3.44 * GIB, id="rotary-tables"),
        # Qwen1.5 HF inference benchmark; its version is not printed, 4.37 is of its month.
        pytest.param(("Qwen1.5-4B", "BF16", "safetensors", "4.37", 1), 9.59 * GIB, id="cache-twice"),
        pytest.param(("Qwen1.5-7B", "BF16", "safetensors", "4.37", 30720), 62.29 * GIB, id="next-step"),
        # Qwen3 speed benchmark, 4.51.3, printed in MiB.
        pytest.param(("Qwen3-8B", "BF16", "safetensors", "4.51.3", 30720, H20), 20267, id="held-alone"),
        pytest.param(
            ("Qwen3-1.7B", "FP8_BLOCK", "compressed-tensors", "4.51.3", 6144, H20), 3462, id="kept-head"
        ),
        pytest.param(
            ("Qwen3-8B", "W4A16", "awq", "4.51.3 + AutoAWQ 0.2.9", 30720, H20), 11001, id="fused-tables"
        ),
    ],
)
def test_meets_the_published_peak_within_one_percent(peak_mib, row, measured):
    likely, (low, high) = peak_mib(*row)
    assert likely == pytest.approx(measured, rel=0.01)
    assert low <= measured <= high


def test_a_prompt_counts_where_no_version_is_named(peak_mib):
    """Figures of 4.51 are what is held; somebody who names no version gets the peak, and a fit allows for it."""
    held, (_, high) = peak_mib("Qwen3-8B", "BF16", "safetensors", "4.51.3", 30720)
    likely, _ = peak_mib("Qwen3-8B", "BF16", "safetensors", None, 30720)
    # 30720 x 2 x (3 x 12288 + 4 x 4096) = 3.05 GiB at the prompt against 0.28 GiB of 2048 tokens' cache.
    assert likely - held == pytest.approx(30720 * 2 * 53248 / MIB - 288, rel=0.02)
    assert high >= likely


@pytest.mark.parametrize(
    ("mib", "rest"),
    [
        pytest.param(0.5, 0, id="small-pool"),
        pytest.param(43, 1, id="one-below-a-step-is-kept"),
        pytest.param(42.5, 0, id="more-than-one-is-split-off"),
        pytest.param(44, 0, id="whole-steps"),
        # 13 tensors of 1.5 MiB fill 19.5 of 20: half of the rest, spread over them.
        pytest.param(1.5, 0.5 / 13 / 2, id="shared-segment"),
    ],
)
def test_a_rest_of_one_mebibyte_or_less_stays_with_its_tensor(mib, rest):
    assert unsplit_rest(mib * MIB) / MIB == pytest.approx(rest)


def test_rests_of_qwen25_3b_are_a_mebibyte_for_each_of_its_wide_matrices(catalogue_model, tables):
    """11008 x 2048 in 16 bits are 43 MiB: three a layer, 36 layers."""
    rests = unsplit_rests(catalogue_model("Qwen/Qwen2.5-3B"), tables.schemes["BF16", "safetensors"])
    assert sum(rests[:-1]) / MIB == 108


@pytest.mark.parametrize(
    ("version", "copies"), [(None, 1), ("4.38.2", 2), ("4.46.0", 1), ("PyTorch 2.0.1", 1), ("main", 1)]
)
def test_a_version_decides_how_often_the_cache_is_held(tables, version, copies):
    """`PyTorch 2.0.1` names no version of transformers."""
    constants = constants_of_version(tables.memory, "transformers", version)
    assert constants["transformers", "cache_copies"].likely == copies


def test_a_cpu_has_no_workspace(catalogue_model, tables, a_device):
    share = {
        "model": catalogue_model("Qwen/Qwen2.5-3B"),
        "scheme": tables.schemes["BF16", "safetensors"],
        "first": 0,
        "layers": 36,
        "is_first": True,
        "is_last": True,
        "devices": 1,
        "sequences": 1,
        "context_tokens": 512,
        "kv_dtype": "auto",
    }
    card = predict_torch_peak(Share(device=a_device(H20), **share), tables.memory)
    host = predict_torch_peak(Share(device=a_device(H20, kind="cpu"), **share), tables.memory)
    assert (card.likely - host.likely) / MIB == 32
