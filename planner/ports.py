"""What the use cases need from outside, named by need. Adapters in `store` and `sources` satisfy these by shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from planner.domain.choose.candidates import Tables
from planner.domain.facts.evidence import EvidenceBase
from planner.domain.facts.hardware import Target
from planner.domain.facts.model_names import ModelMatch
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.facts.spellings import Spellings
from planner.domain.record.decision import Decision, Draft
from planner.domain.record.host import Host
from planner.domain.record.job import Job, JobState
from planner.domain.record.token import Token


@dataclass(frozen=True, slots=True)
class KnowledgeVersion:
    """Which tables and which evidence a decision stands on; enough to find them again."""

    data_sha256: str
    rules_sha256: str
    highest_evidence_id: int

    @property
    def evidence_version(self) -> str:
        """As a decision records it: the hash of data/ and the highest evidence row id."""
        return f"{self.data_sha256}+{self.highest_evidence_id}"


@dataclass(frozen=True, slots=True)
class AuditRows:
    """What an audit question gave."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
    """Whether there were more rows than are answered."""


class Clock(Protocol):
    """The time, for records."""

    def now(self) -> str:
        """ISO 8601 in UTC."""
        ...


class Knowledge(Protocol):
    """Tables and evidence, of now or of a recorded version."""

    def version(self) -> KnowledgeVersion:
        """The newest version."""
        ...

    def tables(self, version: KnowledgeVersion) -> Tables:
        """Planning tables of a version."""
        ...

    def evidence(self, version: KnowledgeVersion, benchmark: str | None = None) -> EvidenceBase:
        """Evidence as of a version, with results on one benchmark more than planning looks at."""
        ...

    def spellings(self) -> Spellings:
        """How people and evidence write schemes, methods, benchmarks, engines and cards."""
        ...


class ModelCatalog(Protocol):
    """Models by id, alias or local folder."""

    def find_model(self, words: str) -> ModelMatch:
        """The model that words name."""
        ...


class Inventory(Protocol):
    """Devices by words, or this machine's own."""

    def find_target(self, asks: Sequence[DeviceAsk]) -> Target:
        """The target that words describe, with what was assumed."""
        ...


class DecisionStore(Protocol):
    """The chain of decisions and the inputs they stand on."""

    def add_decisions(self, drafts: Sequence[Draft], created_at: str) -> list[Decision]:
        """Seal and keep, with the requests and the inputs they name; all or none."""
        ...

    def find_decision(self, decision_id: str) -> Decision:
        """By id or the beginning of one."""
        ...

    def list_decisions(self, row_limit: int, before: str | None = None) -> list[dict[str, Any]]:
        """Newest first, in short; only those older than the decision `before`."""
        ...

    def find_document(self, sha256: str) -> Any:
        """An input by hash."""
        ...


class JobStore(Protocol):
    """Jobs and their states."""

    def add_job(self, job: Job, idempotency_key: str | None) -> str:
        """Keep a job, answer its id or that of the one the key made before."""
        ...

    def find_job(self, job_id: str) -> Job:
        """By id."""
        ...

    def list_jobs(self, decision_id: str | None, row_limit: int, before: str | None = None) -> list[Job]:
        """Newest first; only those that come after the job `before` in that order."""
        ...

    def move_job(
        self,
        job_id: str,
        from_state: JobState,
        state: JobState,
        at: str,
        *,
        host: str | None = None,
        claim_id: str | None = None,
        approved_by: str | None = None,
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> bool:
        """Move if the state is still what was seen."""
        ...


class ClaimStore(Protocol):
    """Which host holds which job, and until when."""

    def oldest_approved_job(self, host: str) -> str | None:
        """The next job that a host may have."""
        ...

    def add_claim(self, claim_id: str, job_id: str, host: str, at: str, leased_until: str) -> None:
        """Keep a claim."""
        ...

    def renew_claim(self, claim_id: str, leased_until: str) -> None:
        """Move the end of its lease."""
        ...

    def extend_claims(self, leased_until: str) -> None:
        """Move the end of every lease that holds a job."""
        ...

    def find_claimed_job(self, claim_id: str) -> Job:
        """The job that a claim holds."""
        ...

    def list_running_jobs(self, host: str) -> list[Job]:
        """Jobs that a host holds."""
        ...

    def list_lapsed_jobs(self, now: str) -> list[str]:
        """Claimed jobs whose lease has ended."""
        ...


class RecordCounts(Protocol):
    """How much the record holds."""

    def count_record(self) -> Mapping[tuple[str, str], int]:
        """Numbers by subject and part."""
        ...


class HostStore(Protocol):
    """Hosts, as they were when they were last heard of."""

    def register_host(self, host: Host) -> None:
        """Keep a host that is new, or there again."""
        ...

    def hear_host(self, host: Host) -> bool:
        """Keep what a known host has now; False when no host has that name."""
        ...

    def list_hosts(self, now: str) -> list[Host]:
        """By name, those that are gone too, each with its age."""
        ...


class TokenStore(Protocol):
    """Who may call the service."""

    def add_token(self, token: Token) -> None:
        """Keep a token."""
        ...

    def find_token(self, token_id: str) -> Token | None:
        """By id."""
        ...

    def list_tokens(self) -> list[Token]:
        """Oldest first, revoked ones too."""
        ...

    def revoke_token(self, token_id: str, at: str) -> None:
        """End a token."""
        ...


class JobEventStore(Protocol):
    """What a job told while it ran."""

    def add_job_event(self, job_id: str, event: Mapping[str, Any], at: str) -> None:
        """Append an event."""
        ...

    def list_job_events(self, job_id: str, after: int) -> list[dict[str, Any]]:
        """Events after a number."""
        ...


class MeasurementStore(Protocol):
    """Measured figures beside predicted ones."""

    def add_measurement(self, row: Mapping[str, Any]) -> None:
        """Keep one."""
        ...

    def list_measurements(self, decision_id: str) -> list[dict[str, Any]]:
        """All of a decision's jobs."""
        ...


class EvidenceLog(Protocol):
    """Where measurements become evidence, and where people look them up."""

    def add_row(self, row: Mapping[str, Any]) -> int:
        """Append one row, answer its id."""
        ...

    def find_rows(
        self,
        data_sha256: str,
        *,
        subject: str | None,
        model: str | None,
        scheme: str | None,
        metric: str | None,
        row_limit: int,
        before: int | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of one data version and this home's own, newest first."""
        ...

    def count_sources(self, data_sha256: str) -> list[dict[str, Any]]:
        """Sources with their number of rows."""
        ...
