"""What PyTorch's caching allocator counts for a tensor beyond its bytes.

Above 10 MiB a tensor gets a segment in steps of 2 MiB, from 1 to 10 MiB a part of a 20 MiB segment, and a rest of
1 MiB or less is not split off: it counts as allocated (c10/cuda/CUDACachingAllocator.cpp, round_size and
should_split). A model whose matrices end just short of such a step, like the 43 MiB ones of Qwen2.5-3B, so takes
108 MiB more than its bytes. Known error: segments of 20 MiB are shared by whatever comes next, so that only half of
what tensors of one size would leave there is counted; the rest is the interval.
"""

from dataclasses import replace
from functools import lru_cache

from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import StoredBytes
from planner.domain.facts.tensors import LINEAR_ROLES, lay_out
from planner.domain.units import MIB

LARGE = 10 * MIB
SEGMENT = 20 * MIB
STEP = 2 * MIB
KEPT_REST = MIB
"""A rest up to this is not split off."""
SHARED_SEGMENTS = 0.5


def rest_of_own_segment(size: float) -> float:
    """Bytes that the allocator counts beside a tensor that is large enough for a segment of its own."""
    rest = -size % STEP
    return rest if size >= LARGE and rest <= KEPT_REST else 0.0


def unsplit_rest(size: float) -> float:
    """Bytes that the allocator counts beside a tensor of `size` bytes."""
    if size <= KEPT_REST or size >= LARGE:
        return rest_of_own_segment(size)
    fitting = SEGMENT // size
    rest = SEGMENT - fitting * size
    return SHARED_SEGMENTS * rest / fitting if rest <= KEPT_REST else 0.0


@lru_cache(maxsize=1024)
def unsplit_rests(model: ModelFacts, scheme: Scheme) -> tuple[float, ...]:
    """Bytes that the allocator counts beside the weights of each layer; one entry more for what is in no layer."""
    by_layer = [0.0] * (model.num_layers + 1)
    for tensor in lay_out(model):
        bits = scheme.weight_bits if tensor.role in LINEAR_ROLES else 16
        rest = unsplit_rest(tensor.elements * bits / 8)
        for layer in tensor.layers:
            by_layer[layer] += tensor.each * rest
        if not tensor.layers and tensor.role != "vision":
            by_layer[-1] += tensor.count * rest
    return tuple(by_layer)


@lru_cache(maxsize=1024)
def as_allocated(stored: StoredBytes, model: ModelFacts, scheme: Scheme) -> StoredBytes:
    """Stored bytes with the rests that the allocator does not split off."""
    *rests, elsewhere = unsplit_rests(model, scheme)
    by_layer = tuple(size + int(rest) for size, rest in zip(stored.by_layer, rests, strict=True))
    return replace(stored, by_layer=by_layer, other=stored.other + int(elsewhere))
