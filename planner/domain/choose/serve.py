"""The exact command that serves a candidate: every flag that its memory figure stands on is written out."""

import math
import shlex
from collections.abc import Iterable, Sequence
from functools import lru_cache

from planner.domain.choose.candidates import Candidate
from planner.domain.facts.hardware import Device, Target
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.predict.activations_vllm import SEQUENCE_SLOTS

BATCHED_TOKENS = 2048
UTILISATION = "0.90"
FIRST_PORT = 8080
VISIBLE_DEVICES = {
    "nvidia": "CUDA_VISIBLE_DEVICES",
    "amd": "HIP_VISIBLE_DEVICES",
    "intel": "ONEAPI_DEVICE_SELECTOR",
}
"""Variable by which a process is kept to its own devices."""
BY_BUS = "CUDA_DEVICE_ORDER=PCI_BUS_ID "
"""Makes CUDA count cards as NVML does; without it the fastest comes first."""


CONTEXT = "\x00"
"""Stands in a command for its number of tokens, which is all that plans with as many users differ in."""


def _join(words: Iterable[str]) -> str:
    return " ".join(word if word == CONTEXT else shlex.quote(word) for word in words)


@lru_cache(maxsize=4096)
def artifact_name(candidate: Candidate, model_id: str) -> str:
    """Folder or file name of the artifact."""
    base = model_id.rstrip("/").rsplit("/", 1)[-1].lower()
    if candidate.scheme.is_gguf_mix:
        return f"{base}-{candidate.scheme.name}.gguf"
    group = f"-g{candidate.group_size}" if candidate.group_size else ""
    method = "" if candidate.method in {"none", "rtn", "native"} else f"-{candidate.method}"
    return f"{base}-{candidate.scheme.name.lower().replace('_', '-')}{method}{group}"


def serve_command(
    candidate: Candidate, model: ModelFacts, model_id: str, target: Target, workload: Workload
) -> str:
    """The exact command that serves the candidate, every flag that memory depends on written out."""
    sequences = -(-workload.concurrency // candidate.placement.dp)
    tokens = workload.context_tokens * (sequences if candidate.engine == "llama.cpp" else 1)
    return str(tokens).join(_cut_command(candidate, model.path, model_id, target, sequences))


@lru_cache(maxsize=16384)
def _cut_command(
    candidate: Candidate, path: str | None, model_id: str, target: Target, sequences: int
) -> tuple[str, ...]:
    """The command, cut where its number of tokens stands."""
    where = (
        path or model_id
        if candidate.method in {"none", "native"}
        else f"./{artifact_name(candidate, model_id)}"
    )
    if candidate.prebuilt is not None:
        where = candidate.prebuilt.repo
    if candidate.method == "none" and candidate.scheme.is_gguf_mix:
        where = f"./{artifact_name(candidate, model_id)}"
    if candidate.engine == "vllm":
        command = _vllm_command(candidate, where, target, sequences)
    elif candidate.engine == "llama.cpp":
        command = _llamacpp_command(candidate, where, target, sequences)
    else:
        command = f"transformers serve --force-model {shlex.quote(where)}"
    return tuple(command.split(CONTEXT))


def _vllm_command(candidate: Candidate, where: str, target: Target, sequences: int) -> str:
    parts = ["vllm", "serve", where]
    placement = candidate.placement
    for flag, degree in (
        ("--tensor-parallel-size", placement.tp),
        ("--pipeline-parallel-size", placement.pp),
        ("--data-parallel-size", placement.dp),
    ):
        if degree > 1:
            parts += [flag, str(degree)]
    if target.kind == "unified" and placement.tp * placement.pp > 1:
        parts += ["--distributed-executor-backend", "ray"]
    if placement.ep > 1:
        parts.append("--enable-expert-parallel")
    if candidate.scheme.name == "F16" and candidate.method == "none":
        parts += ["--dtype", "half"]
    parts += ["--max-model-len", CONTEXT]
    parts += ["--gpu-memory-utilization", _utilisation(target.devices[: placement.devices])]
    parts += ["--max-num-seqs", str(max(SEQUENCE_SLOTS, sequences))]
    parts += ["--max-num-batched-tokens", str(BATCHED_TOKENS)]
    if candidate.kv_dtype not in {"auto", "f16", "bf16"}:
        parts += ["--kv-cache-dtype", candidate.kv_dtype]
    used = target.devices[: placement.devices]
    if used[0].is_instance and placement.dp > 1:
        return _replicate(parts, used, 1)
    return _name_devices(used, target) + _join(parts)


def _name_devices(used: Sequence[Device], target: Target) -> str:
    """What keeps a process to the devices in use; empty where all of the target's are."""
    is_named = used[0].is_instance and used[0].uuid is not None
    return _show_only(used, 0) if is_named or len(used) < len(target.devices) else ""


def _show_only(devices: Sequence[Device], first: int) -> str:
    """The variable that shows a process only these: by the driver's numbers where known, else by their place."""
    variable = VISIBLE_DEVICES.get(devices[0].vendor, "CUDA_VISIBLE_DEVICES")
    if devices[0].is_instance:
        names = [
            device.uuid or f"MIG-UUID-{first + number}" for number, device in enumerate(devices, start=1)
        ]
        return f"{variable}={','.join(names)} "
    known = [device.index for device in devices if device.index is not None]
    by_bus = BY_BUS if len(known) == len(devices) and devices[0].vendor == "nvidia" else ""
    numbers = known if len(known) == len(devices) else [first + number for number in range(len(devices))]
    return f"{by_bus}{variable}={','.join(map(str, numbers))} "


def _replicate(parts: Sequence[str], used: Sequence[Device], each: int) -> str:
    """One process for every replica, each with its own devices and port."""
    kept = [part for part in parts if part != "--data-parallel-size"]
    if len(kept) < len(parts):
        kept.pop(list(parts).index("--data-parallel-size"))
    return " & ".join(
        f"{_show_only(used[first : first + each], first)}"
        f"{_join([*kept, '--port', str(FIRST_PORT + first // each)])}"
        for first in range(0, len(used), each)
    )


def _utilisation(used: Sequence[Device]) -> str:
    """Share of a whole card that vLLM is told: it wants so much free at its start, so less where others hold some."""
    shares = [
        float(UTILISATION) * device.available_bytes / device.total_bytes
        for device in used
        if device.held_bytes
    ]
    return f"{math.floor(100 * min(shares)) / 100:.2f}" if shares else UTILISATION


def _llamacpp_command(candidate: Candidate, where: str, target: Target, sequences: int) -> str:
    parts = [
        "llama-server",
        "-m",
        where,
        "-c",
        CONTEXT,
        "-np",
        str(sequences),
    ]
    if target.kind == "cpu":
        parts += ["-ngl", "0"]
    else:
        parts += ["-ngl", "99", "-fa", "on"]
        if candidate.placement.pp > 1:
            parts += ["--split-mode", "layer"]
    if candidate.kv_dtype in {"q8_0", "q4_0"}:
        parts += [] if "-fa" in parts else ["-fa", "on"]
        parts += ["-ctk", candidate.kv_dtype, "-ctv", candidate.kv_dtype]
    used = target.devices[: candidate.placement.devices]
    if candidate.placement.dp == 1:
        return _name_devices(used, target) + _join(parts)
    return _replicate(parts, used, candidate.placement.pp)
