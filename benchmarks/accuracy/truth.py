"""Published memory figures as rows of `bitwright estimate --batch`, each with what of the answer it measures.

hf-peak is summed over devices; vLLM's pool is what weights, activations and overhead leave; llama.cpp prints one
line a buffer and a device, and an estimate tells of the worst device. A row that cannot mean anything is left out
by a rule below, never by name, and the table counts them by rule.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "data"
UNITS = {"GiB": 2**30, "MiB": 2**20, "GB": 1e9, "bytes": 1, "tokens": 1, "blocks": 16, "x": 1}
"""vLLM's blocks hold 16 tokens unless a row says otherwise."""

Row = Mapping[str, str]

QUANTITIES = {
    "hf-peak": "all_devices_bytes",
    "hf-load": "all_devices_bytes",
    "torch-peak": "all_devices_bytes",
    "vllm-weights": "weights_bytes",
    "sglang-weights": "weights_bytes",
    "vllm-kv-bytes": "pool_bytes",
    "vllm-kv-capacity-tokens": "kv_capacity_tokens",
    "sglang-kv-capacity-tokens": "kv_capacity_tokens",
    "vllm-gpu-blocks": "kv_capacity_tokens",
    "vllm-max-concurrency": "sequences",
    "vllm-activation-peak": "activation_bytes",
    "vllm-nontorch": "overhead_bytes",
    "llamacpp-buffer-model": "weights_bytes",
    "llamacpp-buffer-kv": "kv_cache_bytes",
    "llamacpp-kv-total": "kv_cache_bytes",
    "llamacpp-buffer-compute": "activation_bytes",
    "llamacpp-buffer-context": "working_bytes",
    "llamacpp-vram-total": "all_devices_bytes",
    "nvidia-smi": "total_bytes",
    "amdgpu-gtt+vram-peak": "total_bytes",
}
SUMMED = {"activation_bytes": "all_activation_bytes", "working_bytes": "all_working_bytes"}
"""llama.cpp's oldest logs print one figure for all devices; a model is the same on one device as on all."""
NEEDS_CONTEXT = {
    *("all_devices_bytes", "kv_cache_bytes", "activation_bytes", "working_bytes", "total_bytes"),
    *SUMMED.values(),
}
NEEDS_CARD = {"pool_bytes", "kv_capacity_tokens", "sequences"}
ANY_CARD = "NVIDIA H100 80GB SXM5"
"""Where the figure does not depend on the card, and none is named."""
OPTIONS = (
    ("enforce_eager", r"\beager\b", True),
    ("enable_chunked_prefill", "chunked prefill disabled", False),
)
COUNTS = (
    ("max_num_seqs", r"max[-_]num[-_]seqs (\d+)"),
    ("decode_context_parallel_size", r"decode context parallel (\d+)"),
    ("flash_attn", r"\bfa (\d)"),
    ("mla", r"\bmla (\d)"),
)
"""Engine options in a note, by pattern: those that are on or off, and those with a number."""
UNNAMED_CARD = re.compile(
    r"not (?:in excerpt|printed|stated)|class|inferred|assumed|^\d+ GPUs|^$|\?|limited to"
)
UNNAMED_MODEL = re.compile(r"not named|unnamed|name outside|not in excerpt|^\(", re.IGNORECASE)
SPECULATES = re.compile(r"\bMTP|speculat|draft|DFlash", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure, and what to ask for it."""

    kind: str
    engine: str
    source: str
    row: Row
    quantity: str
    measured: float
    """Bytes, tokens or sequences."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The row of `estimate --batch`."""
    tolerance: float = 0.0
    """Share of the measured value within which the estimate counts as right, where it has no interval."""
    left_out: str = ""
    """The rule that leaves it out of the comparison; empty for none."""


def read_rows(name: str) -> Iterator[dict[str, str]]:
    """Rows of one evidence file."""
    with (DATA / "evidence" / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def read_figures() -> list[Figure]:
    """Every row of the memory truth."""
    rows = list(read_rows("memory_truth.csv"))
    heaviest, on_host = _heaviest_devices(rows), _runs_on_host(rows)
    graphs = {_run(row): float(row["value"]) for row in rows if row["kind"] == "vllm-cudagraph"}
    figures = [_read_figure(row, heaviest, graphs) for row in rows]
    return [
        replace(figure, left_out="most of the model in host memory")
        if not figure.left_out and _run(figure.row) in on_host
        else figure
        for figure in figures
    ]


def is_unnamed(gpu: str) -> bool:
    """Whether neither a card nor the memory that a process saw of it is told."""
    return bool(UNNAMED_CARD.search(gpu)) and not re.search(r"total \d", gpu)


def as_fields(row: Row) -> dict[str, Any]:
    """What somebody who reads this row would ask `estimate`."""
    tp, count = _whole(row.get("tp")), _whole(row.get("n_gpus"))
    tokens, note = _whole(row["context_tokens"]), row["note"]
    generated = re.search(r"then (\d+) (?:tokens )?generated", note)
    if generated is None and re.search(r"Qwen\S* (?:speed|HF inference) benchmark", row["source_title"]):
        generated = re.match(r"(\d+)", "2048")
    fields = {
        "model": row["repo"] or row["model"],
        "scheme": row["scheme"] or None,
        "method": row["method"] or None,
        "device": ANY_CARD if is_unnamed(row["gpu"]) else row["gpu"],
        "group_size": _whole(row["group_size"]),
        "engine": row["engine"] or None,
        "engine_version": row["engine_version"] or None,
        "count": count,
        "tp": tp,
        "pp": count // tp if tp and count and count > tp else None,
        "context": tokens + (int(generated[1]) if generated else 0) if tokens else None,
        "prompt_tokens": tokens if generated else None,
        "concurrency": _whole(row["batch"]) or (1 if row["engine"] != "vllm" else None),
        "kv_dtype": row["kv_dtype"] or None,
    }
    for name, pattern in (
        ("gpu_memory_utilization", r"gpu_memory_utilization ([\d.]*\d)"),
        ("max_num_batched_tokens", r"(?:n_ubatch|ubatch|max[-_]num[-_]batched[-_]tokens) (\d+)"),
    ):
        found = re.search(pattern, note)
        if found:
            fields[name] = float(found[1]) if "." in found[1] else int(found[1])
    options = {name: value for name, pattern, value in OPTIONS if re.search(pattern, note)}
    options |= {name: int(found[1]) for name, pattern in COUNTS if (found := re.search(pattern, note))}
    if options:
        fields["engine_options"] = options
    if row["per_gpu"] == "false" and QUANTITIES.get(row["kind"]) in {"weights_bytes", "kv_cache_bytes"}:
        fields["count"] = 1
    return {name: value for name, value in fields.items() if value is not None}


def _read_figure(row: Row, heaviest: Mapping[Any, str], graphs: Mapping[Any, float]) -> Figure:
    quantity = QUANTITIES.get(row["kind"], "")
    if row["per_gpu"] == "false":
        quantity = SUMMED.get(quantity, quantity)
    measured = float(row["value"] or 0)
    if row["kind"] == "vllm-nontorch" and _run(row) in graphs:
        measured += max(graphs[_run(row)], 0)
    fields = as_fields(row)
    return Figure(
        kind=row["kind"],
        engine=row["engine"],
        source=row["source_title"],
        row=row,
        quantity=quantity,
        measured=measured * UNITS[row["unit"]],
        fields=fields,
        left_out=next((reason for reason, applies in RULES.items() if applies(row, quantity, fields)), "")
        or _leave_out_in_company(row, heaviest, graphs),
    )


def _is_pool(row: Row, _quantity: str, _fields: Any) -> bool:
    return row["kind"] in {"nvidia-smi", "npu-smi"} and row["engine"] != "llama.cpp"


RULES: Mapping[str, Callable[[Row, str, Mapping[str, Any]], bool]] = {
    "cuda graphs: counted with vllm-nontorch": lambda row, *_: row["kind"] == "vllm-cudagraph",
    "includes a preallocated pool": _is_pool,
    "a vendor's advice, not a measurement": lambda row, *_: row["kind"] == "vendor-minimum",
    "host memory": lambda row, *_: row["per_gpu"] == "host" or row["kind"] == "host-ram",
    "no estimate field for this kind": lambda _row, quantity, _: not quantity,
    "nothing positive measured": lambda row, *_: float(row["value"] or 0) <= 0,
    "marked SUSPECT, an outlier or an artefact": lambda row, *_: bool(
        re.search(r"SUSPECT|outlier|artefact", row["note"] + row["flags"])
    ),
    "model not named": lambda row, *_: not row["repo"] and bool(UNNAMED_MODEL.search(row["model"])),
    "scheme not stated": lambda row, *_: not row["scheme"],
    "tensors overridden to the host": lambda row, *_: "overridden" in row["note"],
    "not all layers on the devices": lambda row, *_: _is_partial(row),
    "one of several kinds of card": lambda row, *_: "+" in row["gpu"] and row["per_gpu"] == "true",
    "devices and ranks not stated": lambda row, quantity, _: (
        row["engine"] == "vllm" and not row["tp"] and quantity != "kv_capacity_tokens"
    ),
    "the largest of several devices, split not stated": lambda row, *_: (
        "maximum over GPUs" in row["note"] and row["n_gpus"] not in {"", "1"}
    ),
    "context not stated": lambda row, quantity, _: (
        quantity in NEEDS_CONTEXT and not row["context_tokens"] and row["engine"] not in {"vllm", "sglang"}
    ),
    "card not stated": lambda row, quantity, _: (
        (
            quantity in NEEDS_CARD
            or (row["engine"] == "vllm" and quantity in {"activation_bytes", "overhead_bytes"})
        )
        and is_unnamed(row["gpu"])
    ),
    "utilisation not stated": lambda _row, quantity, fields: (
        quantity in NEEDS_CARD and "gpu_memory_utilization" not in fields
    ),
    "speculative decoding, draft not stated": lambda row, quantity, _: (
        quantity in NEEDS_CARD | {"total_bytes"} and bool(SPECULATES.search(row["note"] + row["kv_dtype"]))
    ),
}
"""Why a row is not compared, in the order of asking: the first that applies."""


def _leave_out_in_company(row: Row, heaviest: Mapping[Any, str], graphs: Mapping[Any, float]) -> str:
    """Rules that look at the other figures of the same run."""
    if row["kind"] == "vllm-nontorch" and _run(row) not in graphs:
        return "graphs missing: half of the overhead"
    device = _device(row)
    if device and heaviest.get(_run(row), device) != device:
        return "a device that holds less than the worst"
    return ""


def _heaviest_devices(rows: Iterable[Row]) -> dict[Any, str]:
    """Of each llama.cpp run, the device with the most of model: estimates tell of the worst device."""
    held: dict[Any, dict[str, float]] = {}
    for row in rows:
        device = _device(row)
        if device and row["kind"] == "llamacpp-buffer-model":
            run = held.setdefault(_run(row), {})
            run[device] = max(run.get(device, 0), float(row["value"]))
    return {run: max(devices, key=lambda name: (devices[name], name)) for run, devices in held.items()}


def _runs_on_host(rows: Iterable[Row]) -> set[tuple[str, ...]]:
    """Runs whose own log shows more of the model in host memory than on the devices: overrides that it hides."""
    held: dict[Any, dict[str, float]] = {}
    for row in rows:
        if row["kind"] == "llamacpp-buffer-model" and row["per_gpu"] in {"host", "true"}:
            parts = held.setdefault(_run(row), {"host": 0.0, "true": 0.0})
            parts[row["per_gpu"]] += float(row["value"])
    return {run for run, parts in held.items() if parts["host"] > parts["true"] > 0}


def _device(row: Row) -> str:
    found = re.search(r"device ((?!CPU|\w*_Host)\w+)", row["note"])
    return found[1] if found and row["per_gpu"] == "true" else ""


def _run(row: Row) -> tuple[str, ...]:
    """What tells one run's figures from another's."""
    names = ("source_ref", "model", "scheme", "gpu", "n_gpus", "engine_version")
    context = () if row["kind"].startswith("llamacpp") else (row["context_tokens"],)
    return (*(row[name] for name in names), *context)


def _is_partial(row: Row) -> bool:
    found = re.search(r"offloaded (\d+|\?)/?(\d*)", row["note"])
    return found is not None and (found[1] == "?" or found[1] != found[2])


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
