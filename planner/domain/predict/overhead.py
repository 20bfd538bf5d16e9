"""What a process holds on a device besides weights, KV cache and activations.

    context    CUDA context and libraries, as far as the engine counts them; on cards with fast links also buffers
               of the collectives for each rank of a tensor-parallel group
    graphs     captured CUDA graphs; vLLM before 0.21 keeps them outside of its share of the card

Known error: vllm-nontorch and vllm-cudagraph rows of evidence/memory_truth.csv lie within the terms' spread but for
two of vLLM 0.6.5, whose profile counted what it found at its start.
"""

from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Placement
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.units import GIB

NOTHING = Constant(0, 0, 0, "")


def predict_overhead(
    engine: str, placement: Placement, device: Device, constants: MemoryConstants, *, in_share: bool = False
) -> Constant:
    """Bytes of context, communication buffers and graphs on one device.

    Within the engine's share of the card (`in_share`) graphs outside of it have no spread: what they take more or
    less is no other's.
    """
    if device.kind == "cpu":
        return Constant(0.05 * GIB, 0.15 * GIB, 0.4 * GIB, "resident code and buffers of a server process")
    is_parallel = placement.tp * placement.pp > 1
    context = constants[engine, "context_parallel" if is_parallel else "context_single"]
    graphs = constants[engine, "graphs"]
    link = constants.get((engine, "nvlink_per_rank"), NOTHING)
    ranks = placement.tp if placement.tp > 1 else 0
    is_fixed = in_share and graphs_outside(engine, device, constants) > 0
    own = Constant(graphs.likely, graphs.likely, graphs.likely, graphs.source) if is_fixed else graphs
    return Constant(
        (context.low + own.low + ranks * link.low) * GIB,
        (context.likely + own.likely + ranks * link.likely) * GIB,
        (context.high + own.high + ranks * link.high) * GIB,
        context.source,
    )


def graphs_outside(engine: str, device: Device, constants: MemoryConstants) -> float:
    """Bytes of graphs that lie outside of the engine's share of the card; 0 where they count against it."""
    counted = constants.get((engine, "graphs_counted"))
    if counted is None or counted.likely or device.kind == "cpu":
        return 0
    return constants[engine, "graphs"].likely * GIB


def context_before_share(engine: str, placement: Placement, constants: MemoryConstants) -> float:
    """Bytes of the share that are lost because it is taken of what context and collectives leave free (SGLang)."""
    if (engine, "working_outside") not in constants:
        return 0
    is_parallel = placement.tp * placement.pp > 1
    context = constants[engine, "context_parallel" if is_parallel else "context_single"]
    return constants[engine, "utilisation"].likely * context.likely * GIB
