"""What one sequence keeps between tokens, layer by layer: keys and values, a latent, or a constant state.

    full attention     tokens x 2 x KV heads x head dim x bytes
    sliding window     the same with tokens limited to the window (and one micro-batch more in llama.cpp)
    latent (MLA)       tokens x (latent rank + rotary dim) x bytes, the same on every tensor-parallel rank; older
                       llama.cpp keeps the latent's values as well, still older ones whole heads
    linear attention   value heads x key dim x value dim in 32 bits and the convolution's last columns, whatever
                       the context; a state space likewise with channels x state
    compressed         a window, and one entry for every four or 128 tokens

vLLM kept every token in window layers beside full ones before 0.9.1, and in chunked-local ones (Llama 4) again from
0.10.1 to 0.13; `data/engine_defaults.csv` says so by version. It counts in blocks of 16 tokens; llama.cpp pads the
context to a multiple of 256. Known error: none for full attention (arithmetic).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from planner.domain.facts.layers import ATTENDING, COMPRESSED, full_layers, mixers_of
from planner.domain.facts.model import AttentionShape, ModelFacts
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
CHUNKED_LOCAL = frozenset({"Llama4ForConditionalGeneration", "Llama4ForCausalLM"})
"""Architectures whose windows are chunks of the context, each seen by its own tokens alone."""
STATE_BYTES = 4
"""Linear-attention states are kept in 32 bits, their convolution windows in 16."""


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What an engine's build keeps of a token."""

    latent: Literal["latent", "latent and values", "heads"] = "latent"
    """What a latent-attention layer keeps."""
    is_windowed: bool = True
    """Whether sliding-window layers keep their window alone, or every token."""
    is_chunked: bool = True
    """Whether layers that attend within one chunk of the context keep that alone, or every token."""


NEWEST = CacheRules()


def cache_rules(engine: str, constants: MemoryConstants) -> CacheRules:
    """The rules that an engine's constants state; the newest where they state none."""
    kept = constants.get((engine, "latent_cache"))
    full = constants.get((engine, "full_window_cache"))
    whole_chunks = constants.get((engine, "full_chunk_cache"))
    return CacheRules(
        latent=("latent", "latent and values", "heads")[int(kept.likely)] if kept else "latent",
        is_windowed=not (full and full.likely),
        is_chunked=not (whole_chunks and whole_chunks.likely),
    )


@lru_cache(maxsize=4096)
def held_tokens_of_layers(
    model: ModelFacts, tokens: int, *, engine: str, rules: CacheRules = NEWEST
) -> tuple[int, ...]:
    """Tokens that each layer keeps of one sequence of `tokens`; 0 where a constant state stands for all."""
    block = BLOCK_TOKENS.get(engine, 1)
    held = -(-tokens // block) * block
    windowed = held
    if model.sliding_window and not keeps_every_token(model, engine, rules):
        kept = model.sliding_window + WINDOW_SLACK_TOKENS.get(engine, 0)
        windowed = min(held, -(-kept // block) * block)
    by_letter = {**dict.fromkeys(ATTENDING, held), "W": windowed, "X": windowed, "Y": windowed}
    last = model.num_layers - model.shared_kv_layers
    return tuple(
        by_letter.get(letter, 0) if layer < last else 0 for layer, letter in enumerate(mixers_of(model))
    )


def keeps_every_token(model: ModelFacts, engine: str, rules: CacheRules) -> bool:
    """Whether an engine disregards the window.

    llama.cpp's windowed cache exists beside one of full layers only: where every layer has a window (Mistral 7B v0.1,
    Phi-3) it keeps all, and Phi-3's is turned off by name (pull 13676). vLLM has dropped what is outside of a window
    that every layer has since its first engine; beside full layers only since there are groups of layers.
    """
    is_everywhere = set(mixers_of(model)) == {"W"}
    if engine in LLAMACPP_FAMILY:
        return is_everywhere or not rules.is_windowed
    if model.architecture in CHUNKED_LOCAL:
        return not rules.is_chunked
    return not is_everywhere and not rules.is_windowed


@lru_cache(maxsize=4096)
def kv_bytes_by_layer(
    model: ModelFacts, kv_dtype: str, tokens: int, *, engine: str, tp: int, rules: CacheRules = NEWEST
) -> tuple[float, ...]:
    """Bytes that one sequence of `tokens` keeps on one of `tp` ranks, for each layer."""
    block = BLOCK_TOKENS.get(engine, 1)
    all_tokens = -(-tokens // block) * block
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=tp, rules=rules)
    window = _head_bytes(model.window or model.full, kv_dtype, tp=tp) if not model.kv_lora_rank else per_token
    held = held_tokens_of_layers(model, tokens, engine=engine, rules=rules)
    by_layer = []
    for letter, kept in zip(mixers_of(model), held, strict=True):
        if model.compression and letter in "WXY":
            by_layer.append(_compressed_bytes(model, letter, all_tokens, kept, kv_dtype))
        else:
            keys = kept * (window if letter == "W" else per_token)
            by_layer.append(keys + _constant_bytes(model, letter, tp))
    return tuple(by_layer)


def _constant_bytes(model: ModelFacts, letter: str, tp: int) -> float:
    """What a layer of one kind (facts/layers.py) keeps of a sequence of any length."""
    if letter in "LKN":
        return _state_bytes(model, tp)
    if letter in "MSH":
        return _space_bytes(model, tp)
    if letter == "C":
        return model.hidden_size * max(0, model.linear_conv - 1) * 2
    return 0.0


def kv_bytes_per_layer_token(
    model: ModelFacts, kv_dtype: str, *, tp: int, rules: CacheRules = NEWEST
) -> float:
    """Bytes of one token in one layer that sees the whole context, on one of `tp` ranks."""
    width = KV_DTYPE_BYTES[kv_dtype]
    if not model.kv_lora_rank:
        return _head_bytes(model.full, kv_dtype, tp=tp) + (model.index.dim * width if model.index else 0)
    if rules.latent == "heads":
        head = model.qk_nope_head_dim + model.qk_rope_head_dim + model.v_head_dim
        return -(-model.num_heads // tp) * head * width
    values = model.kv_lora_rank if rules.latent == "latent and values" else 0
    index = model.index or (model.traits.index if model.traits else None)
    keys = index.dim if index else 0  # each token's index key, kept beside the latent
    return (model.kv_lora_rank + model.qk_rope_head_dim + values + keys) * width


def kv_bytes_per_token(model: ModelFacts, kv_dtype: str) -> float:
    """Bytes that one more token adds: all layers that see the whole context, one sequence, before any split."""
    return len(full_layers(model)) * kv_bytes_per_layer_token(model, kv_dtype, tp=1)


def _head_bytes(shape: AttentionShape, kv_dtype: str, *, tp: int) -> float:
    """Keys and values of one token; engines store keys twice where they are the values as well."""
    heads = -(-shape.kv_heads // tp)
    return heads * (shape.head_dim + shape.value_dim) * KV_DTYPE_BYTES[kv_dtype]


def _compressed_bytes(model: ModelFacts, letter: str, held: int, windowed: int, kv_dtype: str) -> float:
    """A window of keys that are values, an entry for every few tokens, and its index key (DeepSeek-V4)."""
    entries = held // COMPRESSED[letter] if letter in COMPRESSED else 0
    index = model.index.dim if model.index and letter == "X" else 0
    return (windowed * model.head_dim + entries * (model.head_dim + index)) * KV_DTYPE_BYTES[kv_dtype]


def _space_bytes(model: ModelFacts, tp: int) -> float:
    """The state of a state-space layer in 32 bits and the last columns of its convolution in 16."""
    space = model.state_space
    if space is None:
        return 0.0
    channels = space.inner + (0 if space.rank else 2 * space.groups * space.state)
    return (space.inner * space.state * STATE_BYTES + channels * (space.conv - 1) * 2) / tp


def _state_bytes(model: ModelFacts, tp: int) -> float:
    keys = model.linear_key_heads * model.linear_key_dim
    values = model.linear_value_heads * model.linear_value_dim
    state = model.linear_value_heads * model.linear_key_dim * model.linear_value_dim * STATE_BYTES
    window = (2 * keys + values) * max(0, model.linear_conv - 1) * 2
    return (state + window) / tp
