"""What clients send. Unknown fields are refused, so that a misspelt option is never silently ignored."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from planner.contract.inventory import HostSnapshot

LONGEST_WAIT_SECONDS = 30.0
MOST_EVENTS = 500
MOST_PROCESSES = 10_000


class Sent(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(BaseModel):
    """A question in the planner's own words: what it does not know is refused by the planner, by name.

    So that the same slip gets the same sentence here, in a batch line and on the command line.
    """

    model_config = ConfigDict(extra="allow", frozen=True)


class PlanAsk(Asked):
    """A sentence, or `model` and `on`; the other fields override what the sentence says."""

    ask: str | None = None
    model: str | None = None
    on: str | None = None
    context: int | str | None = None
    concurrency: int | None = None
    objective: str | None = None
    engine: str | None = None
    task: str | None = None
    kv_dtype: str | None = None
    scheme: str | None = None
    method: str | None = None
    group_size: int | None = None
    must_quantize: Any = None
    """Leave 16 bits and published checkpoints out: something is to be made."""


class EstimateAsk(Asked):
    """One candidate, spelled out: `model`, `scheme` and `device` are needed, the rest has defaults."""

    model: Any = None
    scheme: Any = None
    device: Any = None
    method: Any = None
    format: Any = None
    group_size: Any = None
    act_order: Any = None
    symmetric: Any = None
    engine: Any = None
    engine_version: Any = None
    count: Any = None
    tp: Any = None
    pp: Any = None
    dp: Any = None
    ep: Any = None
    offload: Any = None
    context: Any = None
    prompt_tokens: Any = None
    concurrency: Any = None
    kv_dtype: Any = None
    free_bytes: Any = None
    gpu_memory_utilization: Any = None
    max_num_batched_tokens: Any = None
    engine_options: Any = None


class PredictionAsk(Asked):
    """A benchmark of a model under a scheme: `model`, `scheme` and `benchmark` are needed."""

    model: Any = None
    scheme: Any = None
    benchmark: Any = None
    method: Any = None
    group_size: Any = None
    baseline_value: Any = None


class PlanBatch(Sent):
    """Many plans, answered in order; none is recorded unless asked."""

    plans: list[dict[str, Any]]
    record: bool = False


class CandidateChoice(Sent):
    """Which candidate of a decision to make; what is left out matches any, the best-ranked match is taken."""

    scheme: str | None = None
    method: str | None = None
    format: str | None = None
    engine: str | None = None
    group_size: int | None = None
    tp: int | None = None
    pp: int | None = None


class JobSubmission(Sent):
    """Make a decision's chosen candidate, or the one that `choice` names."""

    decision_id: str
    choice: CandidateChoice = CandidateChoice()
    calibration_file: str | None = None
    """A text or JSONL file on the host that runs the job; its built-in text without one."""


class TokenAsk(Sent):
    """A token to make."""

    scopes: list[str]
    name: str | None = None
    speaks_for_others: bool = False
    """Whether its requests may name, in `On-Behalf-Of`, the person for whom they are made."""


class HostReport(Sent):
    """A host as it is now, from its executor."""

    snapshot: HostSnapshot
    own_pids: Annotated[list[int], Field(max_length=MOST_PROCESSES)] = Field(default_factory=list)
    """The executor and its job's processes: what they hold is not somebody else's."""
    own_ram_bytes: int = 0
    is_leaving: bool = False
    """The executor ends: nothing can be planned for this host until it is there again."""


class ClaimAsk(Sent):
    """An executor asks for work."""

    job_id: str | None = None
    """Only this job; any approved one without it."""
    wait_seconds: Annotated[float, Field(ge=0, le=LONGEST_WAIT_SECONDS)] = 0.0


class ReportedEvents(Sent):
    """Progress of a claimed job, oldest first."""

    events: Annotated[list[dict[str, Any]], Field(max_length=MOST_EVENTS)]


class JobReport(Sent):
    """A finished job: where the artifact lies on the host, its manifest and what was measured."""

    artifact_dir: str
    manifest: dict[str, Any]
    measurement: dict[str, Any]


class JobFailure(Sent):
    """Why a job ended without an artifact."""

    code: str
    message: str


class AuditQuestion(Sent):
    """One SELECT statement."""

    sql: str
