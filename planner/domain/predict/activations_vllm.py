"""What vLLM's profile run finds at its peak: the largest batch in one layer, or the sampler over its logits.

    layer      tokens x (3 feed-forward widths, or twice what attention works on, + 3.5 hidden widths) x 2 bytes
    linear     of a gated-delta layer: the convolution's input, queries, keys, values and what the chunks of 64 tokens
               make of them, a state for each chunk in 32 bits, and gates in 32 bits where each channel has one
    experts    gate and up of every routed expert, or their outputs, whichever is wider, and the product between them
    sampler    sequence slots x vocabulary x bytes a logit, and the hidden rows of the batch; the whole vocabulary
               on every rank, on the last stage
    image      of models that take an image of any size: the encoder over the largest one, split over ranks

The two never live at once, so the peak is the larger. Read off vllm-activation-peak rows (evidence/memory_truth.csv)
and two whole-prompt peaks there: 3.5 hidden widths on 5 figures of 3 models where the layer is the larger (0.22 to
2.99 GiB; mean error 2.5 %, 4.7 % with each model left out), 38.3 bytes a logit on 8 figures of 6 models where the
sampler is (mean error 1.1 %, 1.2 % with each left out). Samplers of other versions: `data/engine_defaults.csv`.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.layers import mixers_of
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.units import GIB

NOTHING = Constant(0, 0, 0, "")
LARGEST_IMAGE = 16384
"""Tokens of the largest image; a shorter context allows a smaller one alone."""
ANY_IMAGE_SIZE = ("Qwen2VL", "Qwen2_5_VL", "Qwen3VL", "Qwen3_5")
"""Beginnings of architectures whose images keep their size."""
DELTA_LAYERS = "LK"
CHANNEL_GATED = "K"
"""Letter of delta-rule layers with a gate a channel (facts/layers.py)."""
CHUNK_TOKENS = 64
DELTA_COPIES = 1.5
"""Kimi-Linear over two RTX 3090 at 0.95 (evidence/memory_negatives.csv): batches above 64,000 tokens fail at 120,000
tokens of context and 74,000 run at 74,000: a token takes about 120,000 elements for 78,000 counted. One model."""
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
    image = constants.get((engine, "image_encoder"), NOTHING) if takes_any_image(model) else NOTHING
    share = GIB / placement.tp * min(1, workload.context_tokens / LARGEST_IMAGE)
    return Constant(
        max(layer * scale.low, rows + logits * sampler.low, image.low * share),
        max(layer * scale.likely, rows + logits * sampler.likely, image.likely * share),
        max(layer * scale.high, rows + logits * sampler.high, image.high * share),
        sampler.source,
    )


def takes_any_image(model: ModelFacts) -> bool:
    """Whether its processor passes images at their own size (Qwen2-VL and what follows)."""
    return bool(model.loaded_extra_params) and model.architecture.startswith(ANY_IMAGE_SIZE)


def _batched_tokens(engine: str, workload: Workload, slots: int, constants: MemoryConstants) -> int:
    """Tokens of the largest batch: a whole prompt where the version does not cut it, or what it schedules at once."""
    context = workload.context_tokens
    chunk = int(constants[engine, "batched_tokens"].likely)
    if context <= constants[engine, "whole_prompt_tokens"].likely:
        return max(context, 2048)
    return min(chunk, context * slots)


def _layer_width(model: ModelFacts, tp: int, inner_copies: float) -> float:
    """Elements a token that one rank holds at once inside a layer, beside its hidden rows."""
    attention = max(2 * (model.num_heads + model.num_kv_heads) * model.head_dim, _linear_width(model)) / tp
    dense = inner_copies * (model.intermediate_size + model.shared_intermediate_size) / tp
    if not model.num_experts:
        return max(attention, dense)
    routed = model.experts_per_token * model.moe_intermediate_size / tp
    experts = max(2 * routed, model.experts_per_token * model.hidden_size) + routed
    shared = inner_copies * model.shared_intermediate_size / tp
    return max(attention, experts + shared, dense if model.dense_layers else 0)


def _linear_width(model: ModelFacts) -> float:
    """Elements of 16 bits a token that a gated-delta layer works on (flash-linear-attention's chunked kernels)."""
    mixers = set(mixers_of(model))
    if not mixers & set(DELTA_LAYERS):
        return 0
    keys = model.linear_key_heads * model.linear_key_dim
    values = model.linear_value_heads * model.linear_value_dim
    repeated = model.linear_value_heads * model.linear_key_dim
    states = 2 * repeated * model.linear_value_dim / CHUNK_TOKENS
    products = model.linear_value_heads * CHUNK_TOKENS
    gates = 4 * repeated if CHANNEL_GATED in mixers else 0
    return DELTA_COPIES * (2 * keys + values + 3 * repeated + 4 * values + states + products + gates)
