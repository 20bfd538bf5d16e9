"""A backend's own Python environment: built on first use, kept by the hash of pins and interpreter.

It lies under CACHE/environments/<name>-<hash>/ and is shared by all homes. It is built in a folder beside its
place, under a file lock, and renamed when complete; a folder without `complete.json` is never used, and one
left by a builder that died is removed by the next. pip sees the person's own configuration: their pip.conf
and PIP_* variables. A virtual environment is not meant to be moved: its `bin/python` works after the rename,
its other commands do not, and nothing here calls them.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from executors.errors import BackendFailed, EnvironmentFailed
from executors.locks import hold_lock
from executors.preflight import check_disk
from executors.supervise import supervise

BUILD_TIMEOUT_SECONDS = 3600.0
BUILD_SILENCE_SECONDS = 900.0  # one large wheel on a slow line, without a word

PASSED_ON = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip

COMPLETE = "complete.json"
NETWORK_SIGNS = (
    "Temporary failure in name resolution", "Failed to establish a new connection", "Network is unreachable",
    "ConnectTimeoutError", "Connection refused", "Could not fetch URL",
)  # fmt: skip
CREDENTIALS = re.compile(r"://[^/\s@]+@")

OnBuild = Callable[[int, int, float], None]  # packages done, packages expected, seconds left


@dataclass(frozen=True, kw_only=True)
class EnvironmentSpec:
    """What is to be built: a name, its pins, what it is known to cost, and which Pythons it takes."""

    name: str
    requirements: Path
    expected_seconds: float
    expected_disk_bytes: int
    expected_packages: int
    python_at_least: tuple[int, int] = (3, 11)
    python_below: tuple[int, int] = (3, 15)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A finished environment."""

    folder: Path
    built_seconds: float  # when it was built, not now

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"


def open_environment(
    spec: EnvironmentSpec, *, cache: Path, log: Path, on_build: OnBuild, cancel: threading.Event
) -> Environment:
    """The finished environment of these pins, built now if there is none, by one process at a time.

    Raises:
        EnvironmentFailed: `environment.python`, `environment.no_venv`, `environment.no_network`,
            `environment.disk_full`, `environment.pip`, `environment.timeout`.
        JobRefused: `preflight.disk`, `lock.busy`.
        JobCancelled: when cancelled.
    """
    interpreter = find_interpreter(spec)
    folder = cache / "environments" / f"{spec.name}-{name_build(spec.requirements, interpreter)}"
    if (found := read_environment(folder)) is not None:
        return found
    with hold_lock(
        folder.with_name(f".{folder.name}.lock"), wait_seconds=BUILD_TIMEOUT_SECONDS, cancel=cancel
    ):
        if (found := read_environment(folder)) is not None:
            return found
        check_disk(folder.parent, spec.expected_disk_bytes, f"the environment of {spec.name}")
        # Under the lock nobody else builds here, so that whatever lies about was left by someone who died.
        for left_over in folder.parent.glob(f"{folder.name}.building-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        building = folder.with_name(f"{folder.name}.building-{os.getpid()}")
        try:
            seconds = _build(spec, interpreter, building, log=log, on_build=on_build, cancel=cancel)
            _write_complete(building / COMPLETE, {"built_seconds": seconds, "python": interpreter})
            shutil.rmtree(folder, ignore_errors=True)  # unfinished, or read_environment would have found it
            building.rename(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return Environment(folder=folder, built_seconds=seconds)


def read_environment(folder: Path) -> Environment | None:
    """The environment in the folder, if it was finished and its interpreter still runs."""
    try:
        facts = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
        found = Environment(folder=folder, built_seconds=float(facts["built_seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A link to an interpreter that was since removed is no file.
    return found if found.python.is_file() else None


def find_interpreter(spec: EnvironmentSpec) -> str:
    """This Python if the backend takes it, else the first on PATH that it takes."""
    if spec.python_at_least <= sys.version_info[:2] < spec.python_below:
        return getattr(sys, "_base_executable", None) or sys.executable
    for minor in range(spec.python_below[1] - 1, spec.python_at_least[1] - 1, -1):
        if (found := shutil.which(f"python3.{minor}")) is not None:
            return found
    low, high = ".".join(map(str, spec.python_at_least)), ".".join(map(str, spec.python_below))
    raise EnvironmentFailed(
        "environment.python",
        f"{spec.name} needs Python {low} or later, below {high}, and none is on PATH. Install one.",
    )


def name_build(requirements: Path, interpreter: str) -> str:
    """Sixteen hexadecimal digits that change with the pins, the interpreter and its version."""
    version = (
        sys.version if interpreter in (sys.executable, getattr(sys, "_base_executable", "")) else interpreter
    )
    parts = [requirements.read_bytes(), interpreter.encode(), version.encode(), os.uname().machine.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def pip_environment() -> dict[str, str]:
    """What pip needs of the person's own settings."""
    own = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("PIP_")}
    for elsewhere in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"):
        own.pop(elsewhere, None)
    return {
        **own,
        "PIP_USER": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PYTHONNOUSERSITE": "1",
    }


def run_pip(
    python: Path,
    arguments: Sequence[str],
    *,
    what: str,
    log: Path,
    on_line: Callable[[str], None],
    cancel: threading.Event,
) -> None:
    """Run pip, its complaints into the log; on failure, tell their last words.

    Raises:
        EnvironmentFailed: see `open_environment`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    begin = log.stat().st_size

    def receive(line: bytes) -> bool:
        on_line(line.decode("utf-8", errors="replace").rstrip())
        return True

    try:
        ending = supervise(
            [str(python), "-m", "pip", *arguments],
            environment=pip_environment(),
            standard_input=b"",
            log=log,
            on_line=receive,
            cancel=cancel,
            timeout_seconds=BUILD_TIMEOUT_SECONDS,
            silence_seconds=BUILD_SILENCE_SECONDS,
        )
    except BackendFailed as error:
        raise EnvironmentFailed(
            "environment.timeout", f"pip took too long for {what}. Check the network, and run the job again."
        ) from error
    if ending.returncode != 0:
        with log.open("rb") as file:
            file.seek(begin)
            complaint = file.read().decode("utf-8", errors="replace")
        raise explain_pip(what, CREDENTIALS.sub("://***@", complaint).splitlines())


def explain_pip(what: str, lines: Sequence[str]) -> EnvironmentFailed:
    """A sentence for pip's failure, from its last lines."""
    said = "\n".join(lines)
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return EnvironmentFailed(
            "environment.disk_full",
            f"The disk filled up while {what} was installed. Free some space, and run the job again.",
        )
    if any(sign in said for sign in NETWORK_SIGNS):
        return EnvironmentFailed(
            "environment.no_network",
            f"The package registry cannot be reached for {what}. Check the network or pip's index settings.",
        )
    last = " | ".join([line for line in lines if line.strip()][-3:])[-500:]
    return EnvironmentFailed("environment.pip", f"pip could not install {what}: {last or 'it said nothing'}")


def _build(
    spec: EnvironmentSpec,
    interpreter: str,
    building: Path,
    *,
    log: Path,
    on_build: OnBuild,
    cancel: threading.Event,
) -> float:
    """Make the environment in the folder; the seconds it took."""
    started = time.monotonic()
    collected = 0

    def follow(line: str) -> None:
        nonlocal collected
        # "Collecting x" on a download, "Processing x.whl" where the registry is a folder.
        collected += line.startswith(("Collecting ", "Processing "))
        left = max(0.0, spec.expected_seconds - (time.monotonic() - started))
        on_build(min(collected, spec.expected_packages), spec.expected_packages, left)

    on_build(0, spec.expected_packages, spec.expected_seconds)
    has_requirements = any(
        line.strip() and not line.startswith("#")
        for line in spec.requirements.read_text(encoding="utf-8").splitlines()
    )
    building.parent.mkdir(parents=True, exist_ok=True)
    command = [interpreter, "-m", "venv", *([] if has_requirements else ["--without-pip"]), str(building)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=pip_environment())
    if made.returncode != 0:
        said = (made.stdout.strip() or made.stderr.strip())[-200:]
        raise EnvironmentFailed(
            "environment.no_venv",
            f"Python cannot make virtual environments ({said}). "
            "On Debian and Ubuntu: apt install python3-venv.",
        )
    if has_requirements:
        run_pip(
            building / "bin" / "python",
            ["install", "--progress-bar", "off", "--no-compile", "-r", str(spec.requirements)],
            what=f"the environment of {spec.name}",
            log=log,
            on_line=follow,
            cancel=cancel,
        )
    on_build(spec.expected_packages, spec.expected_packages, 0.0)
    return round(time.monotonic() - started, 1)


def _write_complete(path: Path, facts: dict[str, object]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
