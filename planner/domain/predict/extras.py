"""What can be asked for beside the model itself: a draft model for speculative decoding, and LoRA adapters.

    draft model     its own weights on every rank as the target's are split, and its own keys and values a token
    draft layer     a multi-token-prediction or EAGLE head: one decoder layer of the target and its keys and values
    n-grams         nothing
    adapters        slots x rank x (inputs + outputs) x 2 bytes of every attention and dense feed-forward matrix,
                    inputs of the first half repeated on every rank and outputs split (vLLM, lora/layers)

Known error: not measured; arithmetic of what the engine allocates at its start, whatever adapters are loaded later.
"""

from dataclasses import dataclass

from planner.domain.facts.engine_weights import engine_rank_bytes
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import shard_tensor
from planner.domain.facts.tensors import EXPERT_ROLES, LINEAR_ROLES, full_layers, lay_out
from planner.domain.predict.kv_cache import kv_bytes_per_layer_token

INPUT_SPLIT = frozenset({"o", "down", "shared_down", "linear_out"})
"""Matrices split by their inputs: of an adapter's two halves the first is split, the second repeated."""
LAYER_METHODS = frozenset({"mtp", "eagle", "eagle3", "eagle2", "nextn", "deepseek_mtp", "medusa"})
DEFAULT_RANK = 16
"""vLLM --max-lora-rank default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraAsk:
    """A draft and adapters as asked for."""

    draft: ModelFacts | None = None
    has_draft_layer: bool = False
    """Whether one more layer of the target drafts."""
    adapters: int = 0
    adapter_rank: int = DEFAULT_RANK
    context_parallel: int = 1
    """Ranks over which the tokens of one sequence are spread (decode context parallel)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """Bytes on each rank of each stage."""

    weights_bytes: int = 0
    kv_bytes_per_token: float = 0
    context_parallel: int = 1


NO_EXTRAS = Extras()


def predict_extras(
    ask: ExtraAsk,
    model: ModelFacts,
    scheme: Scheme,
    group_size: int | None,
    plain: Scheme,
    kv_dtype: str,
    *,
    tp: int,
) -> Extras:
    """Bytes of what was asked for; a draft model is in 16 bits (`plain`)."""
    weights, per_token = 0, 0.0
    if ask.draft is not None:
        weights += engine_rank_bytes(ask.draft, plain, None, tp=tp).total
        per_token += len(full_layers(ask.draft)) * kv_bytes_per_layer_token(ask.draft, kv_dtype, tp=tp)
    elif ask.has_draft_layer:
        weights += max(engine_rank_bytes(model, scheme, group_size, tp=tp).by_layer)
        per_token += kv_bytes_per_layer_token(model, kv_dtype, tp=tp)
    if ask.adapters:
        weights += adapter_bytes(model, ask.adapters, ask.adapter_rank, tp=tp)
    return Extras(weights_bytes=weights, kv_bytes_per_token=per_token, context_parallel=ask.context_parallel)


def adapter_bytes(model: ModelFacts, slots: int, rank: int, *, tp: int) -> int:
    """Bytes that `slots` adapters of a rank take on one of `tp` ranks; experts have none."""
    elements = 0
    for tensor in lay_out(model):
        if tensor.role not in LINEAR_ROLES or tensor.role in EXPERT_ROLES:
            continue
        shard = shard_tensor(tensor, tp)
        inputs = shard.columns if tensor.role in INPUT_SPLIT else tensor.columns
        elements += tensor.count * (inputs + shard.rows)
    return 2 * slots * rank * elements
