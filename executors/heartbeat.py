"""Tell the service that this host is there and what it has, every ten seconds, and when it leaves.

What our own processes hold is told beside: the service then keeps for a running job what it was promised, and does
not count twice what it holds already. A service that is gone, or that refuses, is told again with the next beat.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.inventory import HostSnapshot
from planner.contract.requests import HostReport

BEAT_SECONDS = 10.0
LEAVING_SECONDS = 2.0
COPY_BYTES = 32 << 20
COPY_ROUNDS = 3
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

log = logging.getLogger("bitwright.executor")


@dataclass(kw_only=True)
class Heartbeat:
    """Beats from entering to leaving."""

    client: Client
    snapshot: Callable[[], HostSnapshot]
    beat_seconds: float = BEAT_SECONDS
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _is_known: bool = False
    _complaint: str = ""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._go_on, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        assert self._thread is not None
        self._thread.join(LEAVING_SECONDS)

    def _go_on(self) -> None:
        bandwidth = measure_bandwidth()
        while True:
            is_leaving = self._end.is_set()
            self._beat(bandwidth, is_leaving=is_leaving)
            if is_leaving:
                return
            self._end.wait(self.beat_seconds)

    def _beat(self, bandwidth: float, *, is_leaving: bool) -> None:
        if is_leaving and not self._is_known:
            return
        try:
            snapshot = self.snapshot()
            cpu = snapshot.cpu.model_copy(update={"bandwidth_bytes_per_s": bandwidth})
            pids = find_own_processes()
            report = HostReport(
                snapshot=snapshot.model_copy(update={"cpu": cpu}),
                own_pids=sorted(pids),
                own_ram_bytes=sum(pids.values()),
                is_leaving=is_leaving,
            )
            self._tell(report)
        except ContractError as error:
            self._complain(error.message)
        except Exception as error:  # noqa: BLE001 - an inventory that fails must not end the work
            self._complain(f"the inventory could not be told ({type(error).__name__}: {error})")
        else:
            if self._complaint:
                log.info("the service at %s answers again", self.client.url)
            self._complaint = ""

    def _tell(self, report: HostReport) -> None:
        if self._is_known:
            try:
                self.client.send_heartbeat(report)
            except ContractError as error:
                if error.code != "host.unknown":
                    raise
                self._is_known = False
        if not self._is_known and not report.is_leaving:
            self.client.register_host(report)
            self._is_known = True
            log.info("%s is known to %s and waits for work", report.snapshot.host, self.client.url)

    def _complain(self, message: str) -> None:
        """Once for each new trouble, not with every beat."""
        if message != self._complaint:
            log.warning("heartbeat: %s", message)
            self._complaint = message


def find_own_processes(proc: Path = Path("/proc"), own: int | None = None) -> Mapping[int, int]:
    """Resident bytes of this process and all that descend from it, by id; empty where there is no /proc."""
    parents: dict[int, int] = {}
    for entry in proc.glob("[0-9]*"):
        try:
            # The name in brackets may hold anything; the parent is the second field after it.
            rest = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents[int(entry.name)] = int(rest[1])
        except (OSError, IndexError, ValueError):
            continue
    ours = {own or os.getpid()} & parents.keys()
    while found := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= found
    return {pid: _resident_bytes(proc / str(pid)) for pid in ours}


def measure_bandwidth() -> float:
    """Bytes a second that one thread moves in this host's memory."""
    source, sink = bytearray(COPY_BYTES), bytearray(COPY_BYTES)
    best = 0.0
    for _ in range(COPY_ROUNDS):
        start = time.perf_counter()
        sink[:] = source
        best = max(best, 2 * COPY_BYTES / (time.perf_counter() - start))
    return best


def _resident_bytes(entry: Path) -> int:
    try:
        return int((entry / "statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0
