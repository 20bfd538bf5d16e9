"""Which layer holds what: a letter for how it mixes tokens and one for what it feeds each token through.

    mixers   F full attention      W sliding window      H full attention and Mamba side by side
             L gated delta rule    K delta rule with a gate a channel (Kimi)    N lightning attention
             M Mamba 2             S Mamba 1 (selective scan)                   C short convolution
             X, Y window and compressed tokens, four or 128 to one (DeepSeek-V4)               - nothing
    feeds    D dense               E experts             B both side by side                   - nothing

A catalogue row or a config names the letters where layers differ in a way that counts do not tell; for all other
models they follow from the kind of attention and the counts.
"""

from functools import lru_cache

from planner.domain.facts.model import ModelFacts

ATTENDING = frozenset("FH")
"""Letters of layers that keep every token."""
COMPRESSED = {"X": 4, "Y": 128}
"""Tokens that one compressed entry stands for."""


@lru_cache(maxsize=1024)
def mixers_of(model: ModelFacts) -> str:
    """One letter a layer: how it mixes tokens."""
    if model.mixers:
        return model.mixers
    full = set(_evenly_placed(model))
    other = "L" if model.attention == "hybrid-linear" else "W"
    return "".join("F" if layer in full else other for layer in range(model.num_layers))


@lru_cache(maxsize=1024)
def feeds_of(model: ModelFacts) -> str:
    """One letter a layer: what it feeds each token through."""
    if model.feeds:
        return model.feeds
    layers, dense = model.num_layers, model.dense_layers
    if not model.num_experts:
        return "D" * layers
    if model.architecture == "Llama4ForConditionalGeneration" and dense:
        return ("DE" * layers)[:layers]  # every second layer has experts
    return "D" * dense + "E" * (layers - dense)


def layers_with(letters: str, wanted: str) -> tuple[int, ...]:
    """Places in `letters` of any of the `wanted` ones."""
    return tuple(place for place, letter in enumerate(letters) if letter in wanted)


def full_layers(model: ModelFacts) -> tuple[int, ...]:
    """Layers whose KV cache grows with the context, token by token."""
    kept = model.num_layers - model.shared_kv_layers
    return tuple(layer for layer in layers_with(mixers_of(model), "FH") if layer < kept)


@lru_cache(maxsize=256)
def growing_layers(model: ModelFacts) -> tuple[bool, ...]:
    """For each layer whether its cache grows with the whole context."""
    full = set(full_layers(model))
    return tuple(layer in full for layer in range(model.num_layers))


def _evenly_placed(model: ModelFacts) -> tuple[int, ...]:
    """The last layer of each period where only some layers see the whole context."""
    full = model.full_attention_layers
    if full is None or full >= model.num_layers:
        return tuple(range(model.num_layers))
    if full == 0:
        return ()
    period = model.num_layers / full
    return tuple(
        sorted({min(model.num_layers - 1, round((index + 1) * period) - 1) for index in range(full)})
    )
