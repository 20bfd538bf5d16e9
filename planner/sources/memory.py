"""This machine's memory and what a new process could take of it, within what a control group allows."""

import os
from contextlib import suppress
from pathlib import Path

CONTROL_GROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)
"""Limit and use, of version 2 and of version 1."""


def read_memory(
    meminfo: Path = Path("/proc/meminfo"), control_group: Path = Path("/sys/fs/cgroup")
) -> tuple[int, int]:
    """Bytes in all and available to a new process, within what a control group allows and already uses.

    An executor counts the same way before it starts a job.
    """
    fields: dict[str, int] = {}
    try:
        with meminfo.open(encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                fields[name] = int(rest.split()[0]) * 1024
        total, available = fields["MemTotal"], fields["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        available = total
    for limit_file, use_file in CONTROL_GROUP_FILES:
        with suppress(OSError, ValueError):  # "max" is no number: no limit
            limit = int((control_group / limit_file).read_text(encoding="ascii"))
            used = int((control_group / use_file).read_text(encoding="ascii"))
            total, available = min(total, limit), min(available, max(0, limit - used))
    return total, available
