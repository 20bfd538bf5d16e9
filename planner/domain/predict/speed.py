"""How fast it will serve: a roofline scaled by the share of peak that the engine was measured to reach.

    decode      a token reads the rank's weights and the sequence's KV cache once:
                seconds = bytes / (bandwidth x efficiency), summed over pipeline or layer stages
    prefill     2 x parameters x tokens FLOPs over the devices that compute at once
    talk        ranks of tensor parallel wait for each other in every layer (predict/links.py)
    all users   one read of the weights serves every sequence of the batch; KV is read for each

Efficiencies are quantiles (5, 50, 95 %) of measured figures of the same engine: this home's own on the same kind
of device with a model of about the same size, else published ones on the same device where there are enough,
else on any. Without bandwidth or figures the answer is None. Left out: speculative decoding, prefix
cache hits, queueing. Known error: see the interval; it is the spread of the measurements.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from planner.domain.facts.evidence import Efficiency, EvidenceBase, size_class
from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.predict.links import Exchange

MIN_FIGURES = 5
NARROWEST = 1.05
"""No interval is narrower than this factor either way: reruns of one configuration agree better than machines do."""
FEW_FIGURES_SPREAD = 1.5
"""Fewer figures than that (this machine's own first runs) say little about their spread: half either way, which is
what reruns on a busy machine were seen to differ by."""
CPU_DIVISORS = (4.0, 2.0, 1.0)
"""A guess: published shares are nearly all from GPUs and Macs, and CPUs here reached a fifth to a third of them with
a small model. Low, likely and high are divided by these until this home has measured its own."""
NO_EXCHANGE = Exchange()
WIDTH_CENTRES: Mapping[str, float] = {"4 bits": 4.5, "8 bits": 8.25, "16 bits": 16.0}
"""Stored bits that stand for each class of weight widths in the evidence."""
HOST_BYTES_PER_S = 51.2e9
"""Assumed of a host that nobody described: two channels of DDR4-3200 (JESD79-4: 25.6 GB/s each)."""
BUS_BYTES_PER_S = 12e9
"""Assumed likewise: PCIe 3.0 x16 less its protocol."""


class SpeedPrediction(NamedTuple):
    """Tokens a second and milliseconds; None where nothing is known."""

    decode_tokens_per_s: float | None
    """One user's stream while the workload's concurrency is served."""
    decode_low: float | None
    decode_high: float | None
    total_tokens_per_s: float | None
    """Output of all users together."""
    decode_at_start: tuple[float, float, float] | None
    """One user alone with an empty cache, tokens a second: low, likely, high. What an evaluation measures."""
    prefill_tokens_per_s: float | None
    ttft_ms: float | None
    itl_ms: float | None
    n_measurements: int
    sources: tuple[str, ...]
    basis: str


def predict_speed(
    *,
    engine: str,
    placement: Placement,
    device: Device,
    workload: Workload,
    weights_bytes_read: int,
    kv_bytes_read: float,
    params: float,
    params_total: float,
    weight_bits: float,
    evidence: EvidenceBase,
    exchange: Exchange = NO_EXCHANGE,
) -> SpeedPrediction:
    """Speed of one candidate.

    Args:
        engine: what serves it.
        placement: its split.
        device: the slowest device of the target.
        workload: context, concurrency, mix.
        weights_bytes_read: bytes of weights that one token reads, whole model (embedding rows left out).
        kv_bytes_read: bytes of KV cache that one sequence has read on one rank, all layers, at `held_tokens`.
        params: parameters that one token computes with.
        params_total: parameters of the whole model.
        weight_bits: stored bits of a weight, for kernels of different widths reach different shares.
        evidence: measured efficiencies.
        exchange: what ranks spend on talking to each other, beside what the roofline counts.
    """
    decode = find_efficiency(evidence, engine, device, "decode", weight_bits, params_total)
    if decode is None or not device.bandwidth_bytes_per_s:
        return SpeedPrediction(
            decode_tokens_per_s=None,
            decode_low=None,
            decode_high=None,
            total_tokens_per_s=None,
            decode_at_start=None,
            prefill_tokens_per_s=None,
            ttft_ms=None,
            itl_ms=None,
            n_measurements=0,
            sources=(),
            basis="insufficient",
        )
    sequences = max(1, -(-workload.concurrency // placement.dp))
    bytes_per_step = weights_bytes_read / placement.tp + sequences * kv_bytes_read
    peak_rate = device.bandwidth_bytes_per_s / bytes_per_step
    start_rate = device.bandwidth_bytes_per_s * placement.tp / weights_bytes_read
    talks = (exchange.step_high, exchange.step_likely, exchange.step_low)
    shares = (decode.low, decode.likely, decode.high)
    steps = [1 / (1 / (peak_rate * share) + talk) for share, talk in zip(shares, talks, strict=True)]
    starts = [1 / (1 / (start_rate * share) + talk) for share, talk in zip(shares, talks, strict=True)]
    prefill = find_efficiency(evidence, engine, device, "prefill", weight_bits, params_total)
    prefill_rate = ttft = None
    if prefill is not None and device.fp16_flops:
        computed = device.fp16_flops * placement.tp * prefill.likely / (2 * params)
        prefill_rate = 1 / (1 / computed + exchange.prompt_token)
        ttft = 1000 * workload.context_tokens * workload.prompt_share / prefill_rate
    return SpeedPrediction(
        decode_tokens_per_s=steps[1],
        decode_low=steps[0],
        decode_high=steps[2],
        total_tokens_per_s=steps[1] * workload.concurrency,
        decode_at_start=(starts[0], starts[1], starts[2]),
        prefill_tokens_per_s=prefill_rate,
        ttft_ms=ttft,
        itl_ms=1000 / steps[1],
        n_measurements=decode.count,
        sources=decode.sources,
        basis="measured" if decode.device != "*" else "prior",
    )


def beside_host(device: Device, share: float) -> Device:
    """The device as it paces decoding of a model of which a share is read from host memory, by the CPU."""
    if not share or not device.bandwidth_bytes_per_s:
        return device
    seconds_per_byte = (1 - share) / device.bandwidth_bytes_per_s + share / HOST_BYTES_PER_S
    return replace(device, bandwidth_bytes_per_s=1 / seconds_per_byte)


def copy_for_prompts(exchange: Exchange, host_bytes: int, batch_tokens: float) -> Exchange:
    """What ranks spend on talking, with the copies of host layers that each batch of a prompt asks for."""
    return replace(exchange, prompt_token=exchange.prompt_token + host_bytes / BUS_BYTES_PER_S / batch_tokens)


def held_tokens(workload: Workload) -> int:
    """Tokens in a sequence's cache halfway through its output: its prompt and half of its answer."""
    return int(workload.context_tokens * (workload.prompt_share + (1 - workload.prompt_share) / 2))


def _widen_few(found: Efficiency) -> Efficiency:
    spread = NARROWEST if found.count >= MIN_FIGURES else FEW_FIGURES_SPREAD
    return replace(
        found, low=min(found.low, found.likely / spread), high=max(found.high, found.likely * spread)
    )


def find_efficiency(
    evidence: EvidenceBase, engine: str, device: Device, metric: str, weight_bits: float, params: float
) -> Efficiency | None:
    """Share of peak at this width: this home's figures, then the device's where there are enough, then the engine's.

    Between the centres of two width classes the share runs straight from one to the other, so that a scheme
    of 6.6 bits is neither a 4-bit nor an 8-bit one. Worked out once for each question.
    """
    size = size_class(params)
    question = (engine, device.name, device.kind, metric, weight_bits, size)
    if question not in evidence.memo:
        shares = _find_efficiency(evidence, engine, device, metric, weight_bits, size)
        evidence.memo[question] = shares and _widen_few(shares)
    found: Efficiency | None = evidence.memo[question]
    return found


def _find_efficiency(
    evidence: EvidenceBase, engine: str, device: Device, metric: str, weight_bits: float, size: int
) -> Efficiency | None:
    own_needed = 1 if device.kind == "cpu" else MIN_FIGURES
    own = {
        width: evidence.own_efficiency.get((engine, device.name, metric, width, size))
        for width in WIDTH_CENTRES
    }
    pools = [(own, own_needed)]
    for name in (device.name, "*"):
        published = {width: evidence.efficiency.get((engine, name, metric, width)) for width in WIDTH_CENTRES}
        pools.append((published, MIN_FIGURES))
    for pool, needed in pools:
        known = {width: found for width, found in pool.items() if found is not None and found.count >= needed}
        if known:
            found = _between(known, weight_bits)
            return _carry_over(found, device) if found.device == "*" else found
    found_anywhere = evidence.efficiency.get((engine, "*", metric, "*"))
    if found_anywhere is None or found_anywhere.count < MIN_FIGURES:
        return None
    return _carry_over(found_anywhere, device)


def _carry_over(found: Efficiency, device: Device) -> Efficiency:
    """What other devices reached, as this kind of device is guessed to."""
    if device.kind != "cpu":
        return found
    low, likely, high = CPU_DIVISORS
    return replace(found, low=found.low / low, likely=found.likely / likely, high=found.high / high)


def _between(known: Mapping[str, Efficiency], weight_bits: float) -> Efficiency:
    below = [width for width in known if WIDTH_CENTRES[width] <= weight_bits]
    above = [width for width in known if WIDTH_CENTRES[width] > weight_bits]
    if not below or not above:
        return known[(below or above)[-1 if below else 0]]
    low, high = known[below[-1]], known[above[0]]
    start, end = WIDTH_CENTRES[below[-1]], WIDTH_CENTRES[above[0]]
    share = (weight_bits - start) / (end - start)
    return replace(
        low,
        low=low.low + share * (high.low - low.low),
        likely=low.likely + share * (high.likely - low.likely),
        high=low.high + share * (high.high - low.high),
        count=low.count + high.count,
        sources=tuple(sorted({*low.sources, *high.sources})),
    )
