"""What is kept of a baseline between jobs: its converted file and its log-probabilities, by fingerprint."""

import hashlib
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from executors.errors import JobRefused

KEPT_BASELINE_BYTES = 2 * 1024**3
KEPT_REFERENCES_BYTES = 4 * 1024**3
STALE_SECONDS = 3600.0


def fingerprint_checkpoint(model_dir: Path) -> str:
    """Sixteen hexadecimal digits that change when a file does.

    Small files count by content, large ones by size, ends and time of change.

    Raises:
        JobRefused: `model.not_found`.
    """
    if not model_dir.is_dir():
        raise JobRefused(
            "model.not_found", f"There is no checkpoint at {model_dir}. Download it, or correct the path."
        )
    digest = hashlib.sha256()
    for path in sorted(path for path in model_dir.iterdir() if path.is_file()):
        facts = path.stat()
        digest.update(f"{path.name}\0{facts.st_size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(16 * 1024**2))
            if facts.st_size > 16 * 1024**2:
                file.seek(-(1024**2), 2)
                digest.update(file.read() + str(facts.st_mtime_ns).encode())
    return digest.hexdigest()[:16]


def drop_large_baseline(path: Path) -> None:
    """Remove a converted 16-bit file that is too large to be kept between jobs."""
    if path.is_file() and path.stat().st_size > KEPT_BASELINE_BYTES:
        path.unlink(missing_ok=True)


def sweep_references(folder: Path) -> None:
    """Remove half-written files that nobody has written to for so long: whoever wrote them is dead."""
    for path in folder.glob("*.partial-*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()


def prune_references(folder: Path, keep: Collection[str]) -> None:
    """Keep the newest files within the limit, and those named; a reader that has one open is not disturbed."""
    found = [*folder.glob("*.logprobs"), *folder.glob("*-bf16.gguf")]
    total = 0
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
        total += path.stat().st_size
        if total > KEPT_REFERENCES_BYTES and path.name not in keep:
            path.unlink(missing_ok=True)
