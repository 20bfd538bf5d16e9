"""Every tensor of a checkpoint: its role, shape, and how many layers hold one.

Covered here: decoder-only dense transformers in the Llama layout with multi-head or grouped-query attention
(separate q, k, v, o, gate, up, down; two norms a layer; optional q/k/v biases and q/k norms; tied or untied
head). A model is covered when its architecture is on the list and the layout's parameter count agrees with
the published one within 0.1 %; any other model is refused by name, never approximated.

Known error: none for covered models except buffers that some checkpoints carry along (rotary tables, 2 kB).
"""

from dataclasses import dataclass, replace
from typing import Literal

from planner.domain.errors import BadInput
from planner.domain.facts.model import ModelFacts

Role = Literal[
    "embedding", "head", "q", "k", "v", "o", "gate", "up", "down", "norm", "head_norm", "q_bias", "kv_bias"
]

LINEAR_ROLES: frozenset[Role] = frozenset({"q", "k", "v", "o", "gate", "up", "down"})
LLAMA_LAYOUT = frozenset(
    {
        "BaichuanForCausalLM",
        "Ernie4_5ForCausalLM",
        "GraniteForCausalLM",
        "HunYuanDenseV1ForCausalLM",
        "InternLM2ForCausalLM",
        "InternLM3ForCausalLM",
        "LlamaForCausalLM",
        "Ministral3ForCausalLM",
        "MistralForCausalLM",
        "Phi3ForCausalLM",
        "QWenLMHeadModel",
        "Qwen2ForCausalLM",
        "Qwen3ForCausalLM",
        "SeedOssForCausalLM",
        "SmolLM3ForCausalLM",
    }
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """One role: `count` tensors of `rows` outputs by `columns` inputs (a vector has one row)."""

    role: Role
    rows: int
    columns: int
    count: int

    @property
    def elements(self) -> int:
        """Elements of one tensor."""
        return self.rows * self.columns

    @property
    def is_vector(self) -> bool:
        """Norms and biases, which every format keeps unquantized."""
        return self.rows == 1


def tensor_layout(model: ModelFacts) -> tuple[Tensor, ...]:
    """All tensors of a covered model.

    Raises:
        BadInput: `model.layout_not_covered` when the layout is not one that is known to be exact.
    """
    layout = _llama_layout(model)
    reason = _why_not_covered(model, layout)
    if reason:
        raise BadInput(
            "model.layout_not_covered",
            f"The tensor layout of {model.model_id} is not covered yet: {reason}. "
            "Dense models with multi-head or grouped-query attention in the Llama layout are; "
            "nothing is guessed for the others.",
        )
    return layout


def padded_layout(model: ModelFacts, intermediate_size: int) -> tuple[ModelFacts, tuple[Tensor, ...]]:
    """A covered model and its tensors with the feed-forward width padded, as some published checkpoints are."""
    padded = replace(model, intermediate_size=intermediate_size)
    return padded, _llama_layout(padded)


def count_parameters(layout: tuple[Tensor, ...]) -> int:
    """Parameters of the whole model; a tied head is not counted twice."""
    return sum(tensor.elements * tensor.count for tensor in layout)


def count_llama_parameters(model: ModelFacts) -> int:
    """Parameters that the model's fields describe, read as the Llama layout."""
    return count_parameters(_llama_layout(model))


def _llama_layout(model: ModelFacts) -> tuple[Tensor, ...]:
    hidden, inner, layers = model.hidden_size, model.intermediate_size, model.num_layers
    q_rows = model.num_heads * model.head_dim
    kv_rows = model.num_kv_heads * model.head_dim
    tensors = [
        Tensor("embedding", model.vocab_size, hidden, 1),
        Tensor("q", q_rows, hidden, layers),
        Tensor("k", kv_rows, hidden, layers),
        Tensor("v", kv_rows, hidden, layers),
        Tensor("o", hidden, q_rows, layers),
        Tensor("gate", inner, hidden, layers),
        Tensor("up", inner, hidden, layers),
        Tensor("down", hidden, inner, layers),
        Tensor("norm", 1, hidden, 2 * layers + 1),
    ]
    if model.qkv_bias:
        tensors += [Tensor("q_bias", 1, q_rows, layers), Tensor("kv_bias", 1, kv_rows, 2 * layers)]
    if model.qk_norm:
        tensors.append(Tensor("head_norm", 1, model.head_dim, 2 * layers))
    if not model.tie_embeddings:
        tensors.append(Tensor("head", model.vocab_size, hidden, 1))
    return tuple(tensors)


def _why_not_covered(model: ModelFacts, layout: tuple[Tensor, ...]) -> str | None:
    if model.num_experts:
        return f"it is a mixture of {model.num_experts} experts"
    if model.attention not in {"mha", "gqa", "mqa"}:
        return f"its attention is {model.attention}"
    if model.architecture not in LLAMA_LAYOUT:
        return f"architecture {model.architecture or 'unknown'} is not on the list"
    counted = count_parameters(layout)
    head_elements = model.vocab_size * model.hidden_size if model.tie_embeddings else 0
    published = (model.params_total, model.params_total - head_elements)
    if not any(abs(counted - count) <= 0.001 * counted for count in published):
        return (
            f"its fields give {counted:,} parameters, the checkpoint counts {model.params_total:,}, "
            "which differ by more than 0.1 %"
        )
    return None
