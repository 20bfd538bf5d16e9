"""What an engine of one version loads and keeps on one card, as its sources say."""

import pytest

from planner.usecases.estimate_candidate import estimate_candidate

QWEN = {"model": "qwen2.5-72b", "scheme": "W4A16", "device": "A6000", "count": 2}


@pytest.fixture
def estimate(shared_workshop):
    def ask(**fields):
        return estimate_candidate(shared_workshop, {**QWEN, **fields})

    return ask


@pytest.mark.parametrize("engine", ["exllamav2", "exllamav3"])
def test_exllama_takes_prompts_in_chunks_whatever_the_context(estimate, engine):
    fields = {"model": "Llama-3.1-8B-Instruct", "scheme": "EXL3 4.0bpw", "device": "RTX 3090", "count": 1}
    fields |= {"engine": engine, "concurrency": 1}
    short, long = estimate(**fields, context=4096), estimate(**fields, context=65536)
    # A chunk of 2048 tokens: 4 hidden widths and 3 inner ones of 2 bytes, and the last position's logits.
    chunk = 2 * 2048 * (4 * 4096 + 3 * 14336)
    assert short["activation_bytes"] == long["activation_bytes"] == pytest.approx(chunk, rel=0.06)
    assert long["fits"]


@pytest.mark.parametrize(
    ("card", "legal"), [("GTX 1080 Ti", False), ("T4", False), ("V100 32GB", False), ("RTX 3090", True)]
)
def test_exl3_needs_asynchronous_copies(estimate, card, legal):
    """exllamav3 issue 14: cp.async requires sm_80."""
    fields = {"model": "Llama-3.1-8B-Instruct", "scheme": "EXL3 4.0bpw", "engine": "exllamav3", "count": 1}
    assert estimate(**fields, device=card)["legal"] is legal


@pytest.mark.parametrize(
    ("version", "fits"), [("0.8.5", False), ("0.9.1", True), (None, True)], ids=["full", "windows", "newest"]
)
def test_windows_save_nothing_before_vllm_kept_layers_in_groups(estimate, version, fits):
    fields = {"model": "gemma-3-27b-it", "device": "RTX 4090", "count": 1, "engine": "vllm", "concurrency": 1}
    answer = estimate(**fields, context=16384, engine_version=version)
    assert answer["fits"] is fits
    assert answer["legal"] is True
    if version == "0.8.5":
        # 62 layers x 2 x 16 heads x 128 x 2 bytes of every token, in all layers
        free = answer["usable_bytes"] - answer["total_bytes"] + answer["kv_cache_bytes"]
        assert answer["kv_capacity_tokens"] == pytest.approx(free / (62 * 8192), rel=0.01)


@pytest.mark.parametrize(
    ("version", "count", "context", "fits"),
    [
        pytest.param("0.11.0", 4, 524288, False, id="chunks-kept-whole"),
        pytest.param("0.14.0", 4, 524288, True, id="chunks-alone"),
        pytest.param("0.11.0", 8, 3600000, False, id="eight-cards"),
    ],
)
def test_chunked_layers_keep_every_token_where_vllm_turned_that_off(estimate, version, count, context, fits):
    fields = {"model": "Llama-4-Scout-17B-16E-Instruct", "scheme": "BF16", "device": "H100 80GB"}
    fields |= {"engine": "vllm", "concurrency": 1, "tp": count}
    answer = estimate(**fields, count=count, context=context, engine_version=version)
    assert answer["fits"] is fits


@pytest.mark.parametrize(
    ("fields", "legal"),
    [
        pytest.param({"scheme": "FP8", "kv_dtype": "fp8_e5m2"}, False, id="fp8-weights"),
        pytest.param({"scheme": "BF16", "kv_dtype": "fp8_e5m2"}, True, id="16-bit-weights"),
        pytest.param({"scheme": "FP8", "kv_dtype": "fp8_e4m3"}, True, id="other-fp8"),
        pytest.param(
            {
                "method": "gptq",
                "format": "compressed-tensors",
                "kv_dtype": "fp8_e5m2",
                "engine_version": "0.11.0",
            },
            False,
            id="compressed-tensors",
        ),
        pytest.param(
            {
                "method": "gptq",
                "format": "compressed-tensors",
                "kv_dtype": "fp8_e5m2",
                "engine_version": "0.24.0",
            },
            True,
            id="compressed-tensors-exempt",
        ),
        pytest.param(
            {"model": "DeepSeek-V2-Lite", "scheme": "BF16", "kv_dtype": "fp8", "engine_version": "0.11.0"},
            False,
            id="latent-below-hopper",
        ),
        pytest.param(
            {"model": "DeepSeek-V2-Lite", "scheme": "BF16", "kv_dtype": "fp8", "device": "H100 80GB"},
            True,
            id="latent-on-hopper",
        ),
        pytest.param(
            {"model": "DeepSeek-V2-Lite", "scheme": "BF16", "kv_dtype": "fp8", "engine_version": "0.10.0"}
            | {"device": "H100 80GB"},
            False,
            id="latent-on-hopper-before-flashmla-had-it",
        ),
        pytest.param(
            {"model": "DeepSeek-V2-Lite", "scheme": "BF16", "kv_dtype": "fp8"}, False, id="no-native-fp8"
        ),
    ],
)
def test_fp8_caches_that_vllm_refuses(estimate, fields, legal):
    asked = {"model": "Llama-3.1-8B-Instruct", "device": "A100 80GB", "count": 1, "engine": "vllm", **fields}
    assert estimate(**asked)["legal"] is legal


@pytest.mark.parametrize(
    ("model", "version", "legal"),
    [
        pytest.param("Qwen2.5-7B-Instruct", "0.10.0", True, id="cast-to-float16"),
        pytest.param("Qwen2.5-7B-Instruct", "0.9.0", False, id="before-the-cast"),
        pytest.param("gemma-3-4b-it", "0.10.0", False, id="unstable-in-float16"),
    ],
)
def test_bfloat16_checkpoints_are_cast_on_older_cards(estimate, model, version, legal):
    fields = {"model": model, "scheme": "BF16", "device": "T4", "count": 1, "engine": "vllm"}
    assert estimate(**fields, engine_version=version)["legal"] is legal


@pytest.mark.parametrize(
    ("fields", "engine", "format_"),
    [
        pytest.param({"scheme": "EXL3 4.0bpw"}, "exllamav3", None, id="exl3"),
        pytest.param({"scheme": "EXL2 4.0bpw"}, "exllamav2", None, id="exl2"),
        pytest.param({"scheme": "NF4"}, "transformers", "bitsandbytes", id="nf4"),
        pytest.param(
            {"model": "gpt-oss-20b", "scheme": "MXFP4"}, "vllm", "compressed-tensors", id="as-released"
        ),
        pytest.param(
            {"model": "gpt-oss-20b", "scheme": "MXFP4", "device": "M2 Max 96GB"},
            "llama.cpp",
            "gguf",
            id="a-mac",
        ),
        pytest.param(
            {"model": "gpt-oss-20b", "scheme": "MXFP4", "format": "gguf"},
            "llama.cpp",
            "gguf",
            id="gguf-named",
        ),
    ],
)
def test_an_engine_that_was_not_named_is_the_one_that_the_scheme_is_for(estimate, fields, engine, format_):
    answer = estimate(**{"model": "Llama-3.1-8B-Instruct", "device": "RTX 4090", "count": 1, **fields})
    assert answer["candidate"]["engine"] == engine
    assert format_ in {None, answer["candidate"]["format"]}
    assert (answer["legal"], answer["fits"]) == (True, True)
