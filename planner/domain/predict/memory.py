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
from typing import NamedTuple

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
from planner.domain.predict.overhead_llamacpp import DriverTerms
from planner.domain.predict.pool import tokens_in
from planner.domain.predict.seats import Division, Seat, Seating, Span

SHARE_BESIDE_SYSTEM = 0.9
"""Assumed: what an operating system leaves of unified memory to a model's device and host parts together."""


class MemoryEstimate(NamedTuple):
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """A model's weights in one scheme as they lie on the devices of a division. Bytes; told apart by identity."""

    scheme: Scheme
    by_span: tuple[int, ...]
    on_host: int
    """Of the tensors that one replica leaves in host memory."""
    copied: int
    """Of the largest matrix in host memory, which a prompt's products copy to the first device.

    ggml does so for batches of 32 tokens and more (ggml_backend_offload_op); a decoding step leaves it on the CPU.
    """
    less: float
    """Share by which they may be less: none but for a publisher's own GGUF mix."""
    more: float


@lru_cache(maxsize=16384)
def weigh(division: Division, scheme: Scheme, group_size: int | None, gguf: GgufTables) -> Weights:
    """What the devices of a division, and its host, hold of a scheme's weights."""
    model, offload = division.model, division.placement.offload
    mix = find_dynamic(model, scheme.name, gguf) if scheme.is_gguf_mix else None
    return Weights(
        scheme=scheme,
        by_span=_weights_by_span(division, scheme, group_size, gguf),
        on_host=_host_weights(division, scheme, gguf),
        copied=largest_matrix_bytes(model, scheme, offload, gguf) if offload and scheme.is_gguf_mix else 0,
        less=1 - mix.low / mix.likely if mix else 0.0,
        more=mix.high / mix.likely - 1 if mix else 0.0,
    )


def predict_memory(
    seating: Seating, weights: Weights, *, host_ram_bytes: int | None = None
) -> MemoryEstimate:
    """Memory of the worst device when the model sits like this.

    A GGUF file on GPUs leaves the input embedding in host memory, as llama.cpp does, and a copy on the GPU where it
    is tied to the head; the first `placement.offload` layers stay there too, with their cache.
    """
    division, constants = seating.division, seating.constants
    engine = division.engine
    spare_caches = constants.get((engine, "spare_caches"))
    spare = spare_caches.high if spare_caches else 0
    is_beside = (engine, "working_outside") in constants
    less, more, beside = weights.less, weights.more, seating.extras.weights_bytes

    worst: tuple[Seat, int, Constant, Constant, Constant, int, int, int] | None = None
    most_over = 0
    all_devices = all_low = all_high = 0
    capacities = []
    for seat, stored in zip(seating.seats, weights.by_span, strict=True):
        held = stored + beside
        activation = _activation(seating, seat, weights)
        in_share, everywhere = _overhead(seat, held, weights.on_host)
        working_low, working_high = activation.low + in_share.low, activation.high + in_share.high
        fixed = held + seat.kv_cache
        usable = seat.usable
        if seat.cost.bytes_per_token:
            working = (working_low, activation.likely + in_share.likely, working_high)
            counted = (0.0, 0.0, 0.0) if is_beside else working
            capacities.append(tokens_in(usable - held, counted, seat.cost, engine))
        if is_beside:
            usable = min(seat.span.device.available_bytes, usable + int(working_high))
        lightest, heaviest = fixed - stored * less, fixed + stored * more
        low, high = int(lightest + working_low), int(heaviest + spare * seat.kv_cache + working_high)
        if worst is None or high - usable > most_over:
            most_over = high - usable
            worst = (seat, held, activation, in_share, everywhere, usable, low, high)
        copies = seat.span.copies
        all_devices += (fixed + int(activation.likely)) * copies
        all_low += int(lightest + activation.low) * copies
        all_high += int(heaviest + activation.high) * copies
    assert worst is not None, "a placement has at least one stage"
    seat, held, activation, in_share, everywhere, usable, low, high = worst
    # Where no layer grows with the context, only the model's own maximum bounds a sequence.
    longest = division.model.max_position * seating.sequences
    fewest, likely, most = map(min, zip(*capacities, strict=True)) if capacities else (longest,) * 3
    opening, placement = seating.seats[0].span.device, division.placement
    return MemoryEstimate(
        device=seat.span.device.label,
        weights_bytes=held,
        kv_cache_bytes=seat.kv_cache,
        activation_bytes=int(activation.likely),
        overhead_bytes=int(in_share.likely),
        total_low_bytes=low,
        total_high_bytes=high,
        usable_bytes=usable,
        kv_capacity_tokens=likely,
        capacity_bounds=(fewest, most),
        all_devices_bytes=all_devices,
        all_devices_low_bytes=all_low,
        all_devices_high_bytes=all_high,
        host_bytes=int((weights.on_host + seating.cache_on_host) * placement.dp),
        host_usable_bytes=_host_usable(opening, high, host_ram_bytes) if placement.offload else None,
        activation_bounds=(int(activation.low), int(activation.high)),
        overhead_bounds=(int(everywhere.low), int(everywhere.high)),
    )


def _host_usable(device: Device, on_device: int, host_ram_bytes: int | None) -> int | None:
    """Host memory for offloaded layers; where memory is unified, what the device's own part leaves of it."""
    if device.kind != "unified":
        return host_ram_bytes
    return max(0, int(device.total_bytes * SHARE_BESIDE_SYSTEM) - on_device)


def _activation(seating: Seating, seat: Seat, weights: Weights) -> Constant:
    activation = seat.activation or predict_torch_peak(
        _share(seating, seat.span, weights.scheme), seating.constants
    )
    if not weights.copied or not seat.span.is_opening:
        return activation
    return activation._replace(
        likely=activation.likely + weights.copied, high=activation.high + weights.copied
    )


def _overhead(seat: Seat, held: int, on_host: int) -> tuple[Constant, Constant]:
    """Within the engine's share, and everywhere; of llama.cpp on accelerators all of it is in its share."""
    if not isinstance(seat.overhead, DriverTerms):
        return seat.overhead
    driver = seat.overhead.add_up(held + seat.kv_cache, on_host if seat.span.first == 0 else 0)
    return driver, driver


def _weights_by_span(
    division: Division, scheme: Scheme, group_size: int | None, gguf: GgufTables
) -> tuple[int, ...]:
    """Bytes on each span's device: the embedding with the opening layers, last norm and head with the last."""
    model, place, spans = division.model, division.placement, division.spans
    if division.splits_layers:
        stored = stored_bytes(model, scheme, group_size, gguf)
        if division.engine == TRANSFORMERS and not division.is_on_cpu:
            stored = as_allocated(stored, model, scheme)
    else:
        repacks = is_repacked(scheme, spans[0].device.sm)  # a rank's spans are all on the smallest device
        stored = engine_rank_bytes(model, scheme, group_size, tp=place.tp, ep=place.ep, repacks=repacks)
    is_on_host = division.splits_layers and division.engine in LLAMACPP_FAMILY and not division.is_on_cpu
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
        model=seating.division.model,
        scheme=scheme,
        device=span.device,
        first=span.first,
        layers=span.layers,
        is_first=span.first == 0,
        is_last=span.is_last,
        devices=seating.division.placement.pp,
        sequences=seating.sequences,
        context_tokens=seating.workload.context_tokens,
        kv_dtype=seating.kv_dtype,
    )


def _host_weights(division: Division, scheme: Scheme, gguf: GgufTables) -> int:
    """Bytes of the tensors that one replica leaves in host memory."""
    if division.engine not in LLAMACPP_FAMILY or division.is_on_cpu:
        return 0
    stored = stored_bytes(division.model, scheme, None, gguf)
    return stored.embedding + sum(stored.by_layer[: division.placement.offload])
