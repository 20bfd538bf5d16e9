"""A decision in words and in the JSON names that others build on: why, why not, and the exact serve command."""

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from planner.domain.canonical import Form, Json, Written, canonical_json, number, quote, whole
from planner.domain.choose.candidates import Candidate
from planner.domain.choose.objective import Scored
from planner.domain.choose.serve import serve_command
from planner.domain.facts.hardware import Target
from planner.domain.facts.kernels import Finding
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request, Workload
from planner.domain.predict.job_cost import JobCost
from planner.domain.predict.memory import MemoryEstimate
from planner.domain.predict.quality import QualityPrediction
from planner.domain.predict.speed import SpeedPrediction


def describe_request(request: Request, workload: Workload) -> dict[str, Any]:
    """The request as understood, defaults filled in."""
    return {
        "text": request.text,
        "model": request.model,
        "devices": [{"count": ask.count, "words": ask.words} for ask in request.devices],
        "objective": request.objective,
        "engine": request.engine,
        "schemes": list(request.schemes),
        "kv_dtype": request.kv_dtype,
        "context": workload.context_tokens,
        "concurrency": workload.concurrency,
        "prompt_share": workload.prompt_share,
        "task": workload.task,
        "assumed": [
            name
            for name, value in (
                ("context", request.context_tokens),
                ("concurrency", request.concurrency),
                ("task", request.task),
            )
            if value is None
        ],
    }


def describe_model(model: ModelFacts, model_id: str) -> dict[str, Any]:
    """The model as planned for."""
    return {
        "id": model_id,
        "catalogue_id": model.model_id,
        "family": model.family,
        "architecture": model.architecture,
        "parameters": model.params_total,
        "max_position": model.max_position,
        "path": model.path,
        "source": model.source,
    }


def describe_target(target: Target) -> dict[str, Any]:
    """The devices as planned for."""
    return {
        "label": target.label,
        "host": target.host,
        "ram_bytes": target.ram_bytes,
        "cpu_cores": target.cpu_cores,
        "disk_free_bytes": target.disk_free_bytes,
        "devices": [
            {
                "name": device.name,
                "kind": device.kind,
                "vendor": device.vendor,
                "architecture": device.architecture,
                "compute_capability": None if device.sm is None else device.sm / 10,
                "total_bytes": device.total_bytes,
                "reserved_bytes": device.reserved_bytes,
                "held_bytes": device.held_bytes,
                "bandwidth_bytes_per_s": device.bandwidth_bytes_per_s,
                "source": device.source,
            }
            for device in target.devices
        ],
        "assumed": list(target.assumed),
    }


def describe_candidate(
    scored: Scored,
    model: ModelFacts,
    model_id: str,
    target: Target,
    workload: Workload,
    remark: str | None,
) -> Written:
    """A chosen candidate or an alternative, in the contract's names."""
    candidate, kernel = scored.candidate, scored.verdict.kernel
    form = _start(candidate, kernel and kernel.name, scored.artifact_bytes, scored.bits_per_weight)
    qualities = [
        f"{quote(prediction.benchmark)}:{describe_quality(prediction).text}"
        for prediction in sorted((scored.quality, *scored.also_quality), key=attrgetter("benchmark"))
    ]
    return Written(
        form.fill(
            memory=describe_memory(scored.memory).text,
            quality="{" + ",".join(qualities) + "}",
            speed=describe_speed(scored.speed).text,
            job=describe_job(scored.job).text,
            serve=quote(serve_command(candidate, model, model_id, target, workload)),
            why=quote(explain_choice(scored, remark)),
        )
    )


CANDIDATE = (
    *("scheme", "method", "format", "engine", "backend", "group_size", "bits_per_weight"),
    *("tp", "pp", "dp", "offload", "ep", "kv_dtype", "kernel", "artifact_bytes"),
    *("memory", "quality", "speed", "job", "serve", "why"),
)
MEMORY = Form(
    *("weights_bytes", "kv_cache_bytes", "activation_bytes", "overhead_bytes", "total_bytes", "usable_bytes"),
    *("headroom_bytes", "fits", "kv_capacity_tokens", "all_devices_bytes", "host_bytes", "intervals"),
)
MEMORY_INTERVALS = Form(
    *("activation_bytes", "overhead_bytes", "kv_capacity_tokens", "total_bytes", "all_devices_bytes")
)
SPEED = Form(
    *("decode_tokens_per_s", "decode_at_start_tokens_per_s", "prefill_tokens_per_s", "total_tokens_per_s"),
    *("ttft_ms", "itl_ms", "intervals", "n_measurements", "sources", "basis"),
)


@lru_cache(maxsize=8192)
def _start(candidate: Candidate, kernel: str | None, artifact_bytes: int, bits_per_weight: float) -> Form:
    """A candidate's form with all filled in that stands whatever the workload."""
    place, published = candidate.placement, candidate.prebuilt
    form = Form(*CANDIDATE, *(["prebuilt"] if published else []))
    if published:
        form = form.fill_some(prebuilt=canonical_json({"repo": published.repo, "note": published.note}))
    return form.fill_some(
        scheme=quote(candidate.scheme.name),
        method=quote(candidate.method),
        format=quote(candidate.scheme.format),
        engine=quote(candidate.engine),
        backend=quote(candidate.backend),
        group_size=whole(candidate.group_size),
        bits_per_weight=number(bits_per_weight),
        tp=place.tp,
        pp=place.pp,
        dp=place.dp,
        offload=place.offload,
        ep=place.ep,
        kv_dtype=quote(candidate.kv_dtype),
        kernel=quote(kernel),
        artifact_bytes=artifact_bytes,
    )


def describe_memory(memory: MemoryEstimate) -> Written:
    """Memory of the worst device, in bytes, with the interval of its total."""
    return Written(
        MEMORY.fill(
            weights_bytes=memory.weights_bytes,
            kv_cache_bytes=memory.kv_cache_bytes,
            activation_bytes=memory.activation_bytes,
            overhead_bytes=memory.overhead_bytes,
            total_bytes=memory.total_bytes,
            usable_bytes=memory.usable_bytes,
            headroom_bytes=memory.headroom_bytes,
            fits="true" if memory.fits else "false",
            kv_capacity_tokens=memory.kv_capacity_tokens,
            all_devices_bytes=memory.all_devices_bytes,
            host_bytes=memory.host_bytes,
            intervals=MEMORY_INTERVALS.fill(
                activation_bytes=_pair(*memory.activation_bounds),
                overhead_bytes=_pair(*memory.overhead_bounds),
                kv_capacity_tokens=_pair(*memory.capacity_bounds),
                total_bytes=_pair(memory.total_low_bytes, memory.total_high_bytes),
                all_devices_bytes=_pair(memory.all_devices_low_bytes, memory.all_devices_high_bytes),
            ),
        )
    )


def _pair(low: int, high: int) -> Json:
    return f"[{low},{high}]"


@lru_cache(maxsize=4096)
def describe_quality(prediction: QualityPrediction) -> Written:
    """A benchmark's prediction, in its own unit: written once, for it stands in many alternatives."""
    return Written(
        canonical_json(
            {
                "expected": prediction.expected,
                "low": prediction.low,
                "high": prediction.high,
                "expected_delta": prediction.expected_delta,
                "low_delta": prediction.low_delta,
                "high_delta": prediction.high_delta,
                "loss": prediction.loss,
                "loss_high": prediction.loss_high,
                "n_measurements": prediction.n_measurements,
                "sources": prediction.sources,
                "basis": prediction.basis,
            }
        )
    )


def describe_speed(speed: SpeedPrediction) -> Written:
    """Speed with the interval of one user's stream."""
    intervals, start = [], None
    if speed.decode_at_start is not None:
        low, start, high = speed.decode_at_start
        intervals.append(f'"decode_at_start_tokens_per_s":[{number(low)},{number(high)}]')
    if speed.decode_low is not None:
        intervals.append(f'"decode_tokens_per_s":[{number(speed.decode_low)},{number(speed.decode_high)}]')
    return Written(
        SPEED.fill(
            decode_tokens_per_s=number(speed.decode_tokens_per_s),
            decode_at_start_tokens_per_s=number(start),
            prefill_tokens_per_s=number(speed.prefill_tokens_per_s),
            total_tokens_per_s=number(speed.total_tokens_per_s),
            ttft_ms=number(speed.ttft_ms),
            itl_ms=number(speed.itl_ms),
            intervals="{" + ",".join(intervals) + "}",
            n_measurements=speed.n_measurements,
            sources=_list(speed.sources),
            basis=quote(speed.basis),
        )
    )


@lru_cache(maxsize=1024)
def _list(sources: tuple[str, ...]) -> Json:
    return canonical_json(sources)


@lru_cache(maxsize=4096)
def describe_job(job: JobCost) -> Written:
    """The job's own cost: written once, for it stands in many alternatives."""
    return Written(
        canonical_json(
            {
                "backend": job.backend,
                "minutes": job.minutes,
                "vram_bytes": job.vram_bytes,
                "ram_bytes": job.ram_bytes,
                "disk_bytes": job.disk_bytes,
                "calibration_samples": job.calibration_samples,
                "calibration_tokens": job.calibration_tokens,
                "intervals": {
                    "minutes": [job.minutes_low, job.minutes_high],
                    "ram_bytes": [job.ram_low_bytes, job.ram_high_bytes],
                },
                "basis": job.basis,
                "sources": job.sources,
            }
        )
    )


def describe_finding(candidate: Candidate, finding: Finding) -> dict[str, Any]:
    """One reason why one candidate was not taken."""
    rejected: dict[str, Any] = {
        "scheme": candidate.scheme.name,
        "method": candidate.method,
        "format": candidate.scheme.format,
        "group_size": candidate.group_size,
        "engine": candidate.engine,
        "tp": candidate.placement.tp,
        "pp": candidate.placement.pp,
        "dp": candidate.placement.dp,
        "ep": candidate.placement.ep,
        "code": finding.code,
        "message": finding.message,
        "numbers": dict(finding.numbers),
        "source": finding.source,
    }
    if finding.way_out:
        rejected["way_out"] = list(finding.way_out)
    if candidate.prebuilt is not None:
        rejected["prebuilt"] = candidate.prebuilt.repo
    return rejected


def explain_choice(scored: Scored, remark: str | None) -> str:
    """Why this one, in a sentence or two."""
    memory, quality, speed, candidate = scored.memory, scored.quality, scored.speed, scored.candidate
    spare = max(0.0, memory.headroom_bytes / memory.usable_bytes)
    parts = [f"fits with {spare:.0%} to spare ({max(0.0, memory.headroom_at_worst):.0%} at the high end)"]
    if candidate.method == "none":
        parts.append("loses nothing: the weights stay in 16 bits")
    elif candidate.method == "native":
        parts.append("loses nothing: the weights are those that were released")
    elif quality.loss is not None and quality.loss_high is not None:
        worst = max(0.0, quality.loss_high)
        parts.append(f"loses about {max(0.0, quality.loss):.1%} of {quality.benchmark} (at most {worst:.1%})")
    if speed.decode_tokens_per_s is not None:
        parts.append(f"{speed.decode_tokens_per_s:.0f} tokens/s for one user")
    sentence = ", ".join(parts)
    kernel = scored.verdict.kernel
    if kernel is not None and not kernel.native and candidate.scheme.activation_bits == 8:
        sentence += f"; on this card {kernel.name}: it saves memory, not compute"
    if candidate.prebuilt is not None:
        sentence += f"; nothing to make, {candidate.prebuilt.note}"
    if scored.is_prototype:
        sentence += "; a prototype: 3 bits and fewer trade quality away"
    return f"{remark}: {sentence}" if remark else sentence


def list_warnings(
    request: Request,
    target: Target,
    model_id: str,
    notes: tuple[str, ...],
    admitted: Sequence[Scored],
    remark: str | None,
) -> list[str]:
    """What a reader must not miss."""
    chosen = admitted[0] if admitted else None
    warnings = [*notes, *target.assumed, *_list_other_bases(model_id, admitted)]
    if remark:
        warnings.append(remark)
    if chosen is not None:
        warnings += _list_unused(chosen, target)
        if chosen.quality.basis in {"prior", "insufficient"} and chosen.candidate.method not in {
            "none",
            "native",
        }:
            known = "not measured anywhere near it" if chosen.quality.basis == "prior" else "unknown"
            warnings.append(
                f"quality of {chosen.candidate.scheme.name} on this model is {known}: measure before relying on it"
            )
        if chosen.job.basis == "prior" and chosen.candidate.backend is not None:
            warnings.append(
                "the job's minutes are a guess from rates in data/job_costs.csv until one has been run"
            )
    if request.task not in {None, "general"}:
        warnings.append(
            "calibrate on text of your own domain when there is some, and measure on your own task"
        )
    return warnings


def _list_unused(chosen: Scored, target: Target) -> list[str]:
    """Devices that the chosen placement leaves free, and whose identifiers its command still lacks."""
    used = chosen.candidate.placement.devices
    free = target.devices[used:]
    said = (
        [f"{Target(devices=free).label} stays free: {chosen.candidate.placement.label} uses {used}"]
        if free
        else []
    )
    if target.devices[0].is_instance and target.devices[0].uuid is None:
        said.append(
            "put the instances' own identifiers for MIG-UUID-n in the command: nvidia-smi -L lists them"
        )
    return said


def _list_other_bases(model_id: str, admitted: Sequence[Scored]) -> list[str]:
    """Published checkpoints on offer that were made from another model than the one asked for, tuned or not."""
    asked = model_id.rstrip("/").rpartition("/")[2]
    repos: dict[str, list[str]] = {}
    for item in admitted:
        published = item.candidate.prebuilt
        if published is not None and published.made_from.lower() != asked.lower():
            named = repos.setdefault(published.made_from, [])
            named += [] if published.repo in named else [published.repo]
    return [
        f"{' and '.join(named)} {'is' if len(named) == 1 else 'are'} made from {made_from}; you asked for {asked}"
        for made_from, named in repos.items()
    ]
