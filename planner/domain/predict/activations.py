"""What a forward pass needs beside weights and KV cache, on one device: each engine has its own formula.

    vllm           activations_vllm.py: one batch of tokens, and the logits of the sampled positions
    transformers   activations_transformers.py: the largest of four moments of a generation
    llama.cpp      activations_llamacpp.py: ggml's compute buffer for one micro-batch

Copies, bytes a logit and their spread stand in `data/engine_memory.csv`.
"""

from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.activations_llamacpp import predict_compute_buffer
from planner.domain.predict.activations_transformers import ENGINE as TRANSFORMERS
from planner.domain.predict.activations_transformers import Share, predict_torch_peak
from planner.domain.predict.activations_vllm import predict_batch_peak
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY


def predict_activations(
    model: ModelFacts,
    engine: str,
    placement: Placement,
    workload: Workload,
    sequences: int,
    *,
    is_first: bool = True,
    is_last: bool,
    share: Share | None = None,
    constants: MemoryConstants,
) -> Constant:
    """Bytes of activations on a device that holds the first layers, the last ones, both or neither.

    The peak of transformers depends on scheme and cache as well, which `share` says.
    """
    if engine == TRANSFORMERS and share is not None:
        return predict_torch_peak(share, constants)
    if engine in LLAMACPP_FAMILY:
        return predict_compute_buffer(
            model,
            engine,
            placement,
            workload,
            sequences,
            is_first=is_first,
            is_last=is_last,
            constants=constants,
        )
    return predict_batch_peak(
        model, engine, placement, workload, sequences, is_last=is_last, constants=constants
    )
