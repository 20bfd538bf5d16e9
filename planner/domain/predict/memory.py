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

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from planner.domain.facts.engine_weights import engine_rank_bytes, is_repacked
from planner.domain.facts.gguf import GgufTables, find_dynamic
from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import StoredBytes, largest_matrix_bytes, stored_bytes
from planner.domain.facts.tensors import growing_layers
from planner.domain.predict.activations import predict_activations
from planner.domain.predict.activations_transformers import ENGINE as TRANSFORMERS
from planner.domain.predict.activations_transformers import Share
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.extras import NO_EXTRAS, Extras
from planner.domain.predict.kv_cache import (
    BLOCK_TOKENS,
    cache_rules,
    kv_bytes_by_layer,
    kv_bytes_per_layer_token,
)
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY
from planner.domain.predict.overhead import NOTHING, graphs_outside, predict_overhead
from planner.domain.predict.overhead_llamacpp import predict_driver_bytes
from planner.domain.predict.torch_allocator import as_allocated

LAYER_SPLIT = LLAMACPP_FAMILY | {TRANSFORMERS}
"""Engines that deal whole layers out to devices; the others split every matrix over ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes on the worst single device; `low` and `high` bound the total."""

    device: str
    """Label of that device."""
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
    all_devices_low_bytes: int = 0
    all_devices_high_bytes: int = 0
    host_bytes: int = 0
    """Weights and KV cache that stay in host memory: the input embedding of a GGUF file, and offloaded layers."""
    host_usable_bytes: int | None = None
    """Host memory there is for offloaded layers; None where nobody said, or no layer is offloaded."""
    activation_bounds: tuple[int, int] = (0, 0)
    overhead_bounds: tuple[int, int] = (0, 0)
    capacity_bounds: tuple[int, int] = (0, 0)

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
        is_host_enough = self.host_usable_bytes is None or self.host_bytes <= self.host_usable_bytes
        return self.total_high_bytes <= self.usable_bytes and is_host_enough


def usable_bytes(device: Device, engine: str, constants: MemoryConstants) -> int:
    """Bytes of a device that an engine may fill: its share, and captured graphs where they lie outside of it."""
    share = device.available_bytes * constants[engine, "utilisation"].likely
    return int(min(device.available_bytes, share + graphs_outside(engine, device, constants)))


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
    host_ram_bytes: int | None = None,
    extras: Extras = NO_EXTRAS,
) -> MemoryEstimate:
    """Memory of the worst device when `model` is served like this.

    A GGUF file on GPUs leaves the input embedding in host memory, as llama.cpp does, and a copy on the GPU where it
    is tied to the head; the first `placement.offload` layers stay there too, with their cache. With replicas, each
    serves its share of the concurrent sequences.
    """
    if devices[0].kind == "cpu":
        placement = replace(placement, offload=0)  # all memory is the host's
    sequences = -(-workload.concurrency // placement.dp)
    rules = cache_rules(engine, constants)
    by_layer = kv_bytes_by_layer(
        model, kv_dtype, workload.context_tokens, engine=engine, tp=placement.tp, rules=rules
    )
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=placement.tp, rules=rules)
    grows = growing_layers(model)
    constants_by_layer = [0 if grow else kept for grow, kept in zip(grows, by_layer, strict=True)]
    copied = _copied_to_compute(model, scheme, placement, gguf)
    less, more = _weights_spread(model, scheme, gguf)
    stored_on_host = _host_weights(model, scheme, engine, placement, devices, gguf)

    spare = constants[engine, "spare_caches"].high if (engine, "spare_caches") in constants else 0
    is_beside = (engine, "working_outside") in constants
    worst: MemoryEstimate | None = None
    all_devices = all_low = all_high = 0
    capacities = []
    for stage in _stages(model, scheme, group_size, engine, placement, tuple(devices), gguf):
        held = slice(stage.first, stage.first + stage.layers)
        drafted = workload.context_tokens * extras.kv_bytes_per_token
        kv_cache = int(sequences * (sum(by_layer[held]) + drafted) / extras.context_parallel)
        constant = sequences * sum(constants_by_layer[held])
        activation = predict_activations(
            model,
            engine,
            placement,
            workload,
            sequences,
            is_first=stage.first == placement.offload,
            is_last=stage.is_last,
            share=_share(model, scheme, stage, placement, sequences, workload, kv_dtype),
            constants=constants,
        )
        if stage.first == placement.offload:
            activation = _add(activation, copied)
        usable = usable_bytes(stage.device, engine, constants)
        weights = stage.weights + extras.weights_bytes
        fixed = weights + kv_cache
        if engine in LLAMACPP_FAMILY and stage.device.kind != "cpu":
            everything = overhead = predict_driver_bytes(
                model,
                engine,
                stage.device,
                is_split=placement.pp > 1,
                held_bytes=fixed,
                embedding_bytes=stored_on_host if stage.first == 0 else 0,
                constants=constants,
            )
        else:
            overhead = predict_overhead(engine, placement, stage.device, constants, in_share=True)
            everything = predict_overhead(engine, placement, stage.device, constants)
        growth = (per_token * sum(grows[held]) + extras.kv_bytes_per_token) / extras.context_parallel
        working = _add(activation, overhead)
        if growth:
            counted = NOTHING if is_beside else working
            capacities.append(_tokens_in(usable - weights - constant, counted, growth, engine))
        if is_beside:
            usable = min(stage.device.available_bytes, usable + int(working.high))
        estimate = MemoryEstimate(
            device=stage.device.label,
            weights_bytes=weights,
            kv_cache_bytes=kv_cache,
            activation_bytes=int(activation.likely),
            overhead_bytes=int(overhead.likely),
            total_low_bytes=int(fixed - stage.weights * less + working.low),
            total_high_bytes=int(fixed + spare * kv_cache + stage.weights * more + working.high),
            usable_bytes=usable,
            kv_capacity_tokens=0,
            all_devices_bytes=0,
            activation_bounds=(int(activation.low), int(activation.high)),
            overhead_bounds=(int(everything.low), int(everything.high)),
        )
        all_devices += (fixed + int(activation.likely)) * stage.copies
        all_low += int(fixed - stage.weights * less + activation.low) * stage.copies
        all_high += int(fixed + stage.weights * more + activation.high) * stage.copies
        if worst is None or estimate.usable_bytes - estimate.total_high_bytes < (
            worst.usable_bytes - worst.total_high_bytes
        ):
            worst = estimate
    assert worst is not None, "a placement has at least one stage"
    # Where no layer grows with the context, only the model's own maximum bounds a sequence.
    longest = model.max_position * sequences
    low, likely, high = map(min, zip(*capacities, strict=True)) if capacities else (longest,) * 3
    cache_on_host = sequences * sum(by_layer[: placement.offload])
    return replace(
        worst,
        kv_capacity_tokens=likely,
        capacity_bounds=(low, high),
        all_devices_bytes=all_devices,
        all_devices_low_bytes=all_low,
        all_devices_high_bytes=all_high,
        host_bytes=int((stored_on_host + cache_on_host) * placement.dp),
        host_usable_bytes=host_ram_bytes if placement.offload else None,
    )


def _tokens_in(free: float, working: Constant, bytes_per_token: float, engine: str) -> tuple[int, int, int]:
    """Tokens that fit in `free` bytes less what works beside them, in whole blocks: at least, likely and at most."""
    block = BLOCK_TOKENS.get(engine, 1) if engine not in LAYER_SPLIT else 1
    low, likely, high = (
        max(0, int((free - used) / bytes_per_token) // block * block)
        for used in (working.high, working.likely, working.low)
    )
    return low, likely, high


@dataclass(frozen=True, slots=True)
class _Stage:
    """What one device of a pipeline stage holds."""

    device: Device
    weights: int
    first: int
    layers: int
    is_last: bool
    copies: int
    """How many devices hold the same: tensor-parallel ranks, and replicas that were not told apart."""


@lru_cache(maxsize=8192)
def _stages(
    model: ModelFacts,
    scheme: Scheme,
    group_size: int | None,
    engine: str,
    placement: Placement,
    devices: tuple[Device, ...],
    gguf: GgufTables,
) -> tuple[_Stage, ...]:
    """Every stage whose device may be the worst: of one replica on equal shards, of each on uneven devices."""
    if engine not in LAYER_SPLIT or (placement.tp > 1 and not scheme.is_gguf_mix):
        smallest = min(devices, key=lambda device: device.available_bytes)
        stored = engine_rank_bytes(
            model,
            scheme,
            group_size,
            tp=placement.tp,
            ep=placement.ep,
            repacks=is_repacked(scheme, smallest.sm),
        )
        counts = _even_split(model.num_layers, placement.pp)
        copies = placement.tp * placement.dp
        return tuple(_fill(model, stored, [smallest] * placement.pp, counts, copies, host_embedding=False))
    stored = stored_bytes(model, scheme, group_size, gguf)
    if engine == TRANSFORMERS and devices[0].kind != "cpu":
        stored = as_allocated(stored, model, scheme)
    stages = []
    replicas = Counter(
        devices[replica * placement.pp : (replica + 1) * placement.pp] for replica in range(placement.dp)
    )
    for own, copies in replicas.items():
        on_devices = model.num_layers - placement.offload
        counts = _split_by_memory(on_devices, tuple(device.available_bytes for device in own))
        host_embedding = engine in LLAMACPP_FAMILY and own[0].kind != "cpu"
        stages += _fill(
            model, stored, own, counts, copies, first=placement.offload, host_embedding=host_embedding
        )
    return tuple(stages)


def _share(
    model: ModelFacts,
    scheme: Scheme,
    stage: _Stage,
    placement: Placement,
    sequences: int,
    workload: Workload,
    kv_dtype: str,
) -> Share:
    return Share(
        model=model,
        scheme=scheme,
        device=stage.device,
        first=stage.first,
        layers=stage.layers,
        is_first=stage.first == 0,
        is_last=stage.is_last,
        devices=placement.pp,
        sequences=sequences,
        context_tokens=workload.context_tokens,
        kv_dtype=kv_dtype,
    )


def _host_weights(
    model: ModelFacts,
    scheme: Scheme,
    engine: str,
    placement: Placement,
    devices: Sequence[Device],
    gguf: GgufTables,
) -> int:
    """Bytes of the tensors that one replica leaves in host memory."""
    if engine not in LLAMACPP_FAMILY or devices[0].kind == "cpu":
        return 0
    stored = stored_bytes(model, scheme, None, gguf)
    return stored.embedding + sum(stored.by_layer[: placement.offload])


def _copied_to_compute(model: ModelFacts, scheme: Scheme, placement: Placement, gguf: GgufTables) -> Constant:
    """Room for the largest matrix of the layers in host memory: a prompt's products copy it to the first device.

    ggml does so for batches of 32 tokens and more (ggml_backend_offload_op); a decoding step leaves it on the CPU.
    """
    if not placement.offload or not scheme.is_gguf_mix:
        return Constant(0, 0, 0, "no layer of a GGUF file in host memory")
    largest = largest_matrix_bytes(model, scheme, placement.offload, gguf)
    return Constant(0, largest, largest, "the largest matrix in host memory")


def _weights_spread(model: ModelFacts, scheme: Scheme, gguf: GgufTables) -> tuple[float, float]:
    """Shares by which the weights may be less or more: none but for a publisher's own GGUF mix."""
    mix = find_dynamic(model, scheme.name, gguf) if scheme.is_gguf_mix else None
    return (1 - mix.low / mix.likely, mix.high / mix.likely - 1) if mix else (0.0, 0.0)


def _add(one: Constant, other: Constant) -> Constant:
    return Constant(one.low + other.low, one.likely + other.likely, one.high + other.high, one.source)


def _fill(
    model: ModelFacts,
    stored: StoredBytes,
    devices: Sequence[Device],
    counts: Sequence[int],
    copies: int,
    *,
    first: int = 0,
    host_embedding: bool,
) -> list[_Stage]:
    """Stages of one replica from layer `first` on: the embedding on the first device, the head on the last."""
    stages = []
    for index, (device, layers) in enumerate(zip(devices, counts, strict=True)):
        is_last = index == len(counts) - 1
        weights = sum(stored.by_layer[first : first + layers])
        if index == 0 and not host_embedding:
            weights += stored.embedding + stored.lookup
        if is_last:
            tied = model.tie_embeddings and (index > 0 or host_embedding)
            weights += stored.other + (stored.embedding if tied else stored.head)
        stages.append(_Stage(device, weights, first, layers, is_last, copies))
        first += layers
    return stages


def _even_split(layers: int, parts: int) -> tuple[int, ...]:
    return tuple(layers // parts + (1 if index < layers % parts else 0) for index in range(parts))


@lru_cache(maxsize=1024)
def _split_by_memory(layers: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Layers on each device as llama.cpp deals them out: by memory, the output counting as one layer more.

    Layer i goes to the first device whose share of all memory, added up, is above i / (layers + 1)
    (llama-model.cpp, load_tensors: upper_bound over the splits).
    """
    total = sum(weights) or 1
    ends = [sum(weights[: index + 1]) / total for index in range(len(weights))]
    counts = [0] * len(weights)
    for layer in range(layers):
        counts[min(bisect_right(ends, layer / (layers + 1)), len(weights) - 1)] += 1
    return tuple(counts)
