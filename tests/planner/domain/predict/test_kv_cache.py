"""What a sequence keeps in layers that are not all alike."""

import pytest

from planner.domain.predict.engine_defaults import resolve_constants
from planner.domain.predict.kv_cache import (
    cache_rules,
    held_tokens_of_layers,
    kv_bytes_by_layer,
    kv_bytes_per_token,
)


@pytest.mark.parametrize(
    ("model_id", "tokens", "expected"),
    [
        # 6 attending layers x 2 x 8 heads x 64 x 2 bytes a token; 10 convolutions keep 2 columns of 2048.
        pytest.param("LiquidAI/LFM2-1.2B", 1024, 6 * 2048 * 1024 + 10 * 2048 * 2 * 2, id="convolutions"),
        # 4 layers x 2 x 4 x 128 x 2 a token; 36 Mamba 2 layers: 3072 channels x 128 in 32 bits, and three columns
        # of 3072 + 2 x 128 channels.
        pytest.param(
            "ibm-granite/granite-4.0-h-tiny",
            1024,
            4 * 2048 * 1024 + 36 * (3072 * 128 * 4 + 3328 * 3 * 2),
            id="state-space",
        ),
        # 5 full layers x 2 heads x (512 + 512) x 2 bytes; 25 windows of 1024 tokens x 8 heads x (256 + 256) x 2.
        pytest.param(
            "google/gemma-4-26B-A4B",
            4096,
            5 * 2 * 1024 * 2 * 4096 + 25 * 8 * 512 * 2 * 1024,
            id="two-attention-shapes",
        ),
        # The last ten of 30 layers read the others' keys: 4 full and 16 windowed layers keep 2 heads x 512 x 2.
        pytest.param(
            "google/gemma-3n-E2B-it", 2048, 2 * 512 * 2 * (4 * 2048 + 16 * 512), id="shared-keys-and-values"
        ),
        # 61 layers x (512 latent + 64 rotary + 128 index key) x 2 bytes.
        pytest.param("deepseek-ai/DeepSeek-V3.2", 1000, 61 * 704 * 2 * 1000, id="latent-and-index"),
        # 43 windows of 128 entries of 512; 21 layers with an entry and an index key of 128 for four tokens, 20
        # with an entry for 128.
        pytest.param(
            "deepseek-ai/DeepSeek-V4-Flash",
            8192,
            2 * (43 * 128 * 512 + 21 * 2048 * (512 + 128) + 20 * 64 * 512),
            id="compressed",
        ),
    ],
)
def test_keeps_what_each_kind_of_layer_keeps(catalogue_model, model_id, tokens, expected):
    model = catalogue_model(model_id)
    assert sum(kv_bytes_by_layer(model, "auto", tokens, engine="transformers", tp=1)) == expected


def test_only_attending_layers_grow_with_the_context(catalogue_model):
    # Four of 56 layers attend: 2 x 8 heads x 128 x 2 bytes each.
    assert kv_bytes_per_token(catalogue_model("nvidia/NVIDIA-Nemotron-Nano-9B-v2"), "auto") == 4 * 4096


@pytest.mark.parametrize(
    ("model_id", "version", "card", "held"),
    [
        pytest.param(
            "google/gemma-3-27b-it", (0, 8, 5), "NVIDIA A100 80GB SXM4", 16384, id="before-groups-of-layers"
        ),
        pytest.param(
            "google/gemma-3-27b-it", (0, 9, 1), "NVIDIA A100 80GB SXM4", 1024 + 16, id="groups-of-layers"
        ),
        pytest.param("google/gemma-3-27b-it", (0, 10, 0), "NVIDIA T4", 16384, id="first-engine"),
        pytest.param(
            "mistralai/Mistral-7B-v0.1",
            (0, 8, 5),
            "NVIDIA A100 80GB SXM4",
            4096 + 16,
            id="every-layer-has-a-window",
        ),
        pytest.param(
            "meta-llama/Llama-4-Scout-17B-16E-Instruct",
            (0, 10, 0),
            "NVIDIA H100 80GB SXM5",
            8192 + 16,
            id="chunks",
        ),
        pytest.param(
            "meta-llama/Llama-4-Scout-17B-16E-Instruct",
            (0, 11, 0),
            "NVIDIA H100 80GB SXM5",
            16384,
            id="chunks-off",
        ),
        pytest.param(
            "meta-llama/Llama-4-Scout-17B-16E-Instruct",
            (0, 14, 0),
            "NVIDIA H100 80GB SXM5",
            8192 + 16,
            id="chunks-on",
        ),
    ],
)
def test_older_vllm_keeps_every_token_in_windowed_layers(
    catalogue_model, tables, a_device, model_id, version, card, held
):
    constants = resolve_constants(tables.memory, tables.defaults, "vllm", a_device(card), version=version)
    rules = cache_rules("vllm", constants)
    model = catalogue_model(model_id)
    assert min(held_tokens_of_layers(model, 16384, engine="vllm", rules=rules)) == held
