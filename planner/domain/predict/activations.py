"""What a forward pass needs beside weights and KV cache, on one device.

    vllm           batched tokens x (hidden and feed-forward copies) x 2 bytes + logits of the sampled positions
    transformers   the same with the whole prompt at once: 3 feed-forward and 3.5 hidden widths a token
    llama.cpp      the compute buffer with flash attention: a micro-batch's logits and one hidden row a token in
                   32 bits on the last device; over several devices, four copies of the mask and the inputs as well

Copies, bytes a logit and their spread stand in `data/engine_memory.csv`. Known error: Qwen2.5 peaks of
transformers within 3 % of their totals; llama.cpp's buffers to a few MiB; vLLM's constants are not fitted yet,
which is what their spread says.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.constants import Constant, MemoryConstants

SEQUENCE_SLOTS = 16
"""Sequences that the serve command allows at once, at least (--max-num-seqs)."""
PIPELINE_COPIES = 4
"""Copies of mask and inputs that llama.cpp keeps when layers are split over devices (GGML_SCHED_MAX_COPIES)."""
CONTEXT_PAD = 256


def predict_activations(
    model: ModelFacts,
    engine: str,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of activations on a device that holds the last layers (`is_last`) or earlier ones."""
    if engine == "llama.cpp":
        return _compute_buffer(model, placement, workload, sequences, is_last=is_last, constants=constants)
    asked = workload.context_tokens * sequences
    tokens = min(constants[engine, "batched_tokens"].likely or asked, asked)
    inner = -(-widest_feed_forward(model) // placement.tp)
    hidden_copies, inner_copies = constants[engine, "hidden_copies"], constants[engine, "inner_copies"]
    base = 2 * tokens * (hidden_copies.likely * model.hidden_size + inner_copies.likely * inner)
    slots = max(SEQUENCE_SLOTS, sequences) if engine == "vllm" else sequences
    logits = slots * model.vocab_size if is_last else 0
    return _spread(base, logits, engine, constants)


def widest_feed_forward(model: ModelFacts) -> int:
    """Width that a token passes at once: dense layers, or the experts it is routed to with the shared ones."""
    routed = model.experts_per_token * model.moe_intermediate_size + model.shared_intermediate_size
    return max(model.intermediate_size if not model.num_experts or model.dense_layers else 0, routed)


def _compute_buffer(
    model: ModelFacts,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    batch = constants["llama.cpp", "batched_tokens"].likely
    hidden = 4 * batch * model.hidden_size
    copies, inner_copies = constants["llama.cpp", "hidden_copies"], constants["llama.cpp", "inner_copies"]
    inner = 4 * batch * widest_feed_forward(model)
    base = hidden if is_last else copies.likely * hidden + inner_copies.likely * inner
    if placement.pp > 1:
        context = -(-workload.context_tokens // CONTEXT_PAD) * CONTEXT_PAD * sequences
        base += PIPELINE_COPIES * (2 * batch * context + hidden)
    logits = batch * model.vocab_size if is_last else 0
    return _spread(base, logits, "llama.cpp", constants)


def _spread(base: float, logits: float, engine: str, constants: MemoryConstants) -> Constant:
    scale, sampler = constants[engine, "activation_scale"], constants[engine, "sampler_bytes"]
    return Constant(
        base * scale.low + logits * sampler.low,
        base * scale.likely + logits * sampler.likely,
        base * scale.high + logits * sampler.high,
        sampler.source,
    )
