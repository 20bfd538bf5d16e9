"""Engine options as their own command lines spell them, turned into an estimate's fields.

An option that sets what a field sets becomes that field (the field itself wins when both are given), one that an
engine's own formula reads stays an option, one that touches no memory is let through, and any other is refused: a
number without it would be wrong.
"""

from collections.abc import Mapping
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.facts.spellings import shorten
from planner.domain.predict.llamacpp_builds import OPTIONS

AS_FIELDS: Mapping[str, str] = {
    "gpu_memory_utilization": "gpu_memory_utilization",
    "mem_fraction_static": "gpu_memory_utilization",
    "free_gpu_memory_fraction": "gpu_memory_utilization",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "chunked_prefill_size": "max_num_batched_tokens",
    "max_num_tokens": "max_num_batched_tokens",
    "n_ubatch": "max_num_batched_tokens",
    "ubatch_size": "max_num_batched_tokens",
    "max_model_len": "context",
    "context_length": "context",
    "max_seq_len": "context",
    "ctx_size": "context",
    "n_ctx": "context",
    "num_ctx": "context",
    "kv_cache_dtype": "kv_dtype",
    "cache_type_k": "kv_dtype",
    "tensor_parallel_size": "tp",
    "tp_size": "tp",
    "pipeline_parallel_size": "pp",
    "pp_size": "pp",
    "data_parallel_size": "dp",
    "dp_size": "dp",
    "enforce_eager": "enforce_eager",
    "disable_cuda_graph": "enforce_eager",
}
"""vLLM's, SGLang's, TensorRT-LLM's, llama.cpp's and ollama's flags, by the field that they set."""
WITHOUT_MEMORY = frozenset(
    {
        *("host", "port", "seed", "served_model_name", "trust_remote_code", "tokenizer", "revision"),
        *("enable_prefix_caching", "enable_chunked_prefill", "disable_log_requests", "threads", "n_threads"),
        *("dtype", "download_dir", "load_format", "chat_template", "api_key", "disable_log_stats"),
    }
)
"""Flags that move no memory: where a server listens, what it logs, how it shares a pool that is counted anyway."""


def unfold_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with `engine_options` folded in.

    Raises:
        BadInput: `estimate.bad_field`, it is no object; `estimate.not_modelled`, an option that no term reads.
    """
    options = given.get("engine_options") or {}
    fields = {name: value for name, value in given.items() if name != "engine_options"}
    if not isinstance(options, Mapping):
        raise BadInput(
            "estimate.bad_field",
            f'engine_options is an object of options and values, not "{shorten(str(options))}".',
        )
    unread, own = [], {}
    for spelling, value in options.items():
        name = str(spelling).strip().lstrip("-").lower().replace("-", "_")
        if name in AS_FIELDS:
            fields.setdefault(AS_FIELDS[name], value)
        elif name in OPTIONS:
            own[name] = value
        elif name not in WITHOUT_MEMORY:
            unread.append(name)
    if unread:
        raise BadInput(
            "estimate.not_modelled",
            f"These engine options are not modelled yet: {', '.join(sorted(unread))}. "
            f"Modelled are {', '.join(sorted({*AS_FIELDS, *OPTIONS}))}.",
            choices=sorted({*AS_FIELDS, *OPTIONS}),
        )
    return {**fields, "engine_options": own} if own else fields
