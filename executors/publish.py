"""Publish an artifact whole or not at all, and sweep up after whoever died trying.

It is made in `<destination>.partial-<job id>`, on the same file system; a manifest with the SHA-256 of every
file is written, files and folder are flushed to the disk, and the folder is renamed. A partial folder belongs
to whoever holds the lock beside it, which the system releases when the holder dies; so a sweep can tell a
dead one from one at work.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executors.errors import ArtifactRejected, JobRefused
from executors.locks import hold_lock, release_lock, try_lock

MANIFEST = "manifest.json"
PARTIAL = ".partial-"


@contextmanager
def open_partial(destination: Path, job_id: str) -> Iterator[Path]:
    """An empty folder to make the artifact in; gone afterwards unless it was published.

    Raises:
        JobRefused: `publish.exists`, the destination is taken; `lock.busy`, the same job runs elsewhere.
    """
    refuse_taken(destination)
    partial = destination.with_name(f"{destination.name}{PARTIAL}{job_id}")
    with hold_lock(_lock_of(partial), wait_seconds=0):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def publish(
    partial: Path,
    destination: Path,
    facts: Mapping[str, object],
    *,
    ask_leave: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Write the manifest and move the folder to its place; the manifest.

    `ask_leave` is called when all is written and only the move is left.

    Raises:
        ArtifactRejected: `publish.odd_file`, for what is neither file nor folder.
        JobRefused: `publish.exists`.
        JobCancelled: what `ask_leave` raises when the job is no longer this host's.
    """
    files = describe_files(partial)
    manifest = {**facts, "artifact_bytes": sum(int(file["bytes"]) for file in files), "files": files}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    for path in [*sorted(partial.rglob("*"), reverse=True), partial]:
        # Some libraries write weights readable by their owner only; a server under another name has to read
        # them.
        path.chmod(0o755 if path.is_dir() else 0o644)
        _flush(path)
    refuse_taken(destination)
    ask_leave()
    partial.rename(destination)
    _flush(destination.parent)
    return manifest


def describe_files(folder: Path) -> list[dict[str, Any]]:
    """Path, size and SHA-256 of every file, by path."""
    described = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ArtifactRejected(
                "publish.odd_file", f"{path.name} is neither a file nor a folder; nothing was published."
            )
        if path.is_file() and path.name != MANIFEST:
            digest = sha256_of(path)
            described.append(
                {"path": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size, "sha256": digest}
            )
    return described


def sha256_of(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(artifact: Path) -> dict[str, Any] | None:
    """The manifest of a published artifact, or None."""
    try:
        manifest = json.loads((artifact / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) else None


def refuse_taken(destination: Path) -> None:
    """Never replace what is there.

    Raises:
        JobRefused: `publish.exists`.
    """
    if not destination.exists():
        return
    manifest = read_manifest(destination)
    owner = f"job {manifest.get('job_id')}" if manifest else "something that is no artifact"
    raise JobRefused(
        "publish.exists",
        f"{destination.name} is there already, made by {owner}. Remove it, or choose another name.",
    )


def withdraw(artifact: Path, job_id: str) -> None:
    """Remove an artifact of a job that was over before its publication was known; nothing of another job."""
    if (read_manifest(artifact) or {}).get("job_id") == job_id:
        withdrawn = artifact.with_name(f"{artifact.name}{PARTIAL}{job_id}")
        artifact.rename(withdrawn)
        shutil.rmtree(withdrawn, ignore_errors=True)


def sweep_partials(artifacts: Path) -> list[str]:
    """Remove the partial folders whose makers are dead; their names."""
    swept = []
    for partial in sorted(path for path in artifacts.glob(f"*{PARTIAL}*") if path.is_dir()):
        lock = _lock_of(partial)
        if (descriptor := try_lock(lock)) is None:
            continue  # its maker lives
        shutil.rmtree(partial, ignore_errors=True)
        swept.append(partial.name)
        release_lock(lock, descriptor)
    return swept


def _lock_of(partial: Path) -> Path:
    return partial.with_name(f".{partial.name}.lock")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
