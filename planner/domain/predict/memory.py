"""What a device will hold: weights + KV cache + activations + overhead, against what is usable.

    weights      exact, from the tensor layout, the scheme's storage and the split (facts/storage.py)
    KV cache     by layer and engine (predict/kv_cache.py)
    activations  by engine (predict/activations.py)
    overhead     CUDA context, communication buffers, captured graphs
    usable       (total - reserved - held by others) x the engine's utilisation

All but the weights stand for a placement whatever its scheme: predict/seats.py.
The first two are arithmetic. The constants of the last two stand in `data/engine_memory.csv` with low, likely
and high values; the interval of the total is their sum. Known error: activations and overhead are not fitted
yet, which is what the width of the interval says.
"""

from dataclasses import dataclass
from functools import lru_cache

from planner.domain.facts.engine_weights import engine_rank_bytes, is_repacked
from planner.domain.facts.gguf import GgufTables, find_dynamic
from planner.domain.facts.hardware import Device
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import StoredBytes, largest_matrix_bytes, stored_bytes
from planner.domain.facts.torch_allocator import as_allocated
from planner.domain.predict.activations_transformers import ENGINE as TRANSFORMERS
from planner.domain.predict.activations_transformers import Share, predict_torch_peak
from planner.domain.predict.constants import Constant
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY
from planner.domain.predict.overhead import NOTHING
from planner.domain.predict.overhead_llamacpp import predict_driver_bytes
from planner.domain.predict.pool import tokens_in
from planner.domain.predict.seats import Seat, Seating, Span

SHARE_BESIDE_SYSTEM = 0.9
"""Assumed: what an operating system leaves of unified memory to a model's device and host parts together."""


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


@dataclass(frozen=True, slots=True)
class _Needs:
    """What one seat's device needs once the weights are known. Bytes."""

    weights: int
    activation: Constant
    overhead: Constant
    everything: Constant
    """Overhead that the driver counts, inside the engine's share or not."""


@dataclass(frozen=True, slots=True)
class _Filled:
    """A seat with its needs, and the low and high end of what they add up to. Bytes."""

    seat: Seat
    needs: _Needs
    usable: int
    low: int
    high: int


def predict_memory(
    seating: Seating,
    scheme: Scheme,
    group_size: int | None,
    *,
    gguf: GgufTables,
    host_ram_bytes: int | None = None,
) -> MemoryEstimate:
    """Memory of the worst device when the model sits like this in a scheme.

    A GGUF file on GPUs leaves the input embedding in host memory, as llama.cpp does, and a copy on the GPU where it
    is tied to the head; the first `placement.offload` layers stay there too, with their cache.
    """
    model, placement, constants = seating.model, seating.placement, seating.constants
    less, more = _weights_spread(model, scheme, gguf)
    stored_on_host = _host_weights(seating, scheme, gguf)
    spare_caches = constants.get((seating.engine, "spare_caches"))
    spare = spare_caches.high if spare_caches else 0
    is_beside = (seating.engine, "working_outside") in constants
    spans = tuple(seat.span for seat in seating.seats)
    by_seat = _weights_by_seat(seating.model, scheme, group_size, _Split.of(seating), spans, gguf)

    worst: _Filled | None = None
    all_devices = all_low = all_high = 0
    capacities = []
    for seat, weights in zip(seating.seats, by_seat, strict=True):
        needs = _needs(seating, seat, weights, scheme, stored_on_host, gguf)
        activation, working = needs.activation, _add(needs.activation, needs.overhead)
        fixed = needs.weights + seat.kv_cache
        usable = seat.usable
        if seat.cost.bytes_per_token:
            counted = NOTHING if is_beside else working
            capacities.append(tokens_in(usable - needs.weights, counted, seat.cost, seating.engine))
        if is_beside:
            usable = min(seat.span.device.available_bytes, usable + int(working.high))
        low = int(fixed - weights * less + working.low)
        high = int(fixed + spare * seat.kv_cache + weights * more + working.high)
        if worst is None or usable - high < worst.usable - worst.high:
            worst = _Filled(seat, needs, usable, low, high)
        copies = seat.span.copies
        all_devices += (fixed + int(activation.likely)) * copies
        all_low += int(fixed - weights * less + activation.low) * copies
        all_high += int(fixed + weights * more + activation.high) * copies
    assert worst is not None, "a placement has at least one stage"
    # Where no layer grows with the context, only the model's own maximum bounds a sequence.
    longest = model.max_position * seating.sequences
    fewest, likely, most = map(min, zip(*capacities, strict=True)) if capacities else (longest,) * 3
    opening = seating.seats[0].span.device
    needs = worst.needs
    return MemoryEstimate(
        device=worst.seat.span.device.label,
        weights_bytes=needs.weights,
        kv_cache_bytes=worst.seat.kv_cache,
        activation_bytes=int(needs.activation.likely),
        overhead_bytes=int(needs.overhead.likely),
        total_low_bytes=worst.low,
        total_high_bytes=worst.high,
        usable_bytes=worst.usable,
        kv_capacity_tokens=likely,
        capacity_bounds=(fewest, most),
        all_devices_bytes=all_devices,
        all_devices_low_bytes=all_low,
        all_devices_high_bytes=all_high,
        host_bytes=int((stored_on_host + seating.cache_on_host) * placement.dp),
        host_usable_bytes=_host_usable(opening, worst.high, host_ram_bytes) if placement.offload else None,
        activation_bounds=(int(needs.activation.low), int(needs.activation.high)),
        overhead_bounds=(int(needs.everything.low), int(needs.everything.high)),
    )


def _host_usable(device: Device, on_device: int, host_ram_bytes: int | None) -> int | None:
    """Host memory for offloaded layers; where memory is unified, what the device's own part leaves of it."""
    if device.kind != "unified":
        return host_ram_bytes
    return max(0, int(device.total_bytes * SHARE_BESIDE_SYSTEM) - on_device)


def _needs(
    seating: Seating, seat: Seat, weights: int, scheme: Scheme, stored_on_host: int, gguf: GgufTables
) -> _Needs:
    span = seat.span
    activation = seat.activation or predict_torch_peak(_share(seating, span, scheme), seating.constants)
    if span.is_opening and seating.placement.offload and scheme.is_gguf_mix:
        activation = _add(activation, _copied_to_compute(seating, scheme, gguf))
    held = weights + seating.extras.weights_bytes
    if seat.overhead is not None:
        return _Needs(held, activation, *seat.overhead)
    driver = predict_driver_bytes(
        seating.model,
        seating.engine,
        span.device,
        is_split=seating.placement.pp > 1,
        held_bytes=held + seat.kv_cache,
        embedding_bytes=stored_on_host if span.first == 0 else 0,
        constants=seating.constants,
    )
    return _Needs(held, activation, driver, driver)


@dataclass(frozen=True, slots=True)
class _Split:
    """What of a seating decides how stored bytes fall on its seats."""

    engine: str
    tp: int
    ep: int
    splits_layers: bool
    is_on_cpu: bool

    @classmethod
    def of(cls, seating: Seating) -> "_Split":
        """The split of a seating."""
        placement = seating.placement
        return cls(seating.engine, placement.tp, placement.ep, seating.splits_layers, seating.is_on_cpu)


@lru_cache(maxsize=8192)
def _weights_by_seat(
    model: ModelFacts,
    scheme: Scheme,
    group_size: int | None,
    split: _Split,
    spans: tuple[Span, ...],
    gguf: GgufTables,
) -> tuple[int, ...]:
    """Bytes on each seat's device: the embedding with the opening layers, last norm and head with the last."""
    if split.splits_layers:
        stored = stored_bytes(model, scheme, group_size, gguf)
        if split.engine == TRANSFORMERS and not split.is_on_cpu:
            stored = as_allocated(stored, model, scheme)
    else:
        repacks = is_repacked(scheme, spans[0].device.sm)  # a rank's spans are all on the smallest device
        stored = engine_rank_bytes(model, scheme, group_size, tp=split.tp, ep=split.ep, repacks=repacks)
    is_on_host = split.splits_layers and split.engine in LLAMACPP_FAMILY and not split.is_on_cpu
    return tuple(_span_bytes(model, stored, span, is_embedding_on_host=is_on_host) for span in spans)


def _span_bytes(model: ModelFacts, stored: StoredBytes, span: Span, *, is_embedding_on_host: bool) -> int:
    weights = sum(stored.by_layer[span.first : span.first + span.layers])
    if span.is_opening and not is_embedding_on_host:
        weights += stored.embedding + stored.lookup
    if span.is_last:
        is_copied = model.tie_embeddings and (is_embedding_on_host or not span.is_opening)
        weights += stored.other + (stored.embedding if is_copied else stored.head)
    return weights


def _share(seating: Seating, span: Span, scheme: Scheme) -> Share:
    return Share(
        model=seating.model,
        scheme=scheme,
        device=span.device,
        first=span.first,
        layers=span.layers,
        is_first=span.first == 0,
        is_last=span.is_last,
        devices=seating.placement.pp,
        sequences=seating.sequences,
        context_tokens=seating.workload.context_tokens,
        kv_dtype=seating.kv_dtype,
    )


def _host_weights(seating: Seating, scheme: Scheme, gguf: GgufTables) -> int:
    """Bytes of the tensors that one replica leaves in host memory."""
    if seating.engine not in LLAMACPP_FAMILY or seating.is_on_cpu:
        return 0
    stored = stored_bytes(seating.model, scheme, None, gguf)
    return stored.embedding + sum(stored.by_layer[: seating.placement.offload])


def _copied_to_compute(seating: Seating, scheme: Scheme, gguf: GgufTables) -> Constant:
    """Room for the largest matrix of the layers in host memory: a prompt's products copy it to the first device.

    ggml does so for batches of 32 tokens and more (ggml_backend_offload_op); a decoding step leaves it on the CPU.
    """
    largest = largest_matrix_bytes(seating.model, scheme, seating.placement.offload, gguf)
    return Constant(0, largest, largest, "the largest matrix in host memory")


def _weights_spread(model: ModelFacts, scheme: Scheme, gguf: GgufTables) -> tuple[float, float]:
    """Shares by which the weights may be less or more: none but for a publisher's own GGUF mix."""
    mix = find_dynamic(model, scheme.name, gguf) if scheme.is_gguf_mix else None
    return (1 - mix.low / mix.likely, mix.high / mix.likely - 1) if mix else (0.0, 0.0)


def _add(one: Constant, other: Constant) -> Constant:
    return Constant(one.low + other.low, one.likely + other.likely, one.high + other.high, one.source)
