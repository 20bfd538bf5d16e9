"""What a device will hold: weights + KV cache + activations + overhead, against what is usable.

    weights      exact, from the tensor layout, the scheme's storage and the split (facts/storage.py)
    KV cache     by layer and engine (predict/kv_cache.py)
    activations  by engine (predict/activations.py)
    overhead     CUDA context, communication buffers, captured graphs
    usable       (total - reserved - held by others) x the engine's utilisation

The first two are arithmetic. The constants of the last two stand in `data/engine_memory.csv` with low, likely
and high values; the interval of the total is their sum. Known error: activations and overhead are not fitted
yet, which is what the width of the interval says.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from planner.domain.facts.gguf import GgufTables
from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import rank_bytes, stored_bytes
from planner.domain.facts.tensors import full_layers
from planner.domain.predict.activations import predict_activations
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.kv_cache import kv_bytes_by_layer, kv_bytes_per_layer_token
from planner.domain.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes on the worst single device; `low` and `high` bound the total."""

    weights_bytes: int
    kv_cache_bytes: int
    activation_bytes: int
    overhead_bytes: int
    total_low_bytes: int
    total_high_bytes: int
    usable_bytes: int
    kv_capacity_tokens: int
    """Tokens that fit in what is left after everything but the KV cache, over one replica."""
    all_devices_bytes: int
    """Weights, KV cache and activations summed over all devices."""

    @property
    def total_bytes(self) -> int:
        """Likely total on the worst device."""
        return self.weights_bytes + self.kv_cache_bytes + self.activation_bytes + self.overhead_bytes

    @property
    def headroom_bytes(self) -> int:
        """Usable less likely total; negative when it does not fit."""
        return self.usable_bytes - self.total_bytes

    @property
    def headroom_at_worst(self) -> float:
        """Share of usable memory left at the high end of the interval."""
        return (self.usable_bytes - self.total_high_bytes) / self.usable_bytes if self.usable_bytes else -1.0

    @property
    def fits(self) -> bool:
        """Whether even the high end of the interval is within what is usable: when unsure, no."""
        return self.total_high_bytes <= self.usable_bytes


def usable_bytes(device: Device, engine: str, constants: MemoryConstants) -> int:
    """Bytes of a device that an engine may fill."""
    return int(device.available_bytes * constants[engine, "utilisation"].likely)


def predict_memory(
    model: ModelFacts,
    scheme: Scheme,
    group_size: int | None,
    *,
    engine: str,
    placement: Placement,
    devices: Sequence[Device],
    workload: Workload,
    kv_dtype: str,
    gguf: GgufTables,
    constants: MemoryConstants,
) -> MemoryEstimate:
    """Memory of the worst device when `model` is served like this.

    A GGUF file on GPUs leaves the input embedding in host memory unless it is tied to the head, as llama.cpp
    does. With replicas, each serves its share of the concurrent sequences.
    """
    stages = _stages(model, scheme, group_size, engine, placement, devices, gguf)
    sequences = -(-workload.concurrency // placement.dp)
    by_layer = kv_bytes_by_layer(model, kv_dtype, workload.context_tokens, engine=engine, tp=placement.tp)
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=placement.tp)
    growing = set(full_layers(model))

    worst: MemoryEstimate | None = None
    all_devices = 0
    replica_capacity: int | None = None
    for stage in stages:
        held = range(stage.first, stage.first + stage.layers)
        kv_cache = int(sequences * sum(by_layer[layer] for layer in held))
        constant = sequences * sum(by_layer[layer] for layer in held if layer not in growing)
        activation = predict_activations(
            model, engine, placement, workload, sequences, is_last=stage.is_last, constants=constants
        )
        overhead = _overhead_bytes(engine, placement, stage.device, constants)
        usable = usable_bytes(stage.device, engine, constants)
        fixed = stage.weights + kv_cache
        free_for_kv = usable - stage.weights - activation.likely - overhead.likely - constant
        growth = per_token * sum(1 for layer in held if layer in growing)
        capacity = max(0, int(free_for_kv / growth)) if growth else 0
        replica_capacity = capacity if replica_capacity is None else min(replica_capacity, capacity)
        estimate = MemoryEstimate(
            weights_bytes=stage.weights,
            kv_cache_bytes=kv_cache,
            activation_bytes=int(activation.likely),
            overhead_bytes=int(overhead.likely),
            total_low_bytes=int(fixed + activation.low + overhead.low),
            total_high_bytes=int(fixed + activation.high + overhead.high),
            usable_bytes=usable,
            kv_capacity_tokens=0,
            all_devices_bytes=0,
        )
        all_devices += (fixed + int(activation.likely)) * placement.tp * placement.dp
        if worst is None or estimate.usable_bytes - estimate.total_high_bytes < (
            worst.usable_bytes - worst.total_high_bytes
        ):
            worst = estimate
    assert worst is not None, "a placement has at least one stage"
    return replace(worst, kv_capacity_tokens=replica_capacity or 0, all_devices_bytes=all_devices)


@dataclass(frozen=True, slots=True)
class _Stage:
    """What one device of a pipeline stage holds."""

    device: Device
    weights: int
    first: int
    layers: int
    is_last: bool


def _stages(
    model: ModelFacts,
    scheme: Scheme,
    group_size: int | None,
    engine: str,
    placement: Placement,
    devices: Sequence[Device],
    gguf: GgufTables,
) -> list[_Stage]:
    if engine == "vllm":
        stored = rank_bytes(model, scheme, group_size, tp=placement.tp)
        smallest = min(devices, key=lambda device: device.available_bytes)
        counts = _even_split(model.num_layers, placement.pp)
        stage_devices: Sequence[Device] = [smallest] * placement.pp
    else:
        stored = stored_bytes(model, scheme, group_size, gguf)
        stage_devices = devices[: placement.pp]
        counts = _proportional_split(model.num_layers, [device.available_bytes for device in stage_devices])
    host_embedding = engine == "llama.cpp" and stage_devices[0].kind == "gpu"
    stages = []
    first = 0
    for index, (device, layers) in enumerate(zip(stage_devices, counts, strict=True)):
        is_last = index == len(counts) - 1
        weights = sum(stored.by_layer[first : first + layers])
        if index == 0 and not host_embedding:
            weights += stored.embedding
        if is_last:
            tied = model.tie_embeddings and (index > 0 or host_embedding)
            weights += stored.other + (stored.embedding if tied else stored.head)
        stages.append(_Stage(device, weights, first, layers, is_last))
        first += layers
    return stages


def _overhead_bytes(
    engine: str, placement: Placement, device: Device, constants: MemoryConstants
) -> Constant:
    if device.kind == "cpu":
        return Constant(0.05 * GIB, 0.15 * GIB, 0.4 * GIB, "resident code and buffers of a server process")
    context = constants[engine, "context_parallel" if placement.tp * placement.pp > 1 else "context_single"]
    graphs = constants[engine, "graphs"]
    return Constant(
        (context.low + graphs.low) * GIB,
        (context.likely + graphs.likely) * GIB,
        (context.high + graphs.high) * GIB,
        context.source,
    )


def _even_split(layers: int, parts: int) -> list[int]:
    return [layers // parts + (1 if index < layers % parts else 0) for index in range(parts)]


def _proportional_split(layers: int, weights: Sequence[int]) -> list[int]:
    total = sum(weights) or 1
    counts = [layers * weight // total for weight in weights]
    for index in range(layers - sum(counts)):
        counts[index % len(counts)] += 1
    return counts
