"""Tensors of the part of a layer that feeds each token through: dense, experts with a router, shared experts."""

from planner.domain.facts.layers import feeds_of, layers_with
from planner.domain.facts.model import ModelFacts, Traits
from planner.domain.facts.roles import Tensor

NORMS_OF_BOTH = 3


def feeding_tensors(model: ModelFacts, traits: Traits) -> list[Tensor]:
    """Tensors of all layers' feed-forward parts."""
    letters = feeds_of(model)
    both = layers_with(letters, "B")
    return [
        *_dense(model, traits, layers_with(letters, "DB")),
        *_experts(model, traits, layers_with(letters, "EB")),
        # Side by side, each has a norm after it and the experts one before.
        Tensor("norm", 1, model.hidden_size, NORMS_OF_BOTH * len(both), both),
    ]


def _dense(model: ModelFacts, traits: Traits, layers: tuple[int, ...]) -> list[Tensor]:
    if not model.layer_widths:
        return _dense_of(model, traits, model.intermediate_size, layers)
    widths = {model.layer_widths[layer] for layer in layers}
    return [
        tensor
        for width in sorted(widths)
        for tensor in _dense_of(
            model, traits, width, tuple(layer for layer in layers if model.layer_widths[layer] == width)
        )
    ]


def _dense_of(model: ModelFacts, traits: Traits, inner: int, layers: tuple[int, ...]) -> list[Tensor]:
    hidden, count = model.hidden_size, len(layers)
    is_gated = traits.feed_forward == "gated"
    tensors = [Tensor("up", inner, hidden, count, layers), Tensor("down", hidden, inner, count, layers)]
    if is_gated:
        tensors.insert(0, Tensor("gate", inner, hidden, count, layers))
    if traits.feed_forward_bias:
        tensors.append(Tensor("vector", 1, inner * (2 if is_gated else 1) + hidden, count, layers))
    return tensors


def _experts(model: ModelFacts, traits: Traits, layers: tuple[int, ...]) -> list[Tensor]:
    hidden, inner, count = model.hidden_size, model.moe_intermediate_size, len(layers)
    if not model.num_experts or not count:
        return []
    experts, width = model.num_experts * count, model.expert_latent or hidden
    tensors = [
        Tensor("router", model.num_experts, hidden, count, layers),
        Tensor("expert_gate", inner, width, experts, layers),
        Tensor("expert_up", inner, width, experts, layers),
        Tensor("expert_down", width, inner, experts, layers),
    ]
    if model.expert_latent:
        tensors += [
            Tensor("replicated", width, hidden, count, layers),
            Tensor("replicated", hidden, width, count, layers),
        ]
    if model.shared_intermediate_size:
        shared = model.shared_intermediate_size
        tensors += [
            Tensor("shared_gate", shared, hidden, count, layers),
            Tensor("shared_up", shared, hidden, count, layers),
            Tensor("shared_down", hidden, shared, count, layers),
        ]
    if traits.shared_gate:
        tensors.append(Tensor("vector", 1, hidden, count, layers))
    if traits.router_bias:
        tensors.append(Tensor("vector", 1, model.num_experts, count, layers))
    if traits.router_scales:
        tensors.append(Tensor("vector", 1, hidden + model.num_experts, count, layers))
    if traits.expert_bias:
        tensors.append(Tensor("vector", 1, 2 * inner + hidden, experts, layers))
    if traits.feed_forward == "plain":
        tensors = [tensor for tensor in tensors if tensor.role not in {"expert_gate", "shared_gate"}]
    return tensors
