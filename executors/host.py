"""A host's processor, memory and disk: from /proc and control groups on Linux, from sysctl on a Mac."""

import os
import platform
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from executors.preflight import CONTROL_GROUP_FILES, available_ram_bytes
from planner.contract.inventory import Cpu

ANSWER_SECONDS = 5.0
MIB = 1024**2


def read_cpu() -> Cpu:
    """Name, and the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Cpu(name=_cpu_name() or platform.machine(), cores=cores or 1)


def read_memory(control_group: Path = Path("/sys/fs/cgroup")) -> tuple[int | None, int | None]:
    """Bytes in all and available to a new process; a control group's limit counts as all there is."""
    try:
        total: int | None = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        total = ask_sysctl("hw.memsize")
    for limit_file, _ in CONTROL_GROUP_FILES:
        with suppress(OSError, ValueError):  # none, or "max"
            limit = int((control_group / limit_file).read_text(encoding="ascii"))
            total = limit if total is None else min(total, limit)
    available = read_apple_available() if platform.system() == "Darwin" else available_ram_bytes()
    return total, available


def read_disk_free(folder: Path) -> int:
    """Free bytes where the folder is, or will be."""
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(place).free


def has_unified_memory() -> bool:
    """Whether an accelerator shares the processor's memory: Apple's chips."""
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def read_gpu_limit() -> int | None:
    """Bytes that the GPU may take of unified memory where somebody set it (macOS's wired limit), or None."""
    limit = ask_sysctl("iogpu.wired_limit_mb")
    return limit * MIB if limit else None


def ask_sysctl(name: str, command: str = "sysctl") -> int | None:
    """A number that the kernel of a Mac gives, or None."""
    text = _say([command, "-n", name])
    return int(text) if text and text.isdigit() else None


def read_apple_available(command: str = "vm_stat") -> int | None:
    """What a Mac can give a new process: pages that are free, inactive, speculative or purgeable."""
    text = _say([command]) or ""
    size = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)\.", text, re.MULTILINE)
    return int(size[1]) * sum(map(int, pages)) if size and pages else None


def _cpu_name() -> str | None:
    if platform.system() == "Darwin":
        return _say(["sysctl", "-n", "machdep.cpu.brand_string"])
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        return None
    return names[0] if names else None


def _say(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
