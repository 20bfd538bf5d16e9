"""A host as it was when it was last heard of: its snapshot, and what of it Bitwright's own jobs held.

A host is live while it is heard of, stale after two minutes of silence, and gone after fifteen or when it said that
it leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

HostState = Literal["live", "stale", "gone"]
STALE_SECONDS = 120.0
GONE_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host that runs, or ran, an executor."""

    name: str
    registered_at: str
    seen_at: str
    snapshot: Mapping[str, Any]
    """The contract's HostSnapshot as JSON."""
    own_pids: tuple[int, ...] = ()
    """Processes of the executor and its job: what they hold is what the job was promised, not somebody else's."""
    own_ram_bytes: int = 0
    left_at: str | None = None
    age_seconds: float = 0.0
    """How long ago it was heard of when it was looked up."""


def judge_host(host: Host) -> HostState:
    """Whether what is known of it can be planned with."""
    if host.left_at is not None or host.age_seconds > GONE_SECONDS:
        return "gone"
    return "stale" if host.age_seconds > STALE_SECONDS else "live"
