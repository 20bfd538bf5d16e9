"""What llama.cpp's compute buffer takes, with flash attention.

A micro-batch's logits and one hidden row a token in 32 bits on the last device; over several devices, four copies
of the mask and the inputs as well. Known error: a few MiB.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.tensors import widest_feed_forward
from planner.domain.predict.constants import Constant, MemoryConstants, spread

PIPELINE_COPIES = 4
"""Copies of mask and inputs that llama.cpp keeps when layers are split over devices (GGML_SCHED_MAX_COPIES)."""
CONTEXT_PAD = 256


def predict_compute_buffer(
    model: ModelFacts,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of the compute buffer on a device that holds the last layers (`is_last`) or earlier ones."""
    batch = constants["llama.cpp", "batched_tokens"].likely
    hidden = 4 * batch * model.hidden_size
    copies, inner_copies = constants["llama.cpp", "hidden_copies"], constants["llama.cpp", "inner_copies"]
    inner = 4 * batch * widest_feed_forward(model)
    base = hidden if is_last else copies.likely * hidden + inner_copies.likely * inner
    if placement.pp > 1:
        context = -(-workload.context_tokens // CONTEXT_PAD) * CONTEXT_PAD * sequences
        base += PIPELINE_COPIES * (2 * batch * context + hidden)
    logits = batch * model.vocab_size if is_last else 0
    return spread(base, logits, "llama.cpp", constants)
