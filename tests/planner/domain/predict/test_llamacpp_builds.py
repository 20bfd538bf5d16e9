"""Which build is meant, and what it did by default."""

import pytest

from planner.domain.errors import BadInput
from planner.domain.predict.kv_cache import cache_rules, kv_bytes_by_layer
from planner.domain.predict.llamacpp_builds import (
    cache_constants,
    constants_of_build,
    read_backend,
    read_build,
    read_options,
)


@pytest.mark.parametrize(
    ("version", "build"),
    [
        ("2824 (4426e298)", 2824),
        ("86d1d84d (6042) llama.cpp-vulkan", 6042),
        ("83bc2f28 (6077)", 6077),
        ("b6325", 6325),
        ("v0.13.5", None),
        ("2025-07-18", None),
        ("", None),
        (None, None),
    ],
)
def test_the_first_build_that_a_version_names(version, build):
    assert read_build(version) == build


@pytest.mark.parametrize(
    ("version", "backend"),
    [
        ("86d1d84d (6042) llama.cpp-vulkan", "vulkan"),
        ("83bc2f28 (6077) llama.cpp-rocwmma", "hip"),
        ("6c7e9a54 (6118) llama.cpp-vulkan_amdvlk", "amdvlk"),
        ("83bc2f28 (6077)", None),
        (None, None),
    ],
)
def test_the_backend_that_a_version_names(version, backend):
    assert read_backend(version) == backend


def test_the_newest_build_is_what_the_plain_rows_say(tables):
    assert {
        key: constant.likely
        for key, constant in constants_of_build(tables.memory, "llama.cpp", "b99999").items()
    } == {key: constant.likely for key, constant in tables.memory.items()}


@pytest.mark.parametrize(
    ("version", "cached_mib"),
    [
        # ik_llama.cpp issue 285, DeepSeek-R1 in llama.cpp of March 2025: KV self size = 9760.00 MiB
        pytest.param("4980", 9760.0, id="whole-heads"),
        # 61 layers x 2048 x (512 + 64 + 512) x 2 bytes
        pytest.param("5500", 61 * 2048 * 1088 * 2 / 2**20, id="the-latent-and-its-values"),
        # ik_llama.cpp pull 235 and later -mla 2: 61 x 2048 x 576 x 2 bytes = 137.25 MiB
        pytest.param(None, 137.25, id="the-latent-alone"),
    ],
)
def test_what_deepseek_keeps_of_2048_tokens(tables, catalogue_model, version, cached_mib):
    constants = constants_of_build(tables.memory, "llama.cpp", version)
    found = kv_bytes_by_layer(
        catalogue_model("deepseek-ai/DeepSeek-R1"),
        "f16",
        2048,
        engine="llama.cpp",
        tp=1,
        rules=cache_rules("llama.cpp", constants),
    )
    assert sum(found) / 2**20 == pytest.approx(cached_mib)


def test_builds_before_5440_keep_every_token_of_a_sliding_window(tables, catalogue_model):
    gemma = catalogue_model("google/gemma-3-27b-it")
    old = cache_rules("llama.cpp", constants_of_build(tables.memory, "llama.cpp", "b5000"))
    before = kv_bytes_by_layer(gemma, "f16", 32768, engine="llama.cpp", tp=1, rules=old)
    after = kv_bytes_by_layer(gemma, "f16", 32768, engine="llama.cpp", tp=1)
    assert len(set(before)) == 1
    # a window of 1,024 and a micro-batch of 512 beside 32,768 tokens
    assert sorted(set(after)) == [before[0] * 1536 / 32768, before[0]]


def test_options_stand_in_for_defaults():
    read = read_options("llama.cpp", {"flash_attn": "off", "mla": 1, "swa_full": True})
    assert {term: constant.likely for (_, term), constant in read.items()} == {
        "flash_attention": 0,
        "latent_cache": 1,
        "full_window_cache": 1,
    }


def test_an_option_left_to_the_engine_is_its_default():
    assert read_options("llama.cpp", {"flash_attn": "auto"}) == {}


@pytest.mark.parametrize("options", [{"flash_attn": "maybe"}, {"swa_full": -1}, {"mla": 4}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(BadInput, match="whole number"):
        read_options("llama.cpp", options)


def test_quantized_values_need_flash_attention():
    assert cache_constants("llama.cpp", "q8_0")["llama.cpp", "flash_attention"].low == 1
    assert cache_constants("llama.cpp", "f16") == cache_constants("vllm", "fp8") == {}


@pytest.mark.parametrize("model_id", ["mistralai/Mistral-7B-v0.1", "microsoft/Phi-3-mini-4k-instruct"])
def test_a_window_in_every_layer_is_disregarded(catalogue_model, model_id):
    model = catalogue_model(model_id)
    # 16,384 tokens, keys and values in 2 bytes, whatever the window
    found = kv_bytes_by_layer(model, "f16", 16384, engine="llama.cpp", tp=1)
    assert set(found) == {16384 * 2 * model.num_kv_heads * model.head_dim * 2}
    assert sum(found) > sum(kv_bytes_by_layer(model, "f16", 16384, engine="vllm", tp=1))
