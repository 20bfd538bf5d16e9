"""Judge and predict candidates of one model on one target, sharing what candidates have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from planner.domain.choose.candidates import Candidate, Tables
from planner.domain.choose.legality import Verdict, judge_candidate
from planner.domain.choose.objective import Scored
from planner.domain.choose.prospects import Prospect, list_prospects, look_at
from planner.domain.facts.evidence import EvidenceBase, JobRate
from planner.domain.facts.hardware import Device, DeviceKind, Target
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request, Workload
from planner.domain.facts.storage import bytes_read_per_step
from planner.domain.facts.tensors import count_active_parameters, count_parameters, tensor_layout
from planner.domain.predict.constants import MemoryConstants
from planner.domain.predict.engine_defaults import SERVE_TERMS, resolve_constants
from planner.domain.predict.extras import NO_EXTRAS, ExtraAsk, Extras, predict_extras
from planner.domain.predict.job_cost import NOTHING_TO_MAKE, JobCost, find_rate, predict_job_cost
from planner.domain.predict.kv_cache import kv_bytes_by_layer
from planner.domain.predict.links import Exchange, pace_of, predict_exchange
from planner.domain.predict.memory import MemoryEstimate, Weights, predict_memory
from planner.domain.predict.quality import QualityAsk, QualityPrediction, predict_quality
from planner.domain.predict.seats import Division, Seating, seat_devices
from planner.domain.predict.speed import beside_host, copy_for_prompts, held_tokens, predict_speed

NOTHING_ELSE = ExtraAsk()
HELD_OUT_TEXT = "held-out text"
"""Row of `data/benchmarks.csv` for the perplexity that every job measures here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """Everything a decision may depend on."""

    request: Request
    model: ModelFacts
    model_id: str
    """The id with the suffix that was typed."""
    notes: tuple[str, ...]
    """What was assumed on the way here, one sentence each."""
    target: Target
    tables: Tables
    evidence: EvidenceBase
    versions: dict[str, str]
    """Hashes and versions of the inputs, as the record lists them."""


class Judged(NamedTuple):
    """A candidate, the memory it takes, and whether it may load."""

    prospect: Prospect
    memory: MemoryEstimate
    verdict: Verdict

    @property
    def candidate(self) -> Candidate:
        """What was judged."""
        return self.prospect.candidate


@dataclass(frozen=True, slots=True)
class Pace:
    """What speed stands on beside the weights, for all candidates of one division."""

    device: Device
    """The device whose bandwidth stands for all in use."""
    exchange: Exchange
    """What ranks spend on talking to each other."""
    kv_bytes_read: float
    """Of one sequence in one step."""


class Predictor:
    """Predicts candidates of one model on one target under one workload.

    Args:
        inputs: what the decision depends on.
        workload: what is served.
        extras: drafts, adapters and the like that are held beside the model.
        constants: memory constants of one engine; None: those of its newest version on these cards.

    Raises:
        BadInput: the model's layout is not covered.
    """

    def __init__(
        self,
        inputs: PlanInputs,
        workload: Workload,
        extras: ExtraAsk = NOTHING_ELSE,
        constants: MemoryConstants | None = None,
    ) -> None:
        self.inputs = inputs
        self.extras = extras
        self.workload = workload
        layout = tensor_layout(inputs.model)
        self.params = count_parameters(layout)
        self.active_params = count_active_parameters(inputs.model, layout)
        self._own_constants = constants
        self._constants: dict[str, MemoryConstants] = {}
        self._seatings: dict[tuple[Division, str, Extras | None], Seating] = {}
        self._memory: dict[tuple[Seating, Weights], MemoryEstimate] = {}
        self._paces: dict[tuple[Division, str], Pace] = {}
        self._qualities: dict[tuple[str, str, int | None], tuple[QualityPrediction, QualityPrediction]] = {}

    def list_prospects(self) -> Sequence[Prospect]:
        """Everything worth weighing.

        Raises:
            BadInput: an engine or a scheme was asked for by name and no recipe has it.
        """
        inputs = self.inputs
        return list_prospects(inputs.request, inputs.model, inputs.target, inputs.tables)

    def look_at(self, candidate: Candidate) -> Prospect:
        """The prospect of one candidate."""
        inputs = self.inputs
        return look_at(candidate, inputs.request.schemes, inputs.model, inputs.target, inputs.tables)

    def judge(self, prospect: Prospect) -> Judged:
        """What it takes, and whether it may load: enough to refuse it."""
        memory = self.memory_of(prospect)
        verdict = judge_candidate(prospect.candidate, prospect.standing, self.inputs.target, memory)
        return Judged(prospect, memory, verdict)

    def score(self, judged: Judged) -> Scored:
        """Everything else that is predicted about a candidate."""
        inputs, prospect = self.inputs, judged.prospect
        candidate, place = prospect.candidate, prospect.candidate.placement
        sequences = -(-self.workload.concurrency // place.dp)
        pace = self._pace_of(prospect)
        exchange = pace.exchange
        if place.offload:
            batch = self._constants_of(candidate.engine)[candidate.engine, "batched_tokens"].likely
            exchange = copy_for_prompts(exchange, judged.memory.host_bytes, batch)
        quality, also = self._qualities_of(candidate)
        bytes_read = bytes_read_per_step(prospect.stored, inputs.model, sequences)
        return Scored(
            candidate=candidate,
            verdict=judged.verdict,
            memory=judged.memory,
            quality=quality,
            also_quality=(also,),
            speed=predict_speed(
                engine=candidate.engine,
                placement=place,
                device=pace.device,
                workload=self.workload,
                weights_bytes_read=bytes_read,
                kv_bytes_read=pace.kv_bytes_read,
                params=self.active_params,
                params_total=inputs.model.params_total,
                weight_bits=candidate.scheme.weight_bits,
                evidence=inputs.evidence,
                exchange=exchange,
            ),
            bytes_per_step=bytes_read / place.tp + sequences * pace.kv_bytes_read,
            artifact_bytes=prospect.artifact_bytes,
            bits_per_weight=prospect.bits_per_weight,
            job=self._job_of(prospect),
        )

    def _job_of(self, prospect: Prospect) -> JobCost:
        """Cost of making it; nothing for 16 bits as released, a download for what exists."""
        model, tables, candidate = self.inputs.model, self.inputs.tables, prospect.candidate
        size, device = prospect.artifact_bytes, prospect.devices[0]
        backend, method = candidate.backend, candidate.method
        if backend is None:
            return _nothing_to_make(0 if model.path else size)
        past = find_rate(self.inputs.evidence, backend, method, device.name, model.params_total)
        return _cost_of_making(model, backend, method, candidate.calibrated, device.kind, size, tables, past)

    def memory_of(self, prospect: Prospect) -> MemoryEstimate:
        """Memory of the worst device."""
        key = (self._seat(prospect), prospect.weights)
        found = self._memory.get(key)
        if found is None:
            found = predict_memory(*key, host_ram_bytes=self.inputs.target.ram_bytes)
            self._memory[key] = found
        return found

    def _seat(self, prospect: Prospect) -> Seating:
        """The devices of a candidate's placement, which candidates of other schemes share."""
        candidate = prospect.candidate
        extras = None if self.extras is NOTHING_ELSE else self._extras_of(candidate)
        key = (prospect.division, candidate.kv_dtype, extras)
        found = self._seatings.get(key)
        if found is None:
            constants = self._constants_of(candidate.engine)
            found = self._seatings[key] = seat_devices(
                prospect.division, self.workload, candidate.kv_dtype, constants, extras or NO_EXTRAS
            )
        return found

    def _pace_of(self, prospect: Prospect) -> Pace:
        key = (prospect.division, prospect.candidate.kv_dtype)
        found = self._paces.get(key)
        if found is None:
            found = self._paces[key] = self._set_pace(prospect.candidate)
        return found

    def _set_pace(self, candidate: Candidate) -> Pace:
        model, target, place = self.inputs.model, self.inputs.target, candidate.placement
        used = target.devices[: place.devices]
        is_by_layer = self.inputs.tables.engines[candidate.engine].split == "layer" and place.dp == 1
        slowest = pace_of(used, is_by_layer=is_by_layer and place.pp > 1)
        on_host = place.offload / model.num_layers if slowest.kind == "gpu" else 0.0
        sequences = -(-self.workload.concurrency // place.dp)
        tokens = held_tokens(self.workload)
        return Pace(
            device=beside_host(slowest, on_host),
            exchange=predict_exchange(model, place, used, target.link, sequences, self.inputs.tables.links),
            kv_bytes_read=sum(
                kv_bytes_by_layer(model, candidate.kv_dtype, tokens, engine=candidate.engine, tp=place.tp)
            ),
        )

    def _constants_of(self, engine: str) -> MemoryConstants:
        """The newest version's constants on these cards, with what the serve command writes out."""
        if self._own_constants is not None:
            return self._own_constants
        if engine not in self._constants:
            self._constants[engine] = _newest_constants(
                self.inputs.tables, engine, self.inputs.target.devices[0]
            )
        return self._constants[engine]

    def _extras_of(self, candidate: Candidate) -> Extras:
        return predict_extras(
            self.extras,
            self.inputs.model,
            candidate.scheme,
            candidate.group_size,
            self.inputs.tables.schemes["BF16", "safetensors"],
            candidate.kv_dtype,
            tp=candidate.placement.tp,
        )

    def _qualities_of(self, candidate: Candidate) -> tuple[QualityPrediction, QualityPrediction]:
        """On the benchmark of the workload's task, and on the text that every job measures."""
        key = (candidate.scheme.name, candidate.method, candidate.group_size)
        found = self._qualities.get(key)
        if found is None:
            found = self._qualities[key] = (
                self.quality_of(candidate, self.workload.task),
                self.quality_of(candidate, HELD_OUT_TEXT),
            )
        return found

    def quality_of(self, candidate: Candidate, task: str) -> QualityPrediction:
        """Change on the benchmark that stands for a task."""
        benchmark, *related = self.inputs.tables.benchmarks[task]
        return predict_quality(
            QualityAsk(
                model_id=self.inputs.model.model_id,
                params=self.params,
                scheme=candidate.scheme.name,
                method=candidate.method,
                group_size=candidate.group_size,
                bits=candidate.scheme.weight_bits,
                benchmark=benchmark,
                related=tuple(related),
            ),
            self.inputs.evidence,
        )


@lru_cache(maxsize=512)
def _newest_constants(tables: Tables, engine: str, device: Device) -> MemoryConstants:
    return resolve_constants(tables.memory, tables.defaults, engine, device, keep=SERVE_TERMS)


@lru_cache(maxsize=4096)
def _nothing_to_make(disk_bytes: int) -> JobCost:
    return replace(NOTHING_TO_MAKE, disk_bytes=disk_bytes)


@lru_cache(maxsize=4096)
def _cost_of_making(
    model: ModelFacts,
    backend: str,
    method: str,
    calibrated: bool,
    kind: DeviceKind,
    artifact_bytes: int,
    tables: Tables,
    past: JobRate | None,
) -> JobCost:
    """Cost of one artifact, which candidates of several placements and engines share."""
    return predict_job_cost(
        model,
        backend=backend,
        method=method,
        calibrated=calibrated,
        kind=kind,
        artifact_bytes=artifact_bytes,
        constants=tables.jobs,
        past=past,
    )
