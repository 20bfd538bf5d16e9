"""Judge and predict candidates of one model on one target, sharing what candidates have in common."""

from dataclasses import dataclass, replace
from functools import lru_cache

from planner.domain.choose.candidates import Candidate, Tables
from planner.domain.choose.legality import Verdict, judge_candidate
from planner.domain.choose.objective import Scored
from planner.domain.facts.evidence import EvidenceBase
from planner.domain.facts.gguf import container_bytes
from planner.domain.facts.hardware import Device, DeviceKind, Target
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request, Workload
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import StoredBytes, bits_per_weight, bytes_read_per_step, stored_bytes
from planner.domain.facts.tensors import Tensor, count_active_parameters, count_parameters, tensor_layout
from planner.domain.predict.constants import MemoryConstants
from planner.domain.predict.engine_defaults import SERVE_TERMS, resolve_constants
from planner.domain.predict.extras import NO_EXTRAS, ExtraAsk, Extras, predict_extras
from planner.domain.predict.job_cost import NOTHING_TO_MAKE, JobCost, predict_job_cost
from planner.domain.predict.kv_cache import kv_bytes_by_layer
from planner.domain.predict.links import Exchange, pace_of, predict_exchange
from planner.domain.predict.memory import MemoryEstimate, predict_memory
from planner.domain.predict.quality import QualityAsk, QualityPrediction, predict_quality
from planner.domain.predict.seats import Seating, seat_devices
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


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate, the memory it takes, and whether it may load."""

    candidate: Candidate
    memory: MemoryEstimate
    verdict: Verdict


class Predictor:
    """Predicts candidates of one model on one target, sharing what candidates have in common."""

    def __init__(
        self,
        inputs: PlanInputs,
        layout: tuple[Tensor, ...],
        workload: Workload,
        extras: ExtraAsk = NOTHING_ELSE,
    ) -> None:
        self.inputs = inputs
        self.extras = extras
        self.layout = layout
        self.workload = workload
        self.params = count_parameters(layout)
        self.active_params = count_active_parameters(inputs.model, layout)
        self._ways: dict[tuple[str, Placement], tuple[Device, Exchange]] = {}
        self._memory: dict[tuple[str, str, int | None, int, str, Placement, str], MemoryEstimate] = {}
        self._seatings: dict[tuple[ModelFacts, str, Placement, str, bool, Extras], Seating] = {}
        self._constants: dict[str, MemoryConstants] = {}
        self._quality: dict[tuple[str, str, int | None, str], QualityPrediction] = {}

    def judge(self, candidate: Candidate) -> Judged:
        """What it takes, and whether it may load: enough to refuse it."""
        inputs = self.inputs
        memory = self.memory_of(candidate)
        verdict = judge_candidate(
            candidate,
            request=inputs.request,
            model=inputs.model,
            target=inputs.target,
            tables=inputs.tables,
            memory=memory,
        )
        return Judged(candidate, memory, verdict)

    def score(self, judged: Judged) -> Scored:
        """Everything else that is predicted about a candidate."""
        inputs = self.inputs
        candidate = judged.candidate
        stored = self.stored_of(candidate)
        sequences = -(-self.workload.concurrency // candidate.placement.dp)
        device, exchange = self.way_of(candidate)
        if candidate.placement.offload:
            batch = self._constants_of(candidate.engine)[candidate.engine, "batched_tokens"].likely
            exchange = copy_for_prompts(exchange, judged.memory.host_bytes, batch)
        bytes_read = bytes_read_per_step(stored, inputs.model, sequences)
        tp = candidate.placement.tp
        kv_read = sum(
            kv_bytes_by_layer(
                inputs.model, candidate.kv_dtype, held_tokens(self.workload), engine=candidate.engine, tp=tp
            )
        )
        speed = predict_speed(
            engine=candidate.engine,
            placement=candidate.placement,
            device=device,
            workload=self.workload,
            weights_bytes_read=bytes_read,
            kv_bytes_read=kv_read,
            params=self.active_params,
            params_total=inputs.model.params_total,
            weight_bits=candidate.scheme.weight_bits,
            evidence=inputs.evidence,
            exchange=exchange,
        )
        artifact = self.artifact_bytes(candidate, stored)
        return Scored(
            candidate=candidate,
            verdict=judged.verdict,
            memory=judged.memory,
            quality=self.quality_of(candidate, self.workload.task),
            also_quality=(self.quality_of(candidate, HELD_OUT_TEXT),),
            speed=speed,
            bytes_per_step=bytes_read / tp + sequences * kv_read,
            artifact_bytes=artifact,
            bits_per_weight=bits_per_weight(stored, self.params),
            job=self.job_of(candidate, artifact),
        )

    def stored_of(self, candidate: Candidate) -> StoredBytes:
        """Tensor data of the candidate's checkpoint."""
        model = self._padded(candidate)
        return stored_bytes(model, candidate.scheme, candidate.group_size, self.inputs.tables.gguf)

    def memory_of(self, candidate: Candidate) -> MemoryEstimate:
        """Memory of the worst device."""
        scheme = candidate.scheme
        key = (
            scheme.name,
            scheme.format,
            candidate.group_size,
            candidate.intermediate_size,
            candidate.engine,
            candidate.placement,
            candidate.kv_dtype,
        )
        if key not in self._memory:
            self._memory[key] = predict_memory(
                self._seat(candidate),
                scheme,
                candidate.group_size,
                gguf=self.inputs.tables.gguf,
                host_ram_bytes=self.inputs.target.ram_bytes,
            )
        return self._memory[key]

    def _seat(self, candidate: Candidate) -> Seating:
        """The devices of a candidate's placement, which candidates of other schemes share."""
        model, extras = self._padded(candidate), self._extras_of(candidate)
        place = (model, candidate.engine, candidate.placement, candidate.kv_dtype)
        key = (*place, candidate.scheme.is_gguf_mix, extras)
        if key not in self._seatings:
            self._seatings[key] = seat_devices(
                model,
                engine=candidate.engine,
                placement=candidate.placement,
                devices=self.inputs.target.devices[: candidate.placement.devices],
                workload=self.workload,
                kv_dtype=candidate.kv_dtype,
                is_gguf=candidate.scheme.is_gguf_mix,
                constants=self._constants_of(candidate.engine),
                extras=extras,
            )
        return self._seatings[key]

    def way_of(self, candidate: Candidate) -> tuple[Device, Exchange]:
        """The device whose bandwidth stands for all in use, and what ranks spend on talking to each other."""
        key = (candidate.engine, candidate.placement)
        if key not in self._ways:
            target, place = self.inputs.target, candidate.placement
            used = target.devices[: place.devices]
            is_by_layer = self.inputs.tables.engines[candidate.engine].split == "layer" and place.dp == 1
            pace = pace_of(used, is_by_layer=is_by_layer and place.pp > 1)
            on_host = place.offload / self.inputs.model.num_layers if pace.kind == "gpu" else 0.0
            self._ways[key] = (
                beside_host(pace, on_host),
                predict_exchange(
                    self.inputs.model,
                    place,
                    used,
                    target.link,
                    -(-self.workload.concurrency // place.dp),
                    self.inputs.tables.links,
                ),
            )
        return self._ways[key]

    def _constants_of(self, engine: str) -> MemoryConstants:
        """The newest version's constants on these cards, with what the serve command writes out."""
        if engine not in self._constants:
            tables = self.inputs.tables
            self._constants[engine] = resolve_constants(
                tables.memory, tables.defaults, engine, self.inputs.target.devices[0], keep=SERVE_TERMS
            )
        return self._constants[engine]

    def _extras_of(self, candidate: Candidate) -> Extras:
        if self.extras == NOTHING_ELSE:
            return NO_EXTRAS
        return predict_extras(
            self.extras,
            self.inputs.model,
            candidate.scheme,
            candidate.group_size,
            self.inputs.tables.schemes["BF16", "safetensors"],
            candidate.kv_dtype,
            tp=candidate.placement.tp,
        )

    def quality_of(self, candidate: Candidate, task: str) -> QualityPrediction:
        """Change on the benchmark that stands for a task."""
        key = (candidate.scheme.name, candidate.method, candidate.group_size, task)
        if key not in self._quality:
            benchmark, *related = self.inputs.tables.benchmarks[task]
            self._quality[key] = predict_quality(
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
        return self._quality[key]

    def artifact_bytes(self, candidate: Candidate, stored: StoredBytes) -> int:
        """Bytes on disk: tensor data, container, tokenizer files."""
        model = self.inputs.model
        if candidate.scheme.is_gguf_mix:
            return stored.total + container_bytes(self.layout, model.metadata_bytes or 0)
        return stored.total + safetensors_header_bytes(model, candidate.scheme) + (model.tokenizer_bytes or 0)

    def job_of(self, candidate: Candidate, artifact_bytes: int) -> JobCost:
        """Cost of making it; nothing for 16 bits as released, a download for what exists."""
        if candidate.backend is None:
            return replace(NOTHING_TO_MAKE, disk_bytes=0 if self.inputs.model.path else artifact_bytes)
        device = self.inputs.target.devices[0]
        recipe = candidate.backend, candidate.method, candidate.calibrated
        where = device.kind, device.name
        return _job_cost(
            self.inputs.model, recipe, where, artifact_bytes, self.inputs.tables, self.inputs.evidence
        )

    def _padded(self, candidate: Candidate) -> ModelFacts:
        model = self.inputs.model
        if candidate.intermediate_size == model.intermediate_size:
            return model
        return replace(model, intermediate_size=candidate.intermediate_size)


@lru_cache(maxsize=4096)
def _job_cost(
    model: ModelFacts,
    recipe: tuple[str, str, bool],
    where: tuple[DeviceKind, str],
    artifact_bytes: int,
    tables: Tables,
    evidence: EvidenceBase,
) -> JobCost:
    backend, method, calibrated = recipe
    kind, device_name = where
    return predict_job_cost(
        model,
        backend=backend,
        method=method,
        calibrated=calibrated,
        kind=kind,
        device_name=device_name,
        artifact_bytes=artifact_bytes,
        constants=tables.jobs,
        evidence=evidence,
    )


@lru_cache(maxsize=4096)
def safetensors_header_bytes(model: ModelFacts, scheme: Scheme) -> int:
    """Bytes of the JSON header: about 110 for each stored tensor, several for a quantized matrix."""
    stored_each = {"none": 1, "channel": 2, "group": 3, "block": 2}[scheme.scales]
    return sum(
        110 * tensor.count * (1 if tensor.is_vector else stored_each) for tensor in tensor_layout(model)
    )
