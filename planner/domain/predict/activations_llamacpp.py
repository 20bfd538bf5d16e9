"""What llama.cpp's compute buffer takes on one device: ggml's graph of one micro-batch at its widest moment.

ggml lays the graph's tensors out once, for the largest micro-batch over a full cache, and reuses what is dead, so
the buffer is the widest of these moments, in 32 bits:

    logits      vocabulary + hidden, on the device that holds the head
    attention   two hidden and two query widths (one hidden less in builds before the split by layers); without
                flash attention also scores: heads x cache cells
    layer       dense: two feed-forward and two hidden widths; experts: two inner widths and one hidden for each
                expert a token is sent to, and two hidden
    mask        cache cells; with flash attention a copy in 16 bits, made on the first device

Split by layers over devices, each keeps as many copies of its inputs (mask, hidden) as micro-batches are in
flight. Builds differ: see the `llama.cpp@` rows of `data/engine_memory.csv`.

Known error: buffers of Llama 1, 2 and 3 (7B to 65B) without flash attention, on one to eight devices, and of GLM-4,
Qwen3-30B-A3B and Command-R with it or without, are met to 0.1 MiB; a few graphs hold one more tensor (GLM-4-32B in
llama.cpp: 353 MiB where 308 are predicted). Latent attention and linear attention are approximated.
"""

from dataclasses import dataclass
from functools import lru_cache

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.kv_cache import held_tokens_of_layers

WIDE, NARROW = 4, 2
"""Bytes of an activation, and of a mask's copy for flash attention."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a device sits in the split by layers."""

    is_first: bool
    is_last: bool
    devices: int


def predict_compute_buffer(
    model: ModelFacts,
    engine: str,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_first: bool,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of the compute buffer, between what it takes with and without flash attention where that is open."""
    seat = Seat(is_first, is_last, placement.pp)
    cells = _mask_cells(model, workload, sequences, engine)
    tokens = min(constants[engine, "batched_tokens"].likely, workload.context_tokens * sequences)
    # Micro-batches overlap only when every layer is on a device.
    copies = 1 if placement.offload else int(constants[engine, "pipeline_copies"].likely)
    flash = constants[engine, "flash_attention"]
    with_flash = _buffer_bytes(model, seat, tokens, cells, copies, flash=True)
    without = _buffer_bytes(model, seat, tokens, cells, copies, flash=False)
    scale = constants[engine, "activation_scale"]
    return Constant(
        scale.low * (with_flash if flash.high else without),
        scale.likely * (with_flash if flash.likely else without),
        scale.high * (with_flash if flash.low else without),
        scale.source,
    )


@lru_cache(maxsize=4096)
def _mask_cells(model: ModelFacts, workload: Workload, sequences: int, engine: str) -> tuple[float, float]:
    """Cache cells that a token's scores cover, and those of all masks: one more where windows have their own."""
    held = held_tokens_of_layers(model, workload.context_tokens, engine=engine)
    widths = {tokens * sequences for tokens in held if tokens}
    return max(widths, default=0), sum(widths)


@lru_cache(maxsize=4096)
def _buffer_bytes(
    model: ModelFacts, seat: Seat, tokens: float, cells: tuple[float, float], copies: int, *, flash: bool
) -> float:
    """Bytes at the widest moment; 0 on devices that old builds gave no buffer of their own."""
    if seat.devices > 1 and not copies and not seat.is_last:
        return 0.0
    scored, masked = cells
    wide, narrow = WIDE * masked * tokens, NARROW * masked * tokens
    hidden = WIDE * tokens * model.hidden_size
    logits = WIDE * tokens * model.vocab_size + hidden if seat.is_last else 0.0
    attention = _attention_bytes(model, tokens, scored, flash=flash) - (0 if copies else hidden)
    layer = max(attention, _layer_bytes(model, tokens))
    if seat.devices == 1 or copies <= 1:
        made = wide + narrow + hidden if flash else 0.0
        return max(logits, layer + (narrow if flash else wide), made)
    made = narrow if flash and seat.is_first else 0.0
    inputs = copies * ((narrow if flash and not seat.is_first else wide) + hidden)
    return inputs + max(logits, layer + made)


def _attention_bytes(model: ModelFacts, tokens: float, cells: float, *, flash: bool) -> float:
    head = (model.qk_nope_head_dim + model.qk_rope_head_dim) or model.head_dim
    widths = 2 * model.hidden_size + 2 * model.num_heads * head
    return WIDE * tokens * (widths + (0 if flash else model.num_heads * cells))


def _layer_bytes(model: ModelFacts, tokens: float) -> float:
    dense = 2 * model.intermediate_size + 2 * model.hidden_size
    if not model.num_experts:
        return WIDE * tokens * dense
    each = 2 * model.moe_intermediate_size + model.hidden_size
    routed = model.experts_per_token * each + 2 * model.hidden_size
    return WIDE * tokens * max(routed, dense if model.dense_layers else 0)
