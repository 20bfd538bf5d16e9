"""The exact command that serves a candidate: every flag that its memory figure stands on is written out."""

import math
import shlex

from planner.domain.choose.candidates import Candidate
from planner.domain.facts.hardware import Target
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
"""Variable by which a replica of llama.cpp is kept to its own devices."""


def artifact_name(candidate: Candidate, model_id: str) -> str:
    """Folder or file name of the artifact."""
    base = model_id.rstrip("/").rsplit("/", 1)[-1].lower()
    if candidate.scheme.is_gguf_mix:
        return f"{base}-{candidate.scheme.name}.gguf"
    group = f"-g{candidate.group_size}" if candidate.group_size else ""
    method = "" if candidate.method in {"none", "rtn"} else f"-{candidate.method}"
    return f"{base}-{candidate.scheme.name.lower().replace('_', '-')}{method}{group}"


def serve_command(
    candidate: Candidate, model: ModelFacts, model_id: str, target: Target, workload: Workload
) -> str:
    """The exact command that serves the candidate, every flag that memory depends on written out."""
    where = (
        model.path or model_id if candidate.method == "none" else f"./{artifact_name(candidate, model_id)}"
    )
    if candidate.prebuilt is not None:
        where = candidate.prebuilt.repo
    if candidate.method == "none" and candidate.scheme.is_gguf_mix:
        where = f"./{artifact_name(candidate, model_id)}"
    sequences = -(-workload.concurrency // candidate.placement.dp)
    if candidate.engine == "vllm":
        return _vllm_command(candidate, where, target, workload, sequences)
    if candidate.engine == "llama.cpp":
        return _llamacpp_command(candidate, where, target, workload, sequences)
    return f"transformers serve --force-model {shlex.quote(where)}"


def _vllm_command(
    candidate: Candidate, where: str, target: Target, workload: Workload, sequences: int
) -> str:
    parts = ["vllm", "serve", where]
    placement = candidate.placement
    for flag, degree in (
        ("--tensor-parallel-size", placement.tp),
        ("--pipeline-parallel-size", placement.pp),
        ("--data-parallel-size", placement.dp),
    ):
        if degree > 1:
            parts += [flag, str(degree)]
    if candidate.scheme.name == "F16" and candidate.method == "none":
        parts += ["--dtype", "half"]
    parts += ["--max-model-len", str(workload.context_tokens)]
    parts += ["--gpu-memory-utilization", _utilisation(target)]
    parts += ["--max-num-seqs", str(max(SEQUENCE_SLOTS, sequences))]
    parts += ["--max-num-batched-tokens", str(BATCHED_TOKENS)]
    if candidate.kv_dtype not in {"auto", "f16", "bf16"}:
        parts += ["--kv-cache-dtype", candidate.kv_dtype]
    return shlex.join(parts)


def _utilisation(target: Target) -> str:
    """Share of a whole card that vLLM is told: it wants so much free at its start, so less where others hold some."""
    shares = [
        float(UTILISATION) * device.available_bytes / device.total_bytes
        for device in target.devices
        if device.held_bytes
    ]
    return f"{math.floor(100 * min(shares)) / 100:.2f}" if shares else UTILISATION


def _llamacpp_command(
    candidate: Candidate, where: str, target: Target, workload: Workload, sequences: int
) -> str:
    parts = [
        "llama-server",
        "-m",
        where,
        "-c",
        str(workload.context_tokens * sequences),
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
    if candidate.placement.dp == 1:
        return shlex.join(parts)
    each = candidate.placement.pp
    return " & ".join(
        f"{VISIBLE_DEVICES.get(target.devices[0].vendor, 'CUDA_VISIBLE_DEVICES')}="
        f"{','.join(str(replica * each + index) for index in range(each))} "
        f"{shlex.join([*parts, '--port', str(FIRST_PORT + replica)])}"
        for replica in range(candidate.placement.dp)
    )
