"""What one sequence keeps between tokens, layer by layer: keys and values, a latent, or a constant state.

    full attention     tokens x 2 x KV heads x head dim x bytes
    sliding window     the same with tokens limited to the window (and one micro-batch more in llama.cpp)
    latent (MLA)       tokens x (latent rank + rotary dim) x bytes, the same on every tensor-parallel rank
    linear attention   value heads x key dim x value dim in 32 bits and the convolution's last columns, whatever
                       the context

vLLM counts in blocks of 16 tokens; llama.cpp pads the context to a multiple of 256 tokens. Known error: none for
full attention (arithmetic).
"""

from collections.abc import Mapping

from planner.domain.facts.model import ModelFacts
from planner.domain.facts.tensors import full_layers

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
}
BLOCK_TOKENS: Mapping[str, int] = {"vllm": 16, "llama.cpp": 256}
"""Tokens that an engine allocates at once; 1 for the others."""
WINDOW_SLACK_TOKENS: Mapping[str, int] = {"llama.cpp": 512, "vllm": 16}
"""Tokens a sliding-window layer holds beyond its window: a micro-batch in llama.cpp, a block in vLLM."""
STATE_BYTES = 4
"""Linear-attention states are kept in 32 bits, their convolution windows in 16."""


def kv_bytes_by_layer(
    model: ModelFacts, kv_dtype: str, tokens: int, *, engine: str, tp: int
) -> tuple[float, ...]:
    """Bytes that one sequence of `tokens` keeps on one of `tp` ranks, for each layer."""
    block = BLOCK_TOKENS.get(engine, 1)
    held = -(-tokens // block) * block
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=tp)
    windowed = held
    if model.sliding_window:
        windowed = min(held, model.sliding_window + WINDOW_SLACK_TOKENS.get(engine, 0))
    full = set(full_layers(model))
    other = _state_bytes(model, tp) if model.attention == "hybrid-linear" else windowed * per_token
    return tuple(held * per_token if layer in full else other for layer in range(model.num_layers))


def kv_bytes_per_layer_token(model: ModelFacts, kv_dtype: str, *, tp: int) -> float:
    """Bytes of one token in one layer that attends, on one of `tp` ranks."""
    width = KV_DTYPE_BYTES[kv_dtype]
    if model.attention == "mla":
        return (model.kv_lora_rank + model.qk_rope_head_dim) * width
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
