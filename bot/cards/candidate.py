"""A candidate in words, as on the terminal: `W4A16, group 64, by gptq · vllm, TP 2`."""

from collections.abc import Mapping
from typing import Any

from bot.figures import format_change, format_duration, format_size
from planner.contract.requests import CandidateChoice

Record = Mapping[str, Any]

CHOICE_FIELDS = tuple(CandidateChoice.model_fields)
LAYER_SPLITTERS = frozenset({"llama.cpp", "transformers"})
"""Engines that spread layers over cards, so that PP is not what they call it."""


def describe_candidate(candidate: Record) -> str:
    """Scheme, group, method, engine and placement."""
    method = candidate["method"]
    is_said = method not in {"none", "rtn"} or (method == "rtn" and candidate["format"] != "gguf")
    by = f", by {method}" if is_said else ""
    by = ", as released" if method == "native" else by
    return f"{describe_scheme(candidate)}{by} · {candidate['engine']}, {describe_placement(candidate)}"


def describe_rejected(candidate: Record) -> str:
    """A rejected candidate: its method never is the reason."""
    return f"{describe_scheme(candidate)} · {candidate['engine']}, {describe_placement(candidate)}"


def describe_scheme(candidate: Record) -> str:
    """Scheme and group size."""
    return f"{candidate['scheme']}" + (
        f", group {candidate['group_size']}" if candidate["group_size"] else ""
    )


def describe_placement(candidate: Record) -> str:
    """Replicas, tensor parallel, and layers over devices."""
    spread = "layers over" if candidate["engine"] in LAYER_SPLITTERS else "PP"
    parts = [
        f"{candidate['dp']} replicas" if candidate["dp"] > 1 else "",
        f"TP {candidate['tp']}" if candidate["tp"] > 1 else "",
        "expert parallel" if candidate.get("ep", 1) > 1 else "",
        f"{spread} {candidate['pp']}" if candidate["pp"] > 1 else "",
    ]
    return " × ".join(part for part in parts if part) or "1 device"


def is_made(candidate: Record) -> bool:
    """Whether there is something to make: neither published nor the model as released."""
    return not candidate.get("prebuilt") and candidate["backend"] is not None


def name_choice(candidate: Record) -> CandidateChoice:
    """What a job has to be told to make this candidate and no other."""
    return CandidateChoice.model_validate({name: candidate[name] for name in CHOICE_FIELDS})


def describe_quality(benchmark: str, quality: Record, method: str) -> str:
    """A benchmark's change with its 90 % interval and what that stands on."""
    name = benchmark.upper() if len(benchmark) <= 4 else benchmark
    if method in {"none", "native"}:
        return f"{name} unchanged: the weights stay as released"
    delta = quality["expected_delta"]
    if delta is None:
        return f"{name}: no measurements to go by"
    # Deltas are in the benchmark's own unit and losses shares of the baseline: the terminal's percents.
    scale = 100 * abs(quality["loss"] / delta) if delta else 0.0
    low, likely, high = (
        format_change(scale * value) for value in (quality["low_delta"], delta, quality["high_delta"])
    )
    sources = len(quality["sources"])
    basis = f"{quality['basis']}: {quality['n_measurements']} results of {sources} source" + "s" * (
        sources != 1
    )
    return f"{name} {likely} % ({low} … {high}) · {basis}"


def describe_speed(candidate: Record) -> str:
    """Tokens per second of one user with the interval and what it stands on."""
    speed = candidate["speed"]
    if speed["decode_tokens_per_s"] is None:
        return "no measurement to predict from yet"
    low, high = speed["intervals"]["decode_tokens_per_s"]
    count = speed["n_measurements"]
    return (
        f"{speed['decode_tokens_per_s']:.1f} tokens/s for one user ({low:.1f} … {high:.1f}) · "
        f"{speed['basis']}: {count} figures of {candidate['engine']}, roofline"
    )


def describe_job(candidate: Record) -> str:
    """Minutes, memory and disk of making it."""
    job = candidate["job"]
    if not is_made(candidate):
        return "nothing to make" + (
            f": {format_size(job['disk_bytes'])} to fetch" if job["disk_bytes"] else ""
        )
    low, high = (format_duration(60 * minutes) for minutes in job["intervals"]["minutes"])
    parts = [
        f"{format_duration(60 * job['minutes'])} ({low} … {high}) by {job['backend']}",
        f"{format_size(job['ram_bytes'])} RAM",
        f"{format_size(job['vram_bytes'])} on one card" if job["vram_bytes"] else "",
        f"{format_size(job['disk_bytes'])} disk",
        "a guess until one has run" if job["basis"] == "prior" else "",
    ]
    return " · ".join(part for part in parts if part)


def describe_spare(candidate: Record) -> str:
    """Memory to spare on the fullest card."""
    memory = candidate["memory"]
    return f"{max(0.0, memory['headroom_bytes'] / memory['usable_bytes']):.0%} to spare"


def describe_loss(candidate: Record) -> str:
    """The expected loss in two words, for a list."""
    if candidate["method"] in {"none", "native"}:
        return "no loss"
    losses = [predicted["loss"] for predicted in candidate["quality"].values()]
    loss = losses[0] if losses else None
    return "loss unknown" if loss is None else f"{format_change(-100 * loss)} %"
