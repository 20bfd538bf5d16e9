"""Tensors of the part of a layer that mixes tokens: attention of every kind, linear attention, state spaces.

Shapes follow the models' own code in transformers; each kind was counted against its instances there.
"""

from planner.domain.facts.layers import COMPRESSED, layers_with, mixers_of
from planner.domain.facts.model import AttentionShape, ModelFacts, Traits
from planner.domain.facts.roles import Tensor

STEP_AND_DECAY = 2
"""Vectors a gated-delta layer keeps for each value head: a step bias and a decay (dt_bias, A_log)."""
STATE_VECTORS = 3
"""Vectors a Mamba 2 layer keeps for each head: a step bias, a decay and a skip (dt_bias, A_log, D)."""


def mixing_tensors(model: ModelFacts, traits: Traits) -> list[Tensor]:
    """Tensors of all layers' mixers."""
    letters = mixers_of(model)
    full, windowed = layers_with(letters, "FH"), layers_with(letters, "W")
    tensors = []
    if model.compression:
        tensors += _compressed_attention(model, layers_with(letters, "WXY"), letters)
    elif model.attention.partition("+")[0] == "mla" or model.kv_lora_rank:
        tensors += _latent_attention(model, traits, full + windowed)
    else:
        tensors += _attention(model, traits, model.full, full, has_sinks=traits.sinks)
        has_sinks = traits.sinks or traits.window_sinks
        tensors += _attention(model, traits, model.window or model.full, windowed, has_sinks=has_sinks)
    tensors += _gated_delta(model, layers_with(letters, "L"))
    tensors += _channel_gated_delta(model, layers_with(letters, "K"))
    tensors += _lightning(model, layers_with(letters, "N"))
    tensors += _state_space(model, layers_with(letters, "MH"))
    tensors += _selective_scan(model, layers_with(letters, "S"))
    tensors += _short_convolution(model, layers_with(letters, "C"))
    return [tensor for tensor in tensors if tensor.count]


def _attention(
    model: ModelFacts, traits: Traits, shape: AttentionShape, layers: tuple[int, ...], *, has_sinks: bool
) -> list[Tensor]:
    hidden, count = model.hidden_size, len(layers)
    kept = tuple(layer for layer in layers if layer < model.num_layers - model.shared_kv_layers)
    if model.architecture == "Gemma3nForConditionalGeneration":
        kept = layers  # it carries the projections of the layers that share, too
    q_rows, kv_heads = shape.heads * shape.head_dim, shape.kv_heads
    kv_rows = kv_heads * shape.head_dim
    tensors = [
        Tensor("q", q_rows * (2 if traits.query_gate else 1), hidden, count, layers),
        Tensor("k", kv_rows, hidden, len(kept), kept, kv_heads),
        Tensor("o", hidden, shape.heads * shape.value_dim, count, layers),
    ]
    if not shape.keys_are_values:
        tensors.insert(2, Tensor("v", kv_heads * shape.value_dim, hidden, len(kept), kept, kv_heads))
    if model.qkv_bias:
        tensors += [
            Tensor("q_bias", 1, q_rows, count, layers),
            Tensor("kv_bias", 1, kv_rows, 2 * count, layers, kv_heads),
        ]
    if traits.qk_norm != "none" and (model.qk_norm or traits.qk_norm == "always"):
        if traits.qk_norm == "full":
            tensors.append(Tensor("vector", 1, q_rows + kv_rows, count, layers))
        else:
            # Layers that share keys and values norm their queries alone.
            shared = tuple(layer for layer in layers if layer not in set(kept))
            tensors.append(Tensor("head_norm", 1, shape.head_dim, 2 * len(kept), kept))
            tensors.append(Tensor("head_norm", 1, shape.head_dim, len(shared), shared))
    if traits.head_gate:
        tensors.append(Tensor("q", shape.heads, hidden, count, layers))
    if has_sinks:
        tensors.append(Tensor("vector", 1, shape.heads, count, layers))
    if traits.output_bias:
        tensors.append(Tensor("vector", 1, hidden, count, layers))
    return tensors + _head_index(model, layers)


def _head_index(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    """A sparse index beside grouped heads (MiniMax-M3): queries, one key and their norms, in sparse layers."""
    if model.index is None:
        return []
    sparse = layers[model.index.shared :]  # the first ones attend to everything
    heads, dim, hidden = model.index.heads, model.index.dim, model.hidden_size
    return [
        Tensor("replicated", heads * dim, hidden, len(sparse), sparse),
        Tensor("replicated", dim, hidden, len(sparse), sparse),
        Tensor("head_norm", 1, dim, 2 * len(sparse), sparse),
    ]


def _latent_attention(model: ModelFacts, traits: Traits, layers: tuple[int, ...]) -> list[Tensor]:
    hidden, count = model.hidden_size, len(layers)
    q_rows = model.num_heads * (model.qk_nope_head_dim + model.qk_rope_head_dim)
    latent = model.kv_lora_rank
    tensors = [
        Tensor("kv_a", latent + model.qk_rope_head_dim, hidden, count, layers),
        Tensor("vector", 1, latent, count, layers),
        Tensor("kv_b", model.num_heads * (model.qk_nope_head_dim + model.v_head_dim), latent, count, layers),
        Tensor("o", hidden, model.num_heads * model.v_head_dim, count, layers),
    ]
    if not model.q_lora_rank:
        return [Tensor("q", q_rows, hidden, count, layers), *tensors]
    return [
        Tensor("q_a", model.q_lora_rank, hidden, count, layers),
        Tensor("vector", 1, model.q_lora_rank, count, layers),
        Tensor("q_b", q_rows, model.q_lora_rank, count, layers),
        *tensors,
        *_latent_index(model, traits, layers),
    ]


def _latent_index(model: ModelFacts, traits: Traits, layers: tuple[int, ...]) -> list[Tensor]:
    """The index of DeepSeek's sparse attention, in the layers that do not use another layer's choice."""
    index = model.index or traits.index
    if index is None:
        return []
    own = layers[: len(layers) - index.shared]
    return [
        Tensor("replicated", index.heads * index.dim, model.q_lora_rank, len(own), own),
        Tensor("replicated", index.dim, model.hidden_size, len(own), own),
        Tensor("vector", 1, 2 * index.dim, len(own), own),
        Tensor("router", index.heads, model.hidden_size, len(own), own),
    ]


def _compressed_attention(model: ModelFacts, layers: tuple[int, ...], letters: str) -> list[Tensor]:
    """Queries of low rank, one key that is the value, an output in groups, and what compresses old tokens."""
    assert model.compression, "only called for a compressed model"
    hidden, count, dim = model.hidden_size, len(layers), model.head_dim
    groups, rank = model.compression.groups, model.compression.rank
    tensors = [
        Tensor("vector", 1, model.num_heads, count, layers),
        Tensor("q_a", model.q_lora_rank, hidden, count, layers),
        Tensor("vector", 1, model.q_lora_rank + dim, count, layers),
        Tensor("q_b", model.num_heads * dim, model.q_lora_rank, count, layers),
        Tensor("replicated", dim, hidden, count, layers),
        Tensor("linear_in", groups * rank, model.num_heads * dim // groups, count, layers),
        Tensor("o", hidden, groups * rank, count, layers),
    ]
    streams = model.compression.streams
    mixed = (2 + streams) * streams
    tensors += [
        Tensor("router", mixed, streams * hidden, 2 * count, layers),
        Tensor("vector", 1, mixed + STATE_VECTORS, 2 * count, layers),
        Tensor("router", streams, streams * hidden, 1),
        Tensor("vector", 1, streams + 1, 1),
    ]
    for letter, ratio in COMPRESSED.items():
        own = layers_with(letters, letter)
        width = 2 * dim if letter == "X" else dim  # entries overlap where four tokens make one
        tensors += [
            Tensor("replicated", width, hidden, 2 * len(own), own),
            Tensor("router", ratio, width, len(own), own),
            Tensor("vector", 1, dim, len(own), own),
        ]
    return tensors + _compressed_index(model, layers_with(letters, "X"))


def _compressed_index(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    if model.index is None:
        return []
    count, hidden, dim = len(layers), model.hidden_size, model.index.dim
    return [
        Tensor("replicated", 2 * dim, hidden, 2 * count, layers),
        Tensor("router", COMPRESSED["X"], 2 * dim, count, layers),
        Tensor("vector", 1, dim, count, layers),
        Tensor("replicated", model.index.heads * dim, model.q_lora_rank, count, layers),
        Tensor("router", model.index.heads, hidden, count, layers),
    ]


def _gated_delta(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    """Gated delta rule: one projection to queries, keys, values and gates, one to steps and decays."""
    hidden, count = model.hidden_size, len(layers)
    keys = model.linear_key_heads * model.linear_key_dim
    values = model.linear_value_heads * model.linear_value_dim
    return [
        Tensor("linear_in", 2 * keys + 2 * values, hidden, count, layers),
        Tensor("linear_in", 2 * model.linear_value_heads, hidden, count, layers),
        Tensor("conv", 2 * keys + values, model.linear_conv, count, layers),
        Tensor("vector", 1, model.linear_value_heads, STEP_AND_DECAY * count, layers),
        Tensor("vector", 1, model.linear_value_dim, count, layers),
        Tensor("linear_out", hidden, values, count, layers),
    ]


def _channel_gated_delta(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    """Kimi's delta rule: gates of low rank, a decay for each channel."""
    hidden, count = model.hidden_size, len(layers)
    heads, dim = model.linear_value_heads, model.linear_value_dim
    width = heads * dim
    return [
        Tensor("linear_in", 3 * width, hidden, count, layers),
        Tensor("conv", 3 * width, model.linear_conv, count, layers),
        Tensor("replicated", dim, hidden, 2 * count, layers),
        Tensor("linear_in", width, dim, 2 * count, layers),
        Tensor("linear_in", heads, hidden, count, layers),
        Tensor("vector", 1, width + heads + dim, count, layers),
        Tensor("linear_out", hidden, width, count, layers),
    ]


def _lightning(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    """Attention without a softmax: queries, keys, values and a gate, all of one width, and a norm."""
    hidden, count = model.hidden_size, len(layers)
    width = model.linear_value_heads * model.linear_value_dim
    return [
        Tensor("linear_in", 4 * width, hidden, count, layers),
        Tensor("vector", 1, width, count, layers),
        Tensor("linear_out", hidden, width, count, layers),
    ]


def _state_space(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    """Mamba 2: one projection to gate, input, both state vectors and steps; a convolution with a bias."""
    space, count = model.state_space, len(layers)
    if space is None:
        return []
    channels = space.inner + 2 * space.groups * space.state
    return [
        Tensor("linear_in", space.inner + channels + space.heads, model.hidden_size, count, layers),
        Tensor("conv", channels, space.conv, count, layers),
        Tensor("vector", 1, channels + STATE_VECTORS * space.heads, count, layers),
        Tensor("vector", 1, space.inner, count if space.is_normed else 0, layers),
        Tensor("linear_out", model.hidden_size, space.inner, count, layers),
    ]


def _selective_scan(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    """Mamba 1: input and gate, a low-rank step with both state vectors, each of them normed."""
    space, count = model.state_space, len(layers)
    if space is None:
        return []
    inner, state, rank = space.inner, space.state, space.rank
    return [
        Tensor("linear_in", 2 * inner, model.hidden_size, count, layers),
        Tensor("conv", inner, space.conv, count, layers),
        Tensor("linear_out", rank + 2 * state, inner, count, layers),
        Tensor("linear_in", inner, rank, count, layers),
        Tensor("router", inner, state, count, layers),
        Tensor("vector", 1, 3 * inner + rank + 2 * state, count, layers),
        Tensor("linear_out", model.hidden_size, inner, count, layers),
    ]


def _short_convolution(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
    hidden, count = model.hidden_size, len(layers)
    return [
        Tensor("linear_in", 3 * hidden, hidden, count, layers),
        Tensor("conv", hidden, model.linear_conv, count, layers),
        Tensor("linear_out", hidden, hidden, count, layers),
    ]
