"""Whatever is asked, an estimate answers in numbers or refuses in a sentence: nothing else comes out."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from planner.domain.errors import BitwrightError
from planner.usecases.estimate_candidate import estimate_candidate

MODELS = st.sampled_from(
    [
        "Qwen/Qwen2.5-72B-Instruct-AWQ",
        "qwen2.5-7b",
        "deepseek-ai/DeepSeek-R1",
        "openai/gpt-oss-120b",
        "google/gemma-3-27b-it",
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
        "mistralai/Mixtral-8x7B-v0.1",
        "meta-llama/Llama-2-7b-hf",
        "tiiuae/falcon-7b",
        "demo",
    ]
)
SCHEMES = st.sampled_from(
    [
        *(
            "BF16",
            "F16",
            "F32",
            "FP8_DYNAMIC",
            "FP8_BLOCK",
            "W4A16",
            "W8A8",
            "W3A16",
            "NVFP4",
            "MXFP4",
            "NF4",
        ),
        *("Q4_K_M", "Q8_0", "IQ2_XXS", "IQ4_KS", "UD-Q4_K_XL", "EXL3_4.0bpw", "AQLM-2bit-1x16", "W4A8KV4"),
        *("IQ3_S mix", "W5A17", "VPTQ 2.02bit", "W1.58A16", "fp6"),
    ]
)
ENGINES = st.sampled_from(
    [
        *(None, "vllm", "llama.cpp", "transformers", "sglang", "tensorrt-llm", "exllamav3", "ollama", "mlx"),
        *("ik_llama.cpp", "gpt-fast", "AutoAWQ", "lmdeploy turbomind", "unstated"),
    ]
)
DEVICES = st.sampled_from(
    [
        *("2x A6000", "H100 SXM", "RTX 4090 + RTX 3090 Ti", "M2 Max 96GB", "M3 16GB (CPU only)", "cpu"),
        *("MI300X", "T4", "48GB 768GB/s sm86", "2x H100 1g.10gb", "EPYC 9654 384GB", "4x L4"),
    ]
)
SMALL = st.sampled_from([None, 1, 1, 2, 2, "2", 3, 4, 8])
FIELDS = st.fixed_dictionaries(
    {"model": MODELS, "scheme": SCHEMES, "device": DEVICES, "engine": ENGINES},
    optional={
        "method": st.sampled_from(["gptq", "awq", "gguf", "rtn", "none", "native", "int8", "imatrix"]),
        "format": st.sampled_from(["gguf", "awq", "gptq", "compressed-tensors", "safetensors", "exl3"]),
        "group_size": st.sampled_from([-1, 16, 32, 64, 128]),
        "engine_version": st.sampled_from(["0.11.0", "b6000", "", "4.38.2", "next"]),
        "count": SMALL,
        "tp": SMALL,
        "pp": SMALL,
        "dp": SMALL,
        "ep": SMALL,
        "offload": st.sampled_from([0, 1, 10, 40]),
        "context": st.sampled_from([1, 512, "32k", 10**6, None]),
        "prompt_tokens": st.sampled_from([1, 4096, None]),
        "concurrency": st.sampled_from([1, 64, 1000, None]),
        "kv_dtype": st.sampled_from(["auto", "fp8", "q8_0", "nvfp4"]),
        "free_bytes": st.sampled_from([1, 10**9, 10**10]),
        "gpu_memory_utilization": st.sampled_from([0.1, 0.95, 1]),
        "max_num_batched_tokens": st.sampled_from([1, 512, 65536]),
        "engine_options": st.sampled_from([{}, {"enforce_eager": True}, {"magic": 1}, {"max_num_seqs": 8}]),
    },
)


@settings(max_examples=150, deadline=None)
@given(fields=FIELDS)
def test_an_estimate_answers_in_numbers_or_refuses_in_a_sentence(shared_workshop, fields):
    answer = ask(shared_workshop, fields)
    if isinstance(answer, BitwrightError):
        assert answer.code.count(".") == 1
        assert answer.message
        assert "\n" not in answer.message
        return
    json.dumps(answer, allow_nan=False)
    for name in ("weights_bytes", "kv_cache_bytes", "activation_bytes", "overhead_bytes", "usable_bytes"):
        assert answer[name] >= 0, name
    low, high = answer["intervals"]["total_bytes"]
    assert low <= answer["total_bytes"] <= high
    assert math.isfinite(high)
    assert answer["legal"] in {True, False, None}
    assert isinstance(answer["fits"], bool)


def ask(workshop, fields):
    try:
        return estimate_candidate(workshop, fields)
    except BitwrightError as error:
        return error
