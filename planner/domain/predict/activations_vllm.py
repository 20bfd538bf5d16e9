"""What vLLM's forward pass needs: batched tokens x (hidden and feed-forward copies) x 2 bytes + sampled logits.

Known error: the constants are not fitted yet, which is what their spread says.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.tensors import widest_feed_forward
from planner.domain.predict.constants import Constant, MemoryConstants, spread

SEQUENCE_SLOTS = 16
"""Sequences that the serve command allows at once, at least (--max-num-seqs)."""


def predict_batch_peak(
    model: ModelFacts,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of one batch of tokens, with the logits of every sequence slot on the last stage."""
    asked = workload.context_tokens * sequences
    tokens = min(constants["vllm", "batched_tokens"].likely or asked, asked)
    inner = -(-widest_feed_forward(model) // placement.tp)
    hidden_copies, inner_copies = constants["vllm", "hidden_copies"], constants["vllm", "inner_copies"]
    base = 2 * tokens * (hidden_copies.likely * model.hidden_size + inner_copies.likely * inner)
    logits = max(SEQUENCE_SLOTS, sequences) * model.vocab_size if is_last else 0
    return spread(base, logits, "vllm", constants)
