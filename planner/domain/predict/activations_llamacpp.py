"""What llama.cpp's compute buffer takes on one device: ggml's graph of one micro-batch at its widest moment.

ggml lays the graph's tensors out once, for the largest micro-batch over a full cache, and reuses what is dead, so
the buffer is the widest of these moments, in 32 bits:

    logits      vocabulary + hidden, on the device that holds the head
    attention   two hidden and two query widths (one hidden less in builds before the split by layers); without
                flash attention also scores: heads x cache cells
    latent      two hidden widths, and for each head a query, the query absorbed into the latent and its
                answer there; ik_llama.cpp instead unfolds keys and values of the whole cache for a prompt, which
                is the high end of the interval
    layer       dense: two feed-forward and two hidden widths; experts: two inner widths and one hidden for each
                expert a token is sent to, and two hidden
    mask        cache cells; with flash attention a copy in 16 bits, made on the first device

Split by layers over devices, each keeps as many copies of its inputs (mask, hidden) as micro-batches are in
flight. Builds differ: see the `llama.cpp@` rows of `data/engine_memory.csv`.

Known error: buffers of Llama 1, 2 and 3 (7B to 65B) without flash attention, on one to eight devices, and of GLM-4,
Qwen3-30B-A3B and Command-R with it or without, are met to 0.1 MiB; a few graphs hold one more tensor (GLM-4-32B in
llama.cpp: 353 MiB where 308 are predicted). Latent attention is approximated (DeepSeek-R1 over two
devices, micro-batches of 4,096: 4,256 MiB at 32,768 tokens and 4,512 at 40,960, where ik_llama.cpp printed 4,176 and
4,560), linear attention more so.
"""

from dataclasses import dataclass

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.kv_cache import cache_rules, held_tokens_of_layers

WIDE, NARROW = 4, 2
"""Bytes of an activation, and of a mask's copy for flash attention."""


@dataclass(frozen=True, slots=True)
class Graph:
    """One device's part of ggml's graph for a micro-batch."""

    model: ModelFacts
    is_first: bool
    is_last: bool
    devices: int
    tokens: float
    """Tokens of the micro-batch."""
    scored: float
    """Cache cells that a token's scores cover."""
    masked: float
    """Cells of all masks: windowed layers have one of their own."""
    copies: int
    """Copies of the inputs when layers are split over devices; 0 in builds that had one scratch for all."""
    is_absorbed: bool
    """Whether latent attention works on the latent itself."""


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
    rules = cache_rules(engine, constants)
    held = held_tokens_of_layers(model, workload.context_tokens, engine=engine, rules=rules)
    widths = {tokens * sequences for tokens in held if tokens}
    graph = Graph(
        model=model,
        is_first=is_first,
        is_last=is_last,
        devices=placement.pp,
        tokens=min(constants[engine, "batched_tokens"].likely, workload.context_tokens * sequences),
        scored=max(widths, default=0),
        masked=sum(widths),
        # Micro-batches overlap only when every layer is on a device.
        copies=1 if placement.offload else int(constants[engine, "pipeline_copies"].likely),
        is_absorbed=bool(model.kv_lora_rank) and rules.latent != "heads",
    )
    flash, scale = constants[engine, "flash_attention"], constants[engine, "activation_scale"]
    with_flash, without = _buffer_bytes(graph, flash=True), _buffer_bytes(graph, flash=False)
    return Constant(
        scale.low * (with_flash if flash.high else without),
        scale.likely * (with_flash if flash.likely else without),
        scale.high * (with_flash if flash.low else without) + _unfolded_bytes(graph),
        scale.source,
    )


def _buffer_bytes(graph: Graph, *, flash: bool) -> float:
    """Bytes at the widest moment; 0 on devices that old builds gave no buffer of their own."""
    if graph.devices > 1 and not graph.copies and not graph.is_last:
        return 0.0
    wide, narrow = (size * graph.masked * graph.tokens for size in (WIDE, NARROW))
    hidden = WIDE * graph.tokens * graph.model.hidden_size
    logits = WIDE * graph.tokens * graph.model.vocab_size + hidden if graph.is_last else 0.0
    layer = max(_attention_bytes(graph, flash=flash), _layer_bytes(graph.model, graph.tokens))
    if graph.devices == 1 or graph.copies <= 1:
        made = wide + narrow + hidden if flash else 0.0
        return max(logits, layer + (narrow if flash else wide), made)
    made = narrow if flash and graph.is_first else 0.0
    inputs = graph.copies * ((narrow if flash and not graph.is_first else wide) + hidden)
    return inputs + max(logits, layer + made)


def _attention_bytes(graph: Graph, *, flash: bool) -> float:
    model = graph.model
    query = (model.qk_nope_head_dim + model.qk_rope_head_dim) or model.head_dim
    absorbed = query + 2 * model.kv_lora_rank + model.qk_rope_head_dim
    per_head = absorbed if graph.is_absorbed else 2 * query
    widths = (2 if graph.copies else 1) * model.hidden_size + model.num_heads * per_head
    return WIDE * graph.tokens * (widths + (0 if flash else model.num_heads * graph.scored))


def _unfolded_bytes(graph: Graph) -> float:
    """Keys and values of the whole cache in 16 bits, where latent attention unfolds them for a prompt."""
    if not graph.is_absorbed:
        return 0.0
    model = graph.model
    head = model.qk_nope_head_dim + model.qk_rope_head_dim + model.v_head_dim
    return NARROW * graph.scored * model.num_heads * head


def _layer_bytes(model: ModelFacts, tokens: float) -> float:
    dense = 2 * model.intermediate_size + 2 * model.hidden_size
    if not model.num_experts:
        return WIDE * tokens * dense
    each = 2 * model.moe_intermediate_size + model.hidden_size
    routed = model.experts_per_token * each + 2 * model.hidden_size
    return WIDE * tokens * max(routed, dense if model.dense_layers else 0)
