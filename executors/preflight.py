"""Is there room on this host for the job's own predicted needs? Asked first, answered with numbers.

Accelerator memory is judged where the inventory is: the caller passes what is free, if it knows. Free memory
is what the system calls available, less where a control group allows less; both may change a second later.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from executors.errors import JobRefused

GIB = 1024**3
CONTROL_GROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Limit and use, of version 2 and of version 1."""


def check_disk(folder: Path, needed_bytes: int, what: str) -> None:
    """Refuse when the folder's file system has too little room.

    Raises:
        JobRefused: `preflight.disk`.
    """
    free = shutil.disk_usage(_nearest_existing(folder)).free
    if needed_bytes > free:
        raise JobRefused(
            "preflight.disk",
            f"Not enough disk for {what}: it needs {_gib(needed_bytes)}, {_gib(free)} are free. "
            "Nothing was started. Free some space, or choose another folder.",
        )


def check_ram(needed_bytes: int, what: str) -> None:
    """Refuse when the host has too little memory; a host that does not tell is let pass.

    Raises:
        JobRefused: `preflight.ram`.
    """
    available = available_ram_bytes()
    if available is not None and needed_bytes > available:
        raise JobRefused(
            "preflight.ram",
            f"Not enough memory for {what}: it needs {_gib(needed_bytes)}, {_gib(available)} are available. "
            "Nothing was started. Free some, or run it on a host with more.",
        )


def check_vram(needed_bytes: int, free_bytes: int | None, what: str) -> None:
    """Refuse when the accelerator has too little memory free; unknown is let pass.

    Raises:
        JobRefused: `preflight.vram`.
    """
    if free_bytes is not None and needed_bytes > free_bytes:
        raise JobRefused(
            "preflight.vram",
            f"Not enough accelerator memory for {what}: it needs {_gib(needed_bytes)}, "
            f"{_gib(free_bytes)} are free. "
            "Nothing was started. End what holds it, or run it on another host.",
        )


def available_ram_bytes(
    meminfo: Path = Path("/proc/meminfo"), control_group: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Memory a new process may take, or None where the system does not say."""
    available: int | None = None
    with suppress(OSError, StopIteration, ValueError):
        lines = meminfo.read_text(encoding="ascii").splitlines()
        available = int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
    if available is None:
        with suppress(ValueError, OSError):
            available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit_file, use_file in CONTROL_GROUP_FILES:
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            limit = int((control_group / limit_file).read_text(encoding="ascii"))
            left = max(0, limit - int((control_group / use_file).read_text(encoding="ascii")))
            available = left if available is None else min(available, left)
    return available


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
