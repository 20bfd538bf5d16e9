"""How many tokens an engine's pool holds, as the engine itself counts them.

    every layer alike      pool / bytes of a token in all layers
    layers that differ     vLLM groups layers of one kind, in groups as large as the rarer kind, the last one padded;
                           before 0.21 it prints the pool over the bytes of a token that every layer kept; since
                           0.21 the sequences of the longest length that fit, times that length
    other engines          what is left after the layers that keep a window or a state, over the growing ones

A window layer of a sequence holds its window and one batch of prompt tokens (vLLM, SlidingWindowSpec).
Known error, nothing fitted: Gemma-4-31B in 4 bits printed 55 k tokens in 0.20 and 525 k in 0.21 (an A100; 1.2 and
4.1 % here), Qwen3.5-27B 290,864 tokens and 33.04 sequences of 32,768 in 0.19 (vLLM issue 40691; 1.0 and 1.2 %),
StarCoder2-3B 2,198,512 (pull 19029; 0.1 %). Uniform models: `tests/planner/usecases/test_vllm_memory.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from planner.domain.facts.layers import mixers_of
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.tensors import growing_layers
from planner.domain.predict.constants import MemoryConstants
from planner.domain.predict.extras import Extras
from planner.domain.predict.kv_cache import (
    BLOCK_TOKENS,
    cache_rules,
    held_tokens_of_layers,
    keeps_every_token,
)

WINDOWED = "W"
BY_REQUEST = "capacity_by_request"
"""Term of engines that group layers: 1 where tokens are counted by whole sequences, 0 where every layer counts."""


class TokenCost(NamedTuple):
    """What a token takes of the pool of one stage, and what sequences take whatever their length."""

    bytes_per_token: float
    bytes_beside: float = 0


def cost_of_token(
    model: ModelFacts,
    layers: range,
    *,
    by_layer: Sequence[float],
    per_token: float,
    context: int,
    sequences: int,
    engine: str,
    extras: Extras,
    constants: MemoryConstants,
) -> TokenCost:
    """The cost of a token in some layers, `by_layer` being what one sequence of `context` tokens keeps in each."""
    drafted, ranks = extras.kv_bytes_per_token, extras.context_parallel
    growing = growing_layers(model)[layers.start : layers.stop]
    if all(growing):
        return TokenCost((per_token * len(layers) + drafted) / ranks)
    full = [layer for layer in layers if growing[layer - layers.start]]
    other = [layer for layer in layers if not growing[layer - layers.start] and by_layer[layer]]
    by_request = constants.get((engine, BY_REQUEST))
    if by_request is None or not other:
        beside = sequences * sum(by_layer[layer] for layer in other)
        return TokenCost((per_token * len(full) + drafted) / ranks, beside)
    if keeps_every_token(model, engine, cache_rules(engine, constants)):
        grown = (
            sum(by_layer[layer] for layer in other)
            / held_tokens_of_layers(model, context, engine=engine, rules=cache_rules(engine, constants))[
                other[0]
            ]
        )
        return TokenCost((per_token * len(full) + grown + drafted) / ranks)
    group = min(len(full), len(other)) or len(other)
    padded = [-(-len(kind) // group) * group for kind in (full, other)]
    windows = _window_bytes(model, other, by_layer, context, engine, constants)
    if not by_request.likely:
        widest = max([per_token if full else 0, *(each for each, _ in windows)])
        return TokenCost((sum(padded) * widest + drafted) / ranks)
    request = sum(by_layer[layer] for layer in full) * (padded[0] / len(full) if full else 0)
    request += sum(held for _, held in windows) * padded[1] / len(other)
    return TokenCost((request / context + drafted) / ranks)


def tokens_in(
    free: float, working: tuple[float, float, float], cost: TokenCost, engine: str
) -> tuple[int, int, int]:
    """Tokens that fit in `free` bytes less what works beside them, in whole blocks: at least, likely and at most.

    `working` is in bytes: at least, likely and at most.
    """
    block = BLOCK_TOKENS["vllm"] if engine == "vllm" else 1
    free -= cost.bytes_beside
    each = cost.bytes_per_token
    least, likely, most = working
    return (
        max(0, int((free - most) / each) // block * block),
        max(0, int((free - likely) / each) // block * block),
        max(0, int((free - least) / each) // block * block),
    )


def _window_bytes(
    model: ModelFacts,
    layers: Sequence[int],
    by_layer: Sequence[float],
    context: int,
    engine: str,
    constants: MemoryConstants,
) -> list[tuple[float, float]]:
    """Of each layer that does not grow: bytes of one token, and of all that one sequence may hold there."""
    letters = mixers_of(model)
    held = held_tokens_of_layers(model, context, engine=engine)
    batch = int(constants[engine, "batched_tokens"].likely)
    found = []
    for layer in layers:
        if letters[layer] != WINDOWED or not held[layer] or not model.sliding_window:
            found.append((0.0, by_layer[layer]))
            continue
        each = by_layer[layer] / held[layer]
        found.append((each, each * max(held[layer], min(context, model.sliding_window + batch))))
    return found
