"""What one sequence keeps between tokens, layer by layer: keys and values, a latent, or a constant state.

    full attention     tokens x 2 x KV heads x head dim x bytes
    sliding window     the same with tokens limited to the window (and one micro-batch more in llama.cpp)
    latent (MLA)       tokens x (latent rank + rotary dim) x bytes, the same on every tensor-parallel rank; older
                       llama.cpp keeps the latent's values as well, still older ones whole heads
    linear attention   value heads x key dim x value dim in 32 bits and the convolution's last columns, whatever
                       the context

vLLM counts in blocks of 16 tokens; llama.cpp pads the context to a multiple of 256 tokens. Known error: none for
full attention (arithmetic).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from planner.domain.facts.model import ModelFacts
from planner.domain.facts.tensors import full_layers
from planner.domain.predict.constants import MemoryConstants
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY

KV_DTYPE_BYTES: Mapping[str, float] = {
    "auto": 2,
    "f16": 2,
    "bf16": 2,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "int8": 1,
    "nvfp4": 9 / 16,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
    "f32": 4,
}
BLOCK_TOKENS: Mapping[str, int] = {"vllm": 16, **dict.fromkeys(LLAMACPP_FAMILY, 256)}
"""Tokens that an engine allocates at once; 1 for the others."""
WINDOW_SLACK_TOKENS: Mapping[str, int] = {"vllm": 16, **dict.fromkeys(LLAMACPP_FAMILY, 512)}
"""Tokens a sliding-window layer holds beyond its window: a micro-batch in llama.cpp, a block in vLLM."""
STATE_BYTES = 4
"""Linear-attention states are kept in 32 bits, their convolution windows in 16."""


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What an engine's build keeps of a token."""

    latent: Literal["latent", "latent and values", "heads"] = "latent"
    """What a latent-attention layer keeps."""
    is_windowed: bool = True
    """Whether sliding-window layers keep their window alone, or every token."""


NEWEST = CacheRules()


def cache_rules(engine: str, constants: MemoryConstants) -> CacheRules:
    """The rules that an engine's constants state; the newest where they state none."""
    kept = constants.get((engine, "latent_cache"))
    full = constants.get((engine, "full_window_cache"))
    return CacheRules(
        latent=("latent", "latent and values", "heads")[int(kept.likely)] if kept else "latent",
        is_windowed=not (full and full.likely),
    )


@lru_cache(maxsize=4096)
def held_tokens_of_layers(
    model: ModelFacts, tokens: int, *, engine: str, rules: CacheRules = NEWEST
) -> tuple[int, ...]:
    """Tokens that each layer keeps of one sequence of `tokens`; 0 where a constant state stands for all."""
    block = BLOCK_TOKENS.get(engine, 1)
    held = -(-tokens // block) * block
    windowed = held
    if model.sliding_window and rules.is_windowed:
        kept = model.sliding_window + WINDOW_SLACK_TOKENS.get(engine, 0)
        windowed = min(held, -(-kept // block) * block)
    full = set(full_layers(model))
    other = 0 if model.attention == "hybrid-linear" else windowed
    return tuple(held if layer in full else other for layer in range(model.num_layers))


@lru_cache(maxsize=4096)
def kv_bytes_by_layer(
    model: ModelFacts, kv_dtype: str, tokens: int, *, engine: str, tp: int, rules: CacheRules = NEWEST
) -> tuple[float, ...]:
    """Bytes that one sequence of `tokens` keeps on one of `tp` ranks, for each layer."""
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=tp, rules=rules)
    held = held_tokens_of_layers(model, tokens, engine=engine, rules=rules)
    state = _state_bytes(model, tp) if model.attention == "hybrid-linear" else 0
    return tuple(kept * per_token if kept else state for kept in held)


def kv_bytes_per_layer_token(
    model: ModelFacts, kv_dtype: str, *, tp: int, rules: CacheRules = NEWEST
) -> float:
    """Bytes of one token in one layer that attends, on one of `tp` ranks."""
    width = KV_DTYPE_BYTES[kv_dtype]
    if model.attention == "mla":
        if rules.latent == "heads":
            head = model.qk_nope_head_dim + model.qk_rope_head_dim + model.v_head_dim
            return -(-model.num_heads // tp) * head * width
        values = model.kv_lora_rank if rules.latent == "latent and values" else 0
        return (model.kv_lora_rank + model.qk_rope_head_dim + values) * width
    heads = -(-model.num_kv_heads // tp)
    return 2 * heads * model.head_dim * width


def kv_bytes_per_token(model: ModelFacts, kv_dtype: str) -> float:
    """Bytes that one more token adds: all layers that see the whole context, one sequence, before any split."""
    return len(full_layers(model)) * kv_bytes_per_layer_token(model, kv_dtype, tp=1)


def _state_bytes(model: ModelFacts, tp: int) -> float:
    keys = model.linear_key_heads * model.linear_key_dim
    values = model.linear_value_heads * model.linear_value_dim
    state = model.linear_value_heads * model.linear_key_dim * model.linear_value_dim * STATE_BYTES
    window = (2 * keys + values) * max(0, model.linear_conv - 1) * 2
    return (state + window) / tp
