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
from planner.domain.predict.overhead_llamacpp import DriverTerms, find_driver_terms
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Division:
    """A model's layers divided over devices, whatever they store and serve. Told apart by identity."""

    model: ModelFacts
    engine: str
    placement: Placement
    is_on_cpu: bool
    splits_layers: bool
    """Whether whole layers are dealt out; else every matrix is split over ranks."""
    spans: tuple[Span, ...]
    """Of every device that may be the worst: of one replica on equal shards, of each on uneven devices."""


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
    overhead: tuple[Constant, Constant] | DriverTerms
    """Within the engine's share of the card, and everywhere; of llama.cpp on accelerators what grows with what is
    held."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seating:
    """A division that serves a workload, before its weights. Told apart by identity."""

    division: Division
    workload: Workload
    kv_dtype: str
    constants: MemoryConstants
    extras: Extras
    sequences: int
    """At once in one replica."""
    cache_on_host: float
    """Bytes of cache that layers in host memory keep."""
    seats: tuple[Seat, ...]


def usable_bytes(device: Device, engine: str, constants: MemoryConstants) -> int:
    """Bytes of a device that an engine may fill: its share, and captured graphs where they lie outside of it."""
    share = device.available_bytes * constants[engine, "utilisation"].likely
    return int(min(device.available_bytes, share + graphs_outside(engine, device, constants)))


@lru_cache(maxsize=4096)
def divide(
    model: ModelFacts, engine: str, placement: Placement, devices: tuple[Device, ...], *, is_gguf: bool
) -> Division:
    """A model over the devices of a placement; on a processor no layer is elsewhere than in its own memory."""
    is_on_cpu = devices[0].kind == "cpu"
    if is_on_cpu:
        placement = replace(placement, offload=0)
    splits_layers = engine in LAYER_SPLIT and (placement.tp == 1 or is_gguf)
    deal = _deal_layers if splits_layers else _share_matrices
    return Division(
        model=model,
        engine=engine,
        placement=placement,
        is_on_cpu=is_on_cpu,
        splits_layers=splits_layers,
        spans=deal(model.num_layers, placement, devices),
    )


def seat_devices(
    division: Division,
    workload: Workload,
    kv_dtype: str,
    constants: MemoryConstants,
    extras: Extras = NO_EXTRAS,
) -> Seating:
    """What every device needs for a workload; with replicas, each serves its share of the concurrent sequences."""
    model, engine, placement = division.model, division.engine, division.placement
    context, sequences = workload.context_tokens, -(-workload.concurrency // placement.dp)
    rules = cache_rules(engine, constants)
    by_layer = kv_bytes_by_layer(model, kv_dtype, context, engine=engine, tp=placement.tp, rules=rules)
    per_token = kv_bytes_per_layer_token(model, kv_dtype, tp=placement.tp, rules=rules)
    drafted = context * extras.kv_bytes_per_token
    lost = int(context_before_share(engine, placement, constants))

    works = {
        (is_first, is_last): predict_activations(
            model,
            engine,
            placement,
            workload,
            sequences,
            is_first=is_first,
            is_last=is_last,
            constants=constants,
        )
        for is_first, is_last in {(span.is_opening, span.is_last) for span in division.spans}
        if engine != TRANSFORMERS
    }
    beside = {
        device: _beside(model, engine, placement, device, constants)
        for device in {span.device for span in division.spans}
    }
    seats = []
    for span in division.spans:
        device, end = span.device, span.first + span.layers
        cost = cost_of_token(
            model,
            range(span.first, end),
            by_layer=by_layer,
            per_token=per_token,
            context=context,
            sequences=sequences,
            engine=engine,
            extras=extras,
            constants=constants,
        )
        seats.append(
            Seat(
                span=span,
                kv_cache=int(
                    sequences * (sum(by_layer[span.first : end]) + drafted) / extras.context_parallel
                ),
                cost=cost,
                usable=max(0, usable_bytes(device, engine, constants) - lost),
                activation=works.get((span.is_opening, span.is_last)),
                overhead=beside[device],
            )
        )
    return Seating(
        division=division,
        workload=workload,
        kv_dtype=kv_dtype,
        constants=constants,
        extras=extras,
        sequences=sequences,
        cache_on_host=sequences * sum(by_layer[: placement.offload]),
        seats=tuple(seats),
    )


def _beside(
    model: ModelFacts, engine: str, placement: Placement, device: Device, constants: MemoryConstants
) -> tuple[Constant, Constant] | DriverTerms:
    """What a device needs beside weights, cache and activations."""
    if engine in LLAMACPP_FAMILY and device.kind != "cpu":
        return find_driver_terms(model, engine, device, is_split=placement.pp > 1, constants=constants)
    return (
        predict_overhead(engine, placement, device, constants, in_share=True),
        predict_overhead(engine, placement, device, constants),
    )


def _share_matrices(layers: int, placement: Placement, devices: tuple[Device, ...]) -> tuple[Span, ...]:
    """Pipeline stages of ranks with equal shards: the smallest device bounds them all."""
    smallest = min(devices, key=lambda device: device.available_bytes)
    counts = tuple(
        layers // placement.pp + (1 if stage < layers % placement.pp else 0) for stage in range(placement.pp)
    )
    return _line_up([smallest] * placement.pp, counts, 0, placement.tp * placement.dp)


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
