"""Engines that are installed here, found without importing or starting one.

Python packages are read from the metadata of interpreters: those named in BITWRIGHT_PYTHONS, the first `python3`
on PATH, and the one beside a `vllm` or `sglang` command. Programs on PATH are asked `--version`, at most five
seconds each; one that does not answer is told of without a version. An engine in a container is not seen.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner.contract.inventory import InstalledEngine

PACKAGES = {
    "vllm": "vllm",
    "sglang": "sglang",
    "tensorrt-llm": "tensorrt_llm",
    "exllamav3": "exllamav3",
    "transformers": "transformers",
    "mlx": "mlx-lm",
    "llama.cpp": "llama-cpp-python",
}
"""Engine to the distribution that brings it."""
PROGRAMS = {"llama-server": "llama.cpp", "ollama": "ollama"}
PYTHON_PROGRAMS = ("vllm", "sglang", "trtllm-serve")
VERSION = re.compile(r"version(?: is)?:?\s*v?(\d[\w.+-]*)", re.IGNORECASE)
ANSWER_SECONDS = 5.0

LOOK = """
import importlib.metadata, json, sys
found = {}
for name in json.loads(sys.argv[1]):
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass
class KnownEngines:
    """Engines as they were found at most ten minutes ago: a heartbeat must not start programs."""

    interpreters: Sequence[str]
    keep_seconds: float = 600.0
    _found: list[InstalledEngine] = field(default_factory=list)
    _looked_at: float | None = None

    def __call__(self) -> list[InstalledEngine]:
        """What is known, looked for again when it is old."""
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at > self.keep_seconds:
            self._found, self._looked_at = find_engines(self.interpreters), now
        return self._found


def find_engines(interpreters: Iterable[str]) -> list[InstalledEngine]:
    """Engines in the given interpreters, in those on PATH, and programs on PATH."""
    asked: dict[Path, str] = {}
    for interpreter in [*interpreters, *_interpreters_on_path()]:
        asked.setdefault(Path(interpreter).absolute(), interpreter)
    found = [engine for interpreter in asked.values() for engine in _look_in(interpreter)]
    for program, engine in PROGRAMS.items():
        if (path := shutil.which(program)) is not None:
            found.append(InstalledEngine(name=engine, version=ask_version(path), where=path))
    return found


def ask_version(program: str) -> str | None:
    """What the program says of `--version`, or None when it says nothing in time."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    said = VERSION.search(done.stdout + done.stderr)
    return said[1] if said else None


def _interpreters_on_path() -> list[str]:
    beside = [Path(path).parent / "python" for name in PYTHON_PROGRAMS if (path := shutil.which(name))]
    python = shutil.which("python3")
    return [*([python] if python else []), *(str(path) for path in beside if path.exists())]


def _look_in(interpreter: str) -> list[InstalledEngine]:
    try:
        done = subprocess.run(
            [interpreter, "-I", "-c", LOOK, json.dumps(list(PACKAGES.values()))],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=ANSWER_SECONDS,
            check=True,
        )
        versions = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return [
        InstalledEngine(name=engine, version=str(versions[package]), where=interpreter)
        for engine, package in PACKAGES.items()
        if package in versions
    ]
