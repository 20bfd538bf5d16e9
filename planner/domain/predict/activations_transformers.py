"""What a transformers forward pass needs: the whole prompt at once, 3 feed-forward and 3.5 hidden widths a token.

Known error: Qwen2.5 peaks within 3 % of their totals.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.tensors import widest_feed_forward
from planner.domain.predict.constants import Constant, MemoryConstants, spread


def predict_prefill_peak(
    model: ModelFacts,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_last: bool,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of the prompts of all sequences at once, with the last position's logits on the last stage."""
    asked = workload.context_tokens * sequences
    tokens = min(constants["transformers", "batched_tokens"].likely or asked, asked)
    inner = -(-widest_feed_forward(model) // placement.tp)
    copies = constants["transformers", "hidden_copies"], constants["transformers", "inner_copies"]
    base = 2 * tokens * (copies[0].likely * model.hidden_size + copies[1].likely * inner)
    return spread(base, sequences * model.vocab_size if is_last else 0, "transformers", constants)
