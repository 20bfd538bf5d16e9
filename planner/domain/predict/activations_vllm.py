"""What vLLM's profile run finds at its peak: the largest batch in one layer, or the sampler over its logits.

    layer      tokens x (3 feed-forward widths, or twice what attention works on, + 3.5 hidden widths) x 2 bytes
    experts    gate and up of every routed expert, or their outputs, whichever is wider, and the product between them
    sampler    sequence slots x vocabulary x bytes a logit, and the hidden rows of the batch; the whole vocabulary
               on every rank, on the last stage

The two never live at once, so the peak is the larger. Widths are read off 5 rows of vllm-activation-peak where the
layer is the larger (0.22 to 2.99 GiB; mean error 5 %), bytes a logit off 10 rows of 7 vocabularies where the sampler
is (mean error 2 %); leaving a model out moves neither by more than its error, because none is fitted to one alone.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.constants import Constant, MemoryConstants

SEQUENCE_SLOTS = 16
"""Sequences that the serve command allows at once, at least (--max-num-seqs)."""


def predict_batch_peak(
    model: ModelFacts,
    engine: str,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of the peak on a device that holds the last layers (`is_last`) or earlier ones."""
    slots = max(int(constants[engine, "sequence_slots"].likely), sequences)
    tokens = _batched_tokens(engine, workload, slots, constants)
    hidden, inner = constants[engine, "hidden_copies"].likely, constants[engine, "inner_copies"].likely
    layer = 2 * tokens * (hidden * model.hidden_size + _layer_width(model, placement.tp, inner))
    logits = min(slots, tokens) * model.vocab_size if is_last else 0
    rows = 2 * tokens * model.hidden_size
    scale, sampler = constants[engine, "activation_scale"], constants[engine, "sampler_bytes"]
    return Constant(
        max(layer * scale.low, rows + logits * sampler.low),
        max(layer * scale.likely, rows + logits * sampler.likely),
        max(layer * scale.high, rows + logits * sampler.high),
        sampler.source,
    )


def _batched_tokens(engine: str, workload: Workload, slots: int, constants: MemoryConstants) -> int:
    """Tokens of the largest batch: a whole prompt where the version does not cut it, or what it schedules at once."""
    context = workload.context_tokens
    chunk = int(constants[engine, "batched_tokens"].likely)
    if context <= constants[engine, "whole_prompt_tokens"].likely:
        return max(context, 2048)
    return min(chunk, context * slots)


def _layer_width(model: ModelFacts, tp: int, inner_copies: float) -> float:
    """Elements a token that one rank holds at once inside a layer, beside its hidden rows."""
    attention = 2 * (model.num_heads + model.num_kv_heads) * model.head_dim / tp
    dense = inner_copies * (model.intermediate_size + model.shared_intermediate_size) / tp
    if not model.num_experts:
        return max(attention, dense)
    routed = model.experts_per_token * model.moe_intermediate_size / tp
    experts = max(2 * routed, model.experts_per_token * model.hidden_size) + routed
    shared = inner_copies * model.shared_intermediate_size / tp
    return max(attention, experts + shared, dense if model.dense_layers else 0)
