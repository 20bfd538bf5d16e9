"""Where each device of a placement sits, and what it needs there whatever the weights are stored in.

    layers       whole layers dealt out by memory (llama.cpp, transformers), or as evenly as they go (pipeline stages)
    KV cache     of the seat's layers, for the sequences of one replica (predict/kv_cache.py)
    working      activations (predict/activations.py), context and graphs (predict/overhead.py)
    usable       (total - reserved - held by others) x the engine's utilisation

A plan weighs a dozen schemes in each of a few placements: this is worked out once for each placement.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.activations import predict_activations
from planner.domain.predict.activations_transformers import ENGINE as TRANSFORMERS
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.extras import NO_EXTRAS, Extras
from planner.domain.predict.kv_cache import cache_rules, kv_bytes_by_layer, kv_bytes_per_layer_token
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY
from planner.domain.predict.overhead import context_before_share, graphs_outside, predict_overhead
from planner.domain.predict.pool import TokenCost, cost_of_token

LAYER_SPLIT = LLAMACPP_FAMILY | {TRANSFORMERS}
"""Engines that deal whole layers out to devices; the others split every matrix over ranks."""


@dataclass(frozen=True, slots=True)
class Span:
    """The layers of a model that a device holds."""

    device: Device
    first: int
    layers: int
    is_opening: bool
    """Whether it holds the first layers that are on devices, and the input embedding."""
    is_last: bool
    copies: int
    """How many devices hold the same: tensor-parallel ranks, and replicas that were not told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A span, and what its device needs beside the weights. Bytes."""

    span: Span
    kv_cache: int
    cost: TokenCost
    """What a token takes of the pool, as the engine counts it."""
    usable: int
    activation: Constant | None
    """None for transformers, whose peak depends on the weights."""
    overhead: tuple[Constant, Constant] | None
    """Within the engine's share of the card, and everywhere; None for llama.cpp on accelerators, which depends on
    what is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """A model placed on devices, before its weights."""

    model: ModelFacts
    engine: str
    placement: Placement
    workload: Workload
    kv_dtype: str
    constants: MemoryConstants
    extras: Extras
    is_on_cpu: bool
    splits_layers: bool
    """Whether whole layers are dealt out; else every matrix is split over ranks."""
    sequences: int
    """At once in one replica."""
    cache_on_host: float
    """Bytes of cache that layers in host memory keep."""
    seats: tuple[Seat, ...]


def usable_bytes(device: Device, engine: str, constants: MemoryConstants) -> int:
    """Bytes of a device that an engine may fill: its share, and captured graphs where they lie outside of it."""
    share = device.available_bytes * constants[engine, "utilisation"].likely
    return int(min(device.available_bytes, share + graphs_outside(engine, device, constants)))


def seat_devices(
    model: ModelFacts,
    *,
    engine: str,
    placement: Placement,
    devices: Sequence[Device],
    workload: Workload,
    kv_dtype: str,
    is_gguf: bool,
    constants: MemoryConstants,
    extras: Extras = NO_EXTRAS,
) -> Seating:
    """Every seat whose device may be the worst: of one replica on equal shards, of each on uneven devices.

    With replicas, each serves its share of the concurrent sequences. On a processor no layer is elsewhere than in
    its own memory.
    """
    is_on_cpu = devices[0].kind == "cpu"
    if is_on_cpu:
        placement = replace(placement, offload=0)
    splits_layers = engine in LAYER_SPLIT and (placement.tp == 1 or is_gguf)
    deal = _deal_layers if splits_layers else _share_matrices
    sequences = -(-workload.concurrency // placement.dp)
    rules = cache_rules(engine, constants)
    by_layer = kv_bytes_by_layer(
        model, kv_dtype, workload.context_tokens, engine=engine, tp=placement.tp, rules=rules
    )
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=placement.tp, rules=rules)
    seats = []
    for span in deal(model.num_layers, placement, tuple(devices)):
        held = slice(span.first, span.first + span.layers)
        kept = sum(by_layer[held])
        cost = cost_of_token(
            model,
            range(model.num_layers)[held],
            by_layer=by_layer,
            per_token=per_token,
            context=workload.context_tokens,
            sequences=sequences,
            engine=engine,
            extras=extras,
            constants=constants,
        )
        drafted = workload.context_tokens * extras.kv_bytes_per_token
        lost = int(context_before_share(engine, placement, constants))
        seats.append(
            Seat(
                span=span,
                kv_cache=int(sequences * (kept + drafted) / extras.context_parallel),
                cost=cost,
                usable=max(0, usable_bytes(span.device, engine, constants) - lost),
                activation=None
                if engine == TRANSFORMERS
                else predict_activations(
                    model,
                    engine,
                    placement,
                    workload,
                    sequences,
                    is_first=span.is_opening,
                    is_last=span.is_last,
                    constants=constants,
                ),
                overhead=None
                if engine in LLAMACPP_FAMILY and span.device.kind != "cpu"
                else (
                    predict_overhead(engine, placement, span.device, constants, in_share=True),
                    predict_overhead(engine, placement, span.device, constants),
                ),
            )
        )
    return Seating(
        model=model,
        engine=engine,
        placement=placement,
        workload=workload,
        kv_dtype=kv_dtype,
        constants=constants,
        extras=extras,
        is_on_cpu=is_on_cpu,
        splits_layers=splits_layers,
        sequences=sequences,
        cache_on_host=sequences * sum(by_layer[: placement.offload]),
        seats=tuple(seats),
    )


@lru_cache(maxsize=2048)
def _share_matrices(layers: int, placement: Placement, devices: tuple[Device, ...]) -> tuple[Span, ...]:
    """Pipeline stages of ranks with equal shards: the smallest device bounds them all."""
    smallest = min(devices, key=lambda device: device.available_bytes)
    counts = tuple(
        layers // placement.pp + (1 if stage < layers % placement.pp else 0) for stage in range(placement.pp)
    )
    return _line_up([smallest] * placement.pp, counts, 0, placement.tp * placement.dp)


@lru_cache(maxsize=2048)
def _deal_layers(layers: int, placement: Placement, devices: tuple[Device, ...]) -> tuple[Span, ...]:
    """Layers after those in host memory, dealt out by memory; replicas on equal devices once."""
    spans: tuple[Span, ...] = ()
    replicas = Counter(
        devices[replica * placement.pp : (replica + 1) * placement.pp] for replica in range(placement.dp)
    )
    for own, copies in replicas.items():
        counts = _split_by_memory(layers - placement.offload, [device.available_bytes for device in own])
        spans += _line_up(own, counts, placement.offload, copies)
    return spans


def _line_up(devices: Sequence[Device], counts: Sequence[int], first: int, copies: int) -> tuple[Span, ...]:
    spans = []
    for index, (device, layers) in enumerate(zip(devices, counts, strict=True)):
        spans.append(Span(device, first, layers, index == 0, index == len(counts) - 1, copies))
        first += layers
    return tuple(spans)


def _split_by_memory(layers: int, weights: Sequence[int]) -> list[int]:
    """Layers on each device as llama.cpp deals them out: by memory, the output counting as one layer more.

    Layer i goes to the first device whose share of all memory, added up, is above i / (layers + 1)
    (llama-model.cpp, load_tensors: upper_bound over the splits).
    """
    total = sum(weights) or 1
    ends = [sum(weights[: index + 1]) / total for index in range(len(weights))]
    counts = [0] * len(weights)
    for layer in range(layers):
        counts[min(bisect_right(ends, layer / (layers + 1)), len(weights) - 1)] += 1
    return counts
