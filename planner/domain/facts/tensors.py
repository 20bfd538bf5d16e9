"""Every tensor of a checkpoint: its role, shape, and which layers hold one.

Covered: decoder-only transformers whose architecture has a row in `data/architectures.csv`, with multi-head,
grouped-query, multi-query, sliding-window and latent attention, gated-delta linear attention, dense layers and
mixtures of experts with shared experts. A model is covered when the layout's parameter count agrees with the
published one within 0.1 %, what the publisher counts besides (a vision tower, a layer of multi-token
prediction, a copy of a tied head) being stated in its row; any other model is refused by name, never
approximated.

Known error: none for covered models except buffers that some checkpoints carry along (rotary tables, 2 kB).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from planner.domain.errors import BadInput
from planner.domain.facts.model import ModelFacts, Traits

Role = Literal[
    "embedding",
    "positions",
    "head",
    "q",
    "k",
    "v",
    "o",
    "gate",
    "up",
    "down",
    "q_a",
    "q_b",
    "kv_a",
    "kv_b",
    "linear_in",
    "linear_out",
    "expert_gate",
    "expert_up",
    "expert_down",
    "shared_gate",
    "shared_up",
    "shared_down",
    "router",
    "conv",
    "norm",
    "head_norm",
    "q_bias",
    "kv_bias",
    "vector",
    "vision",
]

LINEAR_ROLES: frozenset[Role] = frozenset(
    {
        *("q", "k", "v", "o", "gate", "up", "down", "q_a", "q_b", "kv_a", "kv_b", "linear_in", "linear_out"),
        *("expert_gate", "expert_up", "expert_down", "shared_gate", "shared_up", "shared_down"),
    }
)
"""Matrices that quantization changes; routers, convolutions, embeddings and head stay in 16 bits."""
EXPERT_ROLES: frozenset[Role] = frozenset({"expert_gate", "expert_up", "expert_down"})
COVERED_ATTENTION = frozenset(
    {
        "mha",
        "gqa",
        "mqa",
        "mha+swa",
        "gqa+swa",
        "mqa+swa",
        "gqa+swa(all)",
        "mha+swa(all)",
        "mla",
        "hybrid-linear",
    }
)
STEP_AND_DECAY = 2
"""Vectors a linear-attention layer keeps for each value head: a step bias and a decay (dt_bias, A_log)."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One role: `count` tensors in all of `rows` outputs by `columns` inputs (a vector has one row)."""

    role: Role
    rows: int
    columns: int
    count: int
    layers: tuple[int, ...] = ()
    """Layers that hold it, an equal number each; empty: no layer's (embedding, head, last norm)."""

    @property
    def elements(self) -> int:
        """Elements of one tensor."""
        return self.rows * self.columns

    @property
    def each(self) -> int:
        """How many one of its layers holds."""
        return self.count // len(self.layers) if self.layers else self.count

    @property
    def is_vector(self) -> bool:
        """Norms and biases, which every format keeps unquantized."""
        return self.rows == 1


@lru_cache(maxsize=256)
def tensor_layout(model: ModelFacts) -> tuple[Tensor, ...]:
    """All tensors of a covered model.

    Raises:
        BadInput: `model.layout_not_covered` when the layout is not one that is known to be exact.
    """
    reason = _why_not_covered(model)
    if reason:
        raise BadInput(
            "model.layout_not_covered",
            f"The tensor layout of {model.model_id} is not covered yet: {reason}. Nothing is guessed for it.",
        )
    return lay_out(model)


def count_parameters(layout: tuple[Tensor, ...]) -> int:
    """Parameters of the whole model; a tied head is not counted twice."""
    return sum(tensor.elements * tensor.count for tensor in layout)


def count_active_parameters(model: ModelFacts, layout: tuple[Tensor, ...]) -> int:
    """Parameters that one token computes with: of the routed experts only those it is sent to."""
    experts = sum(tensor.elements * tensor.count for tensor in layout if tensor.role in EXPERT_ROLES)
    idle = experts - experts * model.experts_per_token // model.num_experts if model.num_experts else 0
    return count_parameters(layout) - idle


def row_parallel_widths(model: ModelFacts, intermediate_size: int) -> dict[str, int]:
    """Input widths of the matrices that tensor parallelism splits by columns, by what they are called.

    Args:
        model: whose layers.
        intermediate_size: the dense feed-forward width, which a padded checkpoint has changed.
    """
    widths = {}
    if not model.num_experts or model.dense_layers:
        widths["intermediate size"] = intermediate_size
    if model.num_experts:
        widths["expert intermediate size"] = model.moe_intermediate_size
    if model.shared_intermediate_size:
        widths["shared expert's intermediate size"] = model.shared_intermediate_size
    widths["attention width"] = model.num_heads * (model.v_head_dim or model.head_dim)
    if model.linear_value_heads:
        widths["linear-attention width"] = model.linear_value_heads * model.linear_value_dim
    return widths


def widest_feed_forward(model: ModelFacts) -> int:
    """Width that a token passes at once: dense layers, or the experts it is routed to with the shared ones."""
    routed = model.experts_per_token * model.moe_intermediate_size + model.shared_intermediate_size
    return max(model.intermediate_size if not model.num_experts or model.dense_layers else 0, routed)


def count_described_parameters(model: ModelFacts) -> int:
    """Parameters that the model's fields describe."""
    return count_parameters(lay_out(model))


def full_layers(model: ModelFacts) -> tuple[int, ...]:
    """Layers that see the whole context: the last of each period where only some do."""
    every = tuple(range(model.num_layers))
    full = model.full_attention_layers
    if full is None or full >= model.num_layers:
        return every
    if full == 0:
        return ()
    period = model.num_layers / full
    return tuple(
        sorted({min(model.num_layers - 1, round((index + 1) * period) - 1) for index in range(full)})
    )


@lru_cache(maxsize=256)
def growing_layers(model: ModelFacts) -> tuple[bool, ...]:
    """For each layer whether its cache grows with the whole context."""
    full = set(full_layers(model))
    return tuple(layer in full for layer in range(model.num_layers))


def _why_not_covered(model: ModelFacts) -> str | None:
    if model.traits is None:
        return f"architecture {model.architecture or 'unknown'} is not in the table"
    if model.attention not in COVERED_ATTENTION:
        return f"its attention is {model.attention}"
    if "kv_fields_missing" in model.flags or "tie_embeddings_missing" in model.flags:
        return "facts that its sizes depend on are missing"
    if model.attention == "hybrid-linear" and not model.linear_value_heads:
        return "the shapes of its linear-attention layers are not known"
    counted = count_described_parameters(model)
    text_params = model.params_total - model.extra_params + model.loaded_extra_params
    if abs(counted - text_params) > 0.001 * counted:
        return (
            f"its fields give {counted:,} parameters, the checkpoint counts {model.params_total:,}, "
            "which differ by more than 0.1 %"
        )
    return None


@lru_cache(maxsize=256)
def lay_out(model: ModelFacts) -> tuple[Tensor, ...]:
    """The tensors that the model's fields describe, whether or not the layout is known to be exact."""
    traits = model.traits or Traits()
    every = tuple(range(model.num_layers))
    tensors = [Tensor("embedding", model.vocab_size, model.hidden_size, 1)]
    if traits.positions:
        offset = 2 if model.architecture == "OPTForCausalLM" else 0  # OPT reserves two positions
        tensors.append(Tensor("positions", model.max_position + offset, model.hidden_size, 1))
    if model.attention == "hybrid-linear":
        full = full_layers(model)
        tensors += _attention(model, traits, full)
        tensors += _linear_attention(model, tuple(layer for layer in every if layer not in set(full)))
    elif model.attention == "mla":
        tensors += _latent_attention(model, every)
    else:
        tensors += _attention(model, traits, every)
    tensors += _feed_forward(model, traits, every)
    tensors += _vectors(model, traits, every)
    if not model.tie_embeddings:
        tensors.append(Tensor("head", model.vocab_size, model.hidden_size, 1))
    if model.loaded_extra_params:
        tensors.append(Tensor("vision", 1, model.loaded_extra_params, 1))
    return tuple(tensor for tensor in tensors if tensor.count)


def _attention(model: ModelFacts, traits: Traits, layers: tuple[int, ...]) -> list[Tensor]:
    hidden, count = model.hidden_size, len(layers)
    q_rows = model.num_heads * model.head_dim
    kv_rows = model.num_kv_heads * model.head_dim
    tensors = [
        Tensor("q", q_rows * (2 if traits.query_gate else 1), hidden, count, layers),
        Tensor("k", kv_rows, hidden, count, layers),
        Tensor("v", kv_rows, hidden, count, layers),
        Tensor("o", hidden, q_rows, count, layers),
    ]
    if model.qkv_bias:
        tensors += [
            Tensor("q_bias", 1, q_rows, count, layers),
            Tensor("kv_bias", 1, kv_rows, 2 * count, layers),
        ]
    if model.qk_norm or traits.qk_norm == "always":
        if traits.qk_norm == "full":
            tensors.append(Tensor("vector", 1, q_rows + kv_rows, count, layers))
        else:
            tensors.append(Tensor("head_norm", 1, model.head_dim, 2 * count, layers))
    if traits.sinks:
        tensors.append(Tensor("vector", 1, model.num_heads, count, layers))
    if traits.output_bias:
        tensors.append(Tensor("vector", 1, hidden, count, layers))
    return tensors


def _latent_attention(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
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
    ]


def _linear_attention(model: ModelFacts, layers: tuple[int, ...]) -> list[Tensor]:
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


def _feed_forward(model: ModelFacts, traits: Traits, every: tuple[int, ...]) -> list[Tensor]:
    if not model.num_experts:
        return _dense(model, traits, every)
    dense = every[: model.dense_layers]
    if model.architecture == "Llama4ForConditionalGeneration" and model.dense_layers:
        dense = every[::2]  # every second layer has experts
    mixture = tuple(layer for layer in every if layer not in set(dense))
    hidden, inner, count = model.hidden_size, model.moe_intermediate_size, len(mixture)
    experts = model.num_experts * count
    tensors = [
        *_dense(model, traits, dense),
        Tensor("router", model.num_experts, hidden, count, mixture),
        Tensor("expert_gate", inner, hidden, experts, mixture),
        Tensor("expert_up", inner, hidden, experts, mixture),
        Tensor("expert_down", hidden, inner, experts, mixture),
    ]
    if model.shared_intermediate_size:
        shared = model.shared_intermediate_size
        tensors += [
            Tensor("shared_gate", shared, hidden, count, mixture),
            Tensor("shared_up", shared, hidden, count, mixture),
            Tensor("shared_down", hidden, shared, count, mixture),
        ]
    if traits.shared_gate:
        tensors.append(Tensor("vector", 1, hidden, count, mixture))
    if traits.router_bias:
        tensors.append(Tensor("vector", 1, model.num_experts, count, mixture))
    if traits.expert_bias:
        tensors.append(Tensor("vector", 1, 2 * inner + hidden, experts, mixture))
    return tensors


def _dense(model: ModelFacts, traits: Traits, layers: tuple[int, ...]) -> list[Tensor]:
    hidden, inner, count = model.hidden_size, model.intermediate_size, len(layers)
    is_gated = traits.feed_forward == "gated"
    tensors = [Tensor("up", inner, hidden, count, layers), Tensor("down", hidden, inner, count, layers)]
    if is_gated:
        tensors.insert(0, Tensor("gate", inner, hidden, count, layers))
    if traits.feed_forward_bias:
        tensors.append(Tensor("vector", 1, inner * (2 if is_gated else 1) + hidden, count, layers))
    return tensors


def _vectors(model: ModelFacts, traits: Traits, every: tuple[int, ...]) -> list[Tensor]:
    width = model.hidden_size * (2 if traits.norm_bias else 1)
    tensors = [
        Tensor("norm", 1, width, traits.norms * model.num_layers, every),
        Tensor("norm", 1, width, 2 if traits.embedding_norm else 1),
    ]
    if traits.head_bias:
        tensors.append(Tensor("vector", 1, model.vocab_size, 1))
    return tensors
