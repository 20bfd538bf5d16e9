"""How Bitwright is installed here: packages against what was asked for, commands, folders, the package registry.

Left out: packages of backend environments, which their own pins fix; and what uses more than a second, except the
registry, which is given `REGISTRY_SECONDS`.
"""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REGISTRY_SECONDS = 10.0
ASKED_FOR = "numpy"
"""A package that every registry has."""
BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*([\w.]+)")


def find_misfits(distribution: str = "bitwright") -> tuple[dict[str, str], int]:
    """Packages that are missing or outside the range they were asked for, and how many were asked for."""
    asked = [line for line in importlib.metadata.requires(distribution) or () if "extra ==" not in line]
    misfits = {}
    for line in asked:
        name = re.match(r"[\w.-]+", line)
        assert name is not None
        try:
            version = importlib.metadata.version(name[0])
        except importlib.metadata.PackageNotFoundError:
            misfits[name[0]] = "is not installed"
            continue
        wanted = line[name.end() :].partition(";")[0]
        if not all(_holds(version, sign, bound) for sign, bound in BOUND.findall(wanted)):
            misfits[name[0]] = f"is {version}, {wanted.strip()} was asked for"
    return misfits, len(asked)


def find_commands() -> tuple[list[str], dict[str, str]]:
    """Commands that other packages bring, and why one of them cannot be loaded."""
    failures = {}
    points = importlib.metadata.entry_points(group="bitwright.commands")
    for point in points:
        try:
            point.load()
        except Exception as error:  # noqa: BLE001 - whatever its import throws is the answer
            failures[point.name] = f"cannot be loaded ({type(error).__name__}: {error})"
    return [point.name for point in points], failures


def try_folder(folder: Path) -> tuple[str, int]:
    """Why the folder cannot be written (empty: it can, or could be made), and free bytes on its disk."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir():
        return f"{place} is no folder", 0
    try:
        free = shutil.disk_usage(place).free
        if place != folder.absolute():
            # A probe, as permissions say nothing on file systems that are the kernel's own; it goes again at once.
            Path(tempfile.mkdtemp(dir=place, prefix=".bitwright-")).rmdir()
            return "", free
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0")
    except OSError as error:
        what = "not writable" if place == folder.absolute() else "it cannot be made"
        return f"{what} ({error.strerror})", 0
    return "", free


def ask_registry() -> str:
    """Why pip cannot reach its package registry with the person's own settings; empty: it can."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "index",
        "versions",
        ASKED_FOR,
        "--retries",
        "0",
        "--timeout",
        "5",
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=REGISTRY_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer in {REGISTRY_SECONDS:.0f} s"
    except OSError as error:
        return f"pip cannot be run ({error.strerror})"
    if done.returncode == 0:
        return ""
    errors = [
        line for line in done.stderr.splitlines() if line.startswith("ERROR")
    ] or done.stderr.splitlines()
    return errors[-1].removeprefix("ERROR: ") if errors else "pip gave no reason"


def _holds(version: str, sign: str, bound: str) -> bool:
    have, want = _numbers(version), _numbers(bound)
    return {
        ">=": have >= want,
        ">": have > want,
        "<=": have <= want,
        "<": have < want,
        "==": have == want,
        "!=": have != want,
    }[sign]


def _numbers(version: str) -> tuple[int, ...]:
    """The release numbers without trailing zeros, so that 1.0 is 1."""
    numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[a-z+-]", version, maxsplit=1)[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
