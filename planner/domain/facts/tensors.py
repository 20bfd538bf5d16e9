"""Every tensor of a checkpoint: its role, shape, and which layers hold one.

Covered: decoder-only models whose architecture has a row in `data/architectures.csv`: attention of every kind
(mixing.py), linear attention, state spaces and convolutions in the layers that `layers.py` names, dense layers
and mixtures of experts (feeding.py). A model is covered when the layout's parameter count agrees with the
published one within 0.1 %, what the publisher counts besides (a vision tower, a layer of multi-token
prediction, a copy of a tied head) being stated in its row; any other model is refused by name, never
approximated.

Known error: none for covered models except buffers that some checkpoints carry along (rotary tables, 2 kB).
"""

from functools import lru_cache

from planner.domain.errors import BadInput
from planner.domain.facts.feeding import feeding_tensors
from planner.domain.facts.layers import feeds_of, full_layers, growing_layers, layers_with, mixers_of
from planner.domain.facts.mixing import mixing_tensors
from planner.domain.facts.model import ModelFacts, Traits
from planner.domain.facts.roles import EXPERT_ROLES, LINEAR_ROLES, Role, Tensor

__all__ = [
    "EXPERT_ROLES",
    "LINEAR_ROLES",
    "Role",
    "Tensor",
    "count_active_parameters",
    "count_described_parameters",
    "count_parameters",
    "full_layers",
    "growing_layers",
    "lay_out",
    "mixers_of",
    "tensor_layout",
    "widest_feed_forward",
]

ROUNDED_COUNT = 0.01
"""How far a published count may be off that is known to be rounded."""


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


def widest_feed_forward(model: ModelFacts) -> int:
    """Width that a token passes at once: dense layers, or the experts it is routed to with the shared ones."""
    routed = model.experts_per_token * model.moe_intermediate_size + model.shared_intermediate_size
    dense = max(model.layer_widths, default=model.intermediate_size)
    return max(dense if layers_with(feeds_of(model), "DB") else 0, routed)


@lru_cache(maxsize=512)
def count_described_parameters(model: ModelFacts) -> int:
    """Parameters that the model's fields describe."""
    return count_parameters(lay_out(model))


def _why_not_covered(model: ModelFacts) -> str | None:
    if model.traits is None:
        return f"architecture {model.architecture or 'unknown'} is not in the table"
    if model.traits.refused:
        return model.traits.refused
    if "kv_fields_missing" in model.flags or "tie_embeddings_missing" in model.flags:
        return "facts that its sizes depend on are missing"
    reason = _why_not_laid_out(model)
    if reason:
        return reason
    counted = count_described_parameters(model)
    text_params = model.params_total - model.extra_params + model.loaded_extra_params
    tolerance = ROUNDED_COUNT if "rounded_count" in model.flags else 0.001
    if abs(counted - text_params) > tolerance * counted:
        return (
            f"its fields give {counted:,} parameters, the checkpoint counts {model.params_total:,}, "
            "which differ by more than 0.1 %"
        )
    return None


def _why_not_laid_out(model: ModelFacts) -> str | None:
    """What of its layers is not known; a letter that no formula covers is named."""
    letters = mixers_of(model)
    if layers_with(letters, "LKN") and not model.linear_value_heads:
        return "the shapes of its linear-attention layers are not known"
    if layers_with(letters, "MSH") and model.state_space is None:
        return "the shapes of its state-space layers are not known"
    is_plain = model.attention.partition("+")[0].partition("(")[0] in {"mha", "gqa", "mqa", "mla"}
    if not model.mixers and not is_plain and model.attention != "hybrid-linear":
        return f"its attention is {model.attention}"
    unknown = set(letters) - set("FWHLKNMSCXY-") | set(feeds_of(model)) - set("DEB-")
    if unknown or {len(letters), len(feeds_of(model))} != {model.num_layers}:
        return "the kinds of its layers do not add up"
    return None


@lru_cache(maxsize=256)
def lay_out(model: ModelFacts) -> tuple[Tensor, ...]:
    """The tensors that the model's fields describe, whether or not the layout is known to be exact."""
    traits = model.traits or Traits()
    tensors = [Tensor("embedding", model.vocab_size, model.hidden_size, 1)]
    if traits.positions:
        offset = 2 if model.architecture == "OPTForCausalLM" else 0  # OPT reserves two positions
        tensors.append(Tensor("positions", model.max_position + offset, model.hidden_size, 1))
    tensors += mixing_tensors(model, traits)
    tensors += feeding_tensors(model, traits)
    tensors += _per_layer_input(model)
    tensors += _vectors(model, traits, tuple(range(model.num_layers)))
    if not model.tie_embeddings:
        tensors.append(Tensor("head", model.vocab_size, model.hidden_size, 1))
    if model.loaded_extra_params:
        tensors.append(Tensor("vision", 1, model.loaded_extra_params, 1))
    return tuple(tensor for tensor in tensors if tensor.count)


def _per_layer_input(model: ModelFacts) -> list[Tensor]:
    """A second embedding with a slice for each layer, its gates, and Gemma 3n's parallel residual streams."""
    given, layers = model.per_layer_input, tuple(range(model.num_layers))
    if given is None:
        return []
    hidden, count, width = model.hidden_size, model.num_layers, given.width
    tensors = [
        Tensor("layer_embedding", given.vocab, width * count, 1),
        Tensor("linear_in", width * count, hidden, 1),
        Tensor("norm", 1, width, 1),
        Tensor("replicated", width, hidden, count, layers),
        Tensor("replicated", hidden, width, count, layers),
        Tensor("norm", 1, hidden, count, layers),
    ]
    if given.rank:
        tensors += [
            Tensor("replicated", given.rank, hidden, count, layers),
            Tensor("replicated", hidden, given.rank, count, layers),
            Tensor("norm", 1, hidden, count, layers),
        ]
    if given.streams:
        streams = given.streams + 1
        tensors += [
            Tensor("linear_in", hidden, hidden, 2 * given.streams),
            Tensor("router", streams, hidden, count, layers),
            Tensor("router", streams + streams**2, streams, count, layers),
            Tensor("norm", 1, 2 * hidden, count, layers),
        ]
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
