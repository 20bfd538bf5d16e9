"""What the driver counts beside ggml's own buffers: context, page tables, matrices converted for a prompt.

    context             the runtime's own, by backend; a card's desktop is in it where the figure came from a driver
    page tables         a share of what is held, on AMD's
    converted matrix    hipBLAS multiplies in 16 bits: the widest matrix of a layer, converted for a prompt's batch
    host embedding      pinned host memory is device memory on an APU: Vulkan's input embedding counts

Rows are `llama.cpp@vulkan`, `@hip` and `@amdvlk` (the backend that a version names), `@amd` and `@apple` (a device of
which nobody said) in `data/engine_memory.csv`, AMD's read off 393 amdgpu-gtt+vram-peak rows of seven models in
`evidence/memory_truth.csv` (one Strix Halo machine, 2025). Known error there: 1.1 % of the total, 1.3 to 1.6 % of a
model that a constant was not fitted on (benchmarks/accuracy/leave_out.py). AMD's own Vulkan driver was seen with one
model only; what a prompt without flash attention takes from HIP's pool beyond 2,048 tokens (up to 1.2 GiB for
gpt-oss-20b) is not modelled.
"""

from dataclasses import dataclass

from planner.domain.facts.hardware import Device
from planner.domain.facts.model import ModelFacts
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.units import GIB

CONVERTED_BYTES = 2


@dataclass(frozen=True, slots=True)
class DriverTerms:
    """What a driver counts on one device, by what it grows with. Bytes, and shares of bytes."""

    own: Constant
    """Context and graphs."""
    page_tables: Constant
    converted: Constant
    embedding: Constant

    def add_up(self, held_bytes: int, embedding_bytes: int) -> Constant:
        """Bytes beside weights, KV cache and compute buffer on a device that holds `held_bytes` of those."""
        pages, converted, embedding = self.page_tables, self.converted, self.embedding
        return Constant(
            self.own.low + pages.low * held_bytes + converted.low + embedding.low * embedding_bytes,
            self.own.likely
            + pages.likely * held_bytes
            + converted.likely
            + embedding.likely * embedding_bytes,
            self.own.high + pages.high * held_bytes + converted.high + embedding.high * embedding_bytes,
            self.own.source,
        )


def find_driver_terms(
    model: ModelFacts, engine: str, device: Device, *, is_split: bool, constants: MemoryConstants
) -> DriverTerms:
    """The terms of one device, which every scheme and workload shares."""
    context = _term(constants, engine, device, "context_parallel" if is_split else "context_single")
    graphs = _term(constants, engine, device, "graphs")
    matrix = CONVERTED_BYTES * widest_matrix(model)
    share = _term(constants, engine, device, "converted_matrices")
    return DriverTerms(
        own=Constant(
            (context.low + graphs.low) * GIB,
            (context.likely + graphs.likely) * GIB,
            (context.high + graphs.high) * GIB,
            context.source,
        ),
        page_tables=_term(constants, engine, device, "page_tables"),
        converted=Constant(share.low * matrix, share.likely * matrix, share.high * matrix, share.source),
        embedding=_term(constants, engine, device, "counted_embedding"),
    )


def widest_matrix(model: ModelFacts) -> int:
    """Weights of the widest matrix of a layer that one product reads: an expert's counts alone."""
    dense = 0 if model.num_experts and not model.dense_layers else model.intermediate_size
    inner = max(dense, model.moe_intermediate_size, model.shared_intermediate_size)
    return model.hidden_size * max(inner, model.num_heads * model.head_dim)


def _term(constants: MemoryConstants, engine: str, device: Device, term: str) -> Constant:
    """The backend's value where one was said, else that of the vendor's devices, else the engine's own."""
    if not constants[engine, "backend_said"].likely:
        of_vendor = constants.get((f"{engine}@{device.vendor.lower()}", term))
        if of_vendor is not None:
            return of_vendor
    return constants[engine, term]
