"""Make a compressed-tensors checkpoint with llm-compressor: FP8, or 4-bit weights by RTN or GPTQ.

Calibration text is tokenized, joined and cut into windows of exactly `sequence_tokens`: nothing is padded and
nothing dropped, and a text that is too short is refused with the numbers. Embeddings and the head stay in 16
bits, as llm-compressor's presets leave them.

Memory: the whole model in its own dtype, plus for GPTQ one layer's Hessians in float32; the peak is measured,
not guessed.

Job: {"model_dir", "scheme", "method", "format", "group_size", "calibration": {"file", "samples",
"sequence_tokens"} | null, "out_dir", "threads"}.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from checkpoint import check_tokenizer, read_config, read_shapes
from jobwire import JobError, Wire, peak_ram_bytes, run_script, tool_versions

METHODS = {"FP8_DYNAMIC": ("rtn",), "W4A16": ("rtn", "gptq")}
GROUP_SIZES = (32, 64, 128)
KEPT = ("embed_tokens", "lm_head")  # stays in 16 bits
CALIBRATING = re.compile(r"\((\d+)/(\d+)\): Calibrating")


def quantize(job: dict[str, Any], wire: Wire) -> dict[str, object]:
    """Do the job; the artifact is a folder that transformers and vLLM load."""
    model_dir, out = Path(job["model_dir"]), Path(job["out_dir"])
    check_request(job)
    read_config(model_dir)
    check_tokenizer(model_dir)
    check_group_size(read_shapes(model_dir), job["group_size"])
    text = read_calibration(job)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with wire.timed("load"):
        model, tokenizer = load_model(model_dir, int(job["threads"]), wire)
    dataset = None if text is None else cut_samples(tokenizer, text, job["calibration"])
    report_progress(wire)
    run_oneshot(job, model, dataset, wire)
    with wire.timed("save"):
        model.save_pretrained(out, save_compressed=True)
        tokenizer.save_pretrained(out)
        wire.stage("save", 1, 1, "tensors")
    return {
        "files": sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()),
        "tool_versions": tool_versions(["llmcompressor", "compressed-tensors", "torch", "transformers"]),
        "peak_ram_bytes": peak_ram_bytes(),
        "stage_seconds": wire.stage_seconds,
    }


def check_request(job: dict[str, Any]) -> None:
    """Refuse what this backend does not make."""
    scheme, method, group = str(job["scheme"]), job["method"], job["group_size"]
    if scheme not in METHODS:
        raise JobError(
            "backend.scheme", f"llmcompressor does not make {scheme} here. It makes {', '.join(METHODS)}."
        )
    if method not in METHODS[scheme] or job["format"] != "compressed-tensors":
        raise JobError(
            "backend.method",
            f"llmcompressor makes {scheme} by {' or '.join(METHODS[scheme])} as compressed-tensors, "
            f"not by {method} as {job['format']}.",
        )
    if scheme == "W4A16" and group not in GROUP_SIZES:
        raise JobError(
            "backend.group_size", f"W4A16 comes in groups of {', '.join(map(str, GROUP_SIZES))}, not {group}."
        )
    if scheme != "W4A16" and group is not None:
        raise JobError("backend.group_size", f"{scheme} has no groups. Leave the group size out.")
    if method == "gptq" and job["calibration"] is None:
        raise JobError("backend.no_calibration", "GPTQ needs calibration text. Name a file, or take rtn.")


def check_group_size(shapes: dict[str, list[int]], group_size: int | None) -> None:
    """Refuse a group size that some layer's columns are no multiple of, before anything is loaded."""
    if group_size is None:
        return
    for name, shape in sorted(shapes.items()):
        is_quantized = len(shape) == 2 and name.endswith(".weight") and not any(kept in name for kept in KEPT)
        if is_quantized and shape[1] % group_size:
            fits = [str(size) for size in GROUP_SIZES if shape[1] % size == 0]
            raise JobError(
                "backend.group_not_divisible",
                f"Groups of {group_size} do not divide the {shape[1]} columns of {name}. "
                + (f"Take {' or '.join(fits)}." if fits else "Take a scheme without groups."),
            )


def read_calibration(job: dict[str, Any]) -> str | None:
    """The calibration text, if the method uses any."""
    if job["method"] != "gptq":
        return None
    return Path(job["calibration"]["file"]).read_text(encoding="utf-8")


def load_model(model_dir: Path, threads: int, wire: Wire) -> tuple[Any, Any]:
    """The checkpoint in its own dtype, and its tokenizer."""
    wire.stage("load", 0, 1, "tensors")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype="auto")
    wire.stage("load", 1, 1, "tensors")
    return model, tokenizer


def cut_samples(tokenizer: Any, text: str, calibration: dict[str, Any]) -> Any:
    """Exactly `samples` windows of `sequence_tokens` tokens, spread evenly over the text."""
    from datasets import Dataset

    samples, width = int(calibration["samples"]), int(calibration["sequence_tokens"])
    tokens = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    whole = len(tokens) // width
    if whole < samples:
        raise JobError(
            "backend.calibration_too_short",
            f"The calibration text has {len(tokens)} tokens, enough for {whole} samples of {width}; "
            f"{samples} are asked for. "
            "Give more text, or ask for fewer or shorter samples.",
        )
    chosen = [index * whole // samples * width for index in range(samples)]
    return Dataset.from_dict(
        {"input_ids": [tokens[at : at + width] for at in chosen], "attention_mask": [[1] * width] * samples}
    )


def report_progress(wire: Wire) -> None:
    """Listen to the libraries' progress bars: they are the only place where they say how far they are."""
    from compressed_tensors.compressors.model_compressors import model_compressor
    from llmcompressor.pipelines.sequential import pipeline

    def follow(items: Iterable[Any], desc: str = "", total: int | None = None, **_: object) -> Iterator[Any]:
        found = CALIBRATING.match(desc)
        if found:
            wire.stage("calibrate", int(found[1]) - 1, int(found[2]), "layers")
        count = total if total is not None else len(items) if hasattr(items, "__len__") else 0
        for done, item in enumerate(items, start=1):
            yield item
            if desc.startswith("Compressing"):
                wire.stage("quantize", done, count, "layers")

    pipeline.tqdm = follow
    model_compressor.tqdm = follow


def run_oneshot(job: dict[str, Any], model: Any, dataset: Any, wire: Wire) -> None:
    """Attach the scheme, calibrate if the method does, and freeze the scales."""
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier

    scheme: dict[str, Any] = {"scheme": job["scheme"], "targets": ["Linear"]}
    if job["group_size"] is not None:
        weights = QuantizationArgs(
            num_bits=4, type="int", symmetric=True, strategy="group", group_size=job["group_size"]
        )
        scheme = {"config_groups": {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}}
    modifier = GPTQModifier if job["method"] == "gptq" else QuantizationModifier
    arguments: dict[str, Any] = {"model": model, "recipe": modifier(ignore=["lm_head"], **scheme)}
    if dataset is not None:
        arguments |= {
            "dataset": dataset,
            "num_calibration_samples": len(dataset),
            "max_seq_length": len(dataset[0]["input_ids"]),
            "shuffle_calibration_samples": False,
        }
    with wire.timed("calibrate" if dataset is not None else "quantize"):
        oneshot(**arguments)


if __name__ == "__main__":
    run_script(quantize)
