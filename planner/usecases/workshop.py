"""Everything the use cases work with, put together once in `main`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.ports import (
    AuditRows,
    ClaimStore,
    Clock,
    DecisionStore,
    EvidenceLog,
    HostStore,
    Inventory,
    JobEventStore,
    JobStore,
    Knowledge,
    MeasurementStore,
    ModelCatalog,
    RecordCounts,
    TokenStore,
)

if TYPE_CHECKING:  # a command that plans nothing need not wait for all that predicts
    from planner.domain.choose.predictor import PlanInputs
    from planner.domain.record.decision import WrittenBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The ports of one process."""

    catalog: ModelCatalog
    inventory: Inventory
    knowledge: Knowledge
    decisions: DecisionStore
    jobs: JobStore
    claims: ClaimStore
    job_events: JobEventStore
    measurements: MeasurementStore
    evidence: EvidenceLog
    tokens: TokenStore
    hosts: HostStore
    counts: RecordCounts
    clock: Clock
    decide: "Callable[[PlanInputs], WrittenBody]"
    """The body of a decision, written; many may be asked for at once."""
    audit: Callable[[str], AuditRows]
    """Column names and rows of one SELECT."""
    together: Callable[[], AbstractContextManager[Any]]
    """What is recorded inside is kept, and seen by others, together or not at all."""
    cache: Path
    """Where executors keep what can be rebuilt."""
    close: Callable[[], None]
    lease_seconds: float = 60.0
    """How long a host keeps a job that it does not renew."""
    approval_minutes: float = 30.0
    """A job that may take longer is approved by someone else than who asked; 0 asks it of every job."""
