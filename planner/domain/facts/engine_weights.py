"""What a GPU engine's allocator holds of a checkpoint on one rank: more than the tensors that are stored.

    fused matrices     query, key and value are one matrix, gate and up another, the experts of a layer two
    segments           what PyTorch's allocator does not split off (torch_allocator.py)
    rotary table       positions x rotary width x 2 bytes, once, on every rank
    repacking          weight-only kernels copy one matrix at a time into their own order: the peak that engines
                       print holds one more copy of the last layer's largest matrix
    latent attention   the up-projection is kept a second time, unpacked, to be absorbed into query and output
    padded experts     MXFP4 kernels pad an expert's inner width to a multiple of 256
    expert parallel    a rank holds whole experts, its share of them

Known error on 18 printed figures of 12 models (evidence/memory_truth.csv, vllm-weights): none is fitted; the mean
stands in `tests/planner/usecases/test_vllm_memory.py`.
"""

import re
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache

from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import PLACES, StoredBytes, is_quantized, matrix_bytes, shard_tensor
from planner.domain.facts.tensors import EXPERT_ROLES, Role, Tensor, lay_out
from planner.domain.facts.torch_allocator import rest_of_own_segment

FUSED: dict[Role, str] = {
    **dict.fromkeys(("q", "k", "v"), "qkv"),
    **dict.fromkeys(("gate", "up"), "gate_up"),
    **dict.fromkeys(("shared_gate", "shared_up"), "shared_gate_up"),
    **dict.fromkeys(("q_a", "kv_a"), "qkv_a"),
    **dict.fromkeys(("expert_gate", "expert_up"), "expert_gate_up"),
}
EXPERT_PADDING = {"MXFP4": 256}
"""gpt-oss-20b takes 13.47 GiB in vLLM 0.11: 12.82 as stored, its experts' 2880 columns padded to 3072."""
REPACKED = re.compile(r"W[2348]A16")
"""Schemes whose integer weights are turned into the kernel's order when they are loaded (Marlin, Machete)."""
REPACKED_BELOW = (("FP8", 89), ("MXFP4", 90), ("NVFP4", 100))
"""Beginnings of floating schemes that cards below a compute capability (times ten) run by Marlin as well."""


@lru_cache(maxsize=8192)
def engine_rank_bytes(
    model: ModelFacts,
    scheme: Scheme,
    group_size: int | None,
    *,
    tp: int,
    ep: int = 1,
    repacks: bool | None = None,
) -> StoredBytes:
    """Bytes that the worst of `tp` ranks allocates; experts are spread whole over `ep` ranks when it is above 1.

    `repacks` says whether the card's kernel turns weights over (`is_repacked`); None: as on the newest card.
    """
    by_layer = [0] * model.num_layers
    parts = dict.fromkeys(("embedding", "lookup", "head", "other"), 0)
    ends = {0, model.num_layers - 1}
    experts = 0
    fused: dict[str, list[int]] = defaultdict(lambda: [0] * model.num_layers)
    for tensor in lay_out(model):
        shard = _hold(tensor, model, scheme, tp=tp, ep=ep)
        if not tensor.layers:
            bits = scheme.head_bits if tensor.role == "head" else 16
            parts[PLACES.get(tensor.role, "other")] += shard.count * _allocated(
                int(shard.elements * bits / 8)
            )
            continue
        layers = len(tensor.layers)
        each = shard.count / layers
        packed = each * shard.elements * scheme.weight_bits / 8
        whole = each * matrix_bytes(shard.rows, shard.columns, scheme, group_size)
        quantized, plain = (int(packed), int(whole - packed)), (int(2 * each * shard.elements), 0)
        unpacked = 2 * shard.elements if tensor.role == "kv_b" else 0
        group = fused[FUSED.get(tensor.role, tensor.role)]
        inside = quantized if is_quantized(tensor.role, None, scheme, model) else plain
        at_ends = plain if scheme.left_ends else inside
        held = 0
        for layer in tensor.layers:
            weights, rest = at_ends if layer in ends else inside
            by_layer[layer] += weights + rest + unpacked
            group[layer] += weights
            held += weights + rest
        experts += held if tensor.role in EXPERT_ROLES else 0
    for group in fused.values():
        for layer, weights in enumerate(group):
            by_layer[layer] += _allocated(weights) - weights
    parts["other"] += _rotary_table(model)
    if is_repacked(scheme, None) if repacks is None else repacks:
        parts["other"] += max(group[-1] for group in fused.values())
    return StoredBytes(tuple(by_layer), experts=experts, **parts)


def _hold(tensor: Tensor, model: ModelFacts, scheme: Scheme, *, tp: int, ep: int) -> Tensor:
    """What one rank holds of a tensor: its shard, or its share of whole experts."""
    if tensor.role not in EXPERT_ROLES:
        return shard_tensor(tensor, tp)
    shard = shard_tensor(tensor, 1 if ep > 1 else tp)
    padding = EXPERT_PADDING.get(scheme.name, 1)
    inner = "columns" if tensor.role == "expert_down" else "rows"
    padded = -(-getattr(shard, inner) // padding) * padding
    own = -(-model.num_experts // ep) * len(tensor.layers)
    return replace(shard, **{inner: padded}, count=own)


@lru_cache(maxsize=4096)
def _allocated(size: int) -> int:
    """Bytes that a tensor of `size` bytes takes from others."""
    return size + int(rest_of_own_segment(size))


def _rotary_table(model: ModelFacts) -> int:
    if model.traits is not None and model.traits.positions:
        return 0
    width = model.qk_rope_head_dim or model.head_dim
    return 2 * model.max_position * width


def is_repacked(scheme: Scheme, sm: int | None) -> bool:
    """Whether loading makes one more copy of a matrix, while it is turned into the order of the card's kernel."""
    if scheme.is_gguf_mix:
        return False
    if REPACKED.fullmatch(scheme.name):
        return True
    return sm is not None and any(
        scheme.name.startswith(name) and sm < native for name, native in REPACKED_BELOW
    )
