"""The accelerator of this machine that shares its memory: Apple's chips, and AMD's with graphics in the processor.

What a GPU may take is asked of the system: macOS's wired limit where somebody set it, amdgpu's graphics memory and
GTT on Linux. Where the system does not say, the table's row answers.
"""

import platform
import re
import subprocess
from dataclasses import replace
from pathlib import Path

from planner.domain.facts.hardware import Device
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.hardware_target import share_memory
from planner.domain.units import GIB, MIB, format_gib

ANSWER_SECONDS = 5.0
CARDS = Path("/sys/class/drm")
AMD_VENDOR = "0x1002"
WORTH_PLANNING_BYTES = 4 * GIB
"""Graphics memory below this belongs to a display, not to a card that serves models."""


def read_shared(
    names: AcceleratorNames, processor: str, total_bytes: int, available_bytes: int, cards: Path = CARDS
) -> Device | None:
    """The chip's accelerator with what it may take of the memory now; None where there is none that a table knows."""
    if platform.system() == "Darwin":
        return read_apple(names, total_bytes) if platform.machine() == "arm64" else None
    sizes = read_amd_memory(cards)
    row = None if sizes is None else names.resolve_chip(processor, total_bytes)
    if row is None or sizes is None:
        return None
    limit = sizes["vram_total"] + sizes["gtt_total"]
    # Graphics memory was set aside at start; GTT is taken of what the host still has.
    free = (
        sizes["vram_total"]
        - sizes["vram_used"]
        + min(sizes["gtt_total"] - sizes["gtt_used"], available_bytes)
    )
    device = share_memory(row, limit, None)
    return replace(device, reserved_bytes=0, held_bytes=limit - free, source="amdgpu on this machine")


def name_amd_card(cards: Path = CARDS) -> tuple[str, ...]:
    """What to say of an AMD card here: amdgpu gives its memory and no name that a table knows."""
    sizes = read_amd_memory(cards)
    if sizes is None or sizes["vram_total"] < WORTH_PLANNING_BYTES:
        return ()
    memory = format_gib(sizes["vram_total"])
    return (f"an AMD card with {memory} is here and not planned for: name it, as in `for RX 7900 XTX`",)


def read_apple(
    names: AcceleratorNames, total_bytes: int, sysctl: str = "sysctl", vm_stat: str = "vm_stat"
) -> Device | None:
    """An Apple chip: three quarters of its memory (two thirds below 36 GiB), or the wired limit that somebody set."""
    row = names.resolve_chip(_say([sysctl, "-n", "machdep.cpu.brand_string"]), total_bytes)
    if row is None:
        return None
    limit = _say([sysctl, "-n", "iogpu.wired_limit_mb"])
    device = share_memory(
        row, total_bytes, _read_apple_available(vm_stat), int(limit) * MIB if limit.isdigit() else None
    )
    return replace(device, source="macOS on this machine")


def read_amd_memory(cards: Path) -> dict[str, int] | None:
    """Bytes of graphics memory and GTT of the first AMD GPU, in all and used; None without one."""
    for device in sorted(cards.glob("card*/device")):
        try:
            if (device / "vendor").read_text(encoding="ascii").strip() != AMD_VENDOR:
                continue
            return {
                f"{kind}_{what}": int((device / f"mem_info_{kind}_{what}").read_text(encoding="ascii"))
                for kind in ("vram", "gtt")
                for what in ("total", "used")
            }
        except (OSError, ValueError):
            continue
    return None


def _read_apple_available(command: str) -> int | None:
    """Free, inactive, speculative and purgeable pages, in bytes."""
    text = _say([command])
    size = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)\.", text, re.MULTILINE)
    return int(size[1]) * sum(map(int, pages)) if size and pages else None


def _say(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
