"""One candidate judged and predicted whether or not it fits or may load: numbers, verdicts, cost.

Memory answers for itself (`fits`), loading for itself (`legal`: true, false, or null where no rule says). What was
set by hand (utilisation, batched tokens, the largest prompt) stands in for the engine's own constants.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from planner.domain.choose.candidates import Candidate, Tables
from planner.domain.choose.explain import describe_job, describe_memory, describe_speed
from planner.domain.choose.legality import Verdict, judge_load, make_load
from planner.domain.choose.named_candidate import EstimateAsk
from planner.domain.choose.objective import Scored
from planner.domain.choose.predictor import PlanInputs, Predictor
from planner.domain.choose.ways_out import find_ways_out
from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device
from planner.domain.facts.kernels import Finding
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.versions import read_version
from planner.domain.predict.activations_transformers import ENGINE as TRANSFORMERS
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.engine_defaults import names_first_engine, resolve_constants
from planner.domain.predict.llamacpp_builds import (
    LLAMACPP_FAMILY,
    cache_constants,
    constants_of_build,
    read_options,
)
from planner.domain.predict.transformers_versions import (
    OF_THEIR_TIME,
    constants_of_version,
    version_of_its_time,
)

POOL_ENGINES = frozenset({"vllm", "sglang"})
"""Engines that reserve a pool for the longest sequence they are told of."""
JOB_NUMBERS = ("backend", "minutes", "vram_bytes", "ram_bytes", "disk_bytes")
NUMBERS = (
    *("weights_bytes", "kv_cache_bytes", "activation_bytes", "overhead_bytes", "total_bytes", "usable_bytes"),
    *(
        "headroom_bytes",
        "fits",
        "kv_capacity_tokens",
        "all_devices_bytes",
        "artifact_bytes",
        "bits_per_weight",
    ),
    *("kernel", "decode_tokens_per_s", "prefill_tokens_per_s", "total_tokens_per_s", "ttft_ms", "itl_ms"),
)
"""What is null in an estimate that knows no sizes."""


def estimate_candidate(
    inputs: PlanInputs, candidate: Candidate, workload: Workload, ask: EstimateAsk
) -> dict[str, Any]:
    """Numbers and verdicts of one candidate, in the contract's names.

    Raises:
        BadInput: `model.layout_not_covered`.
    """
    device = inputs.target.devices[0]
    ask = _date(ask, candidate.engine, inputs.model)
    constants = _own_constants(ask, candidate.engine, inputs.tables, workload, device)
    try:
        predictor = Predictor(inputs, workload, ask.extras, constants)
    except BadInput:
        refused = judge_load(make_load(candidate, inputs.model, inputs.target), inputs.tables)
        if refused.status != "illegal":
            raise
        return _refuse_without_numbers(inputs, candidate, workload, ask, refused)
    scored = predictor.score(predictor.judge(predictor.look_at(candidate)))
    beyond = _context_findings(workload, inputs.model)
    findings = [*beyond, *scored.verdict.findings]
    memory, speed = describe_memory(scored.memory).read(), describe_speed(scored.speed).read()
    legal = _is_legal(scored.verdict, findings)
    return {
        **{name: value for name, value in memory.items() if name != "intervals"},
        "legal": legal,
        "verdicts": [_describe(finding) for finding in findings],
        "ways_out": _ways_out(predictor, candidate) if legal is False and not beyond else [],
        "artifact_bytes": scored.artifact_bytes,
        "bits_per_weight": scored.bits_per_weight,
        "kernel": scored.verdict.kernel.name if scored.verdict.kernel else None,
        "job": _job(scored),
        **{
            name: speed[name]
            for name in ("decode_tokens_per_s", "prefill_tokens_per_s", "total_tokens_per_s")
        },
        **{name: speed[name] for name in ("ttft_ms", "itl_ms")},
        "intervals": {**memory["intervals"], **speed["intervals"]},
        "basis": {"speed": speed["basis"], "speed_sources": speed["sources"]},
        "candidate": _describe_candidate(inputs, candidate, workload, ask),
        "assumed": [*inputs.notes, *inputs.target.assumed, *_stand_ins(ask, candidate, inputs, workload)],
    }


def _date(ask: EstimateAsk, engine: str, model: ModelFacts) -> EstimateAsk:
    """The ask with the version that an unnamed one of transformers stands for, where that was named itself."""
    if engine != TRANSFORMERS or ask.engine != engine:
        return ask
    return replace(ask, engine_version=version_of_its_time(ask.engine_version, model.released))


def _refuse_without_numbers(
    inputs: PlanInputs, candidate: Candidate, workload: Workload, ask: EstimateAsk, refused: Verdict
) -> dict[str, Any]:
    """The refusal of a model whose tensors are not laid out: no number is known, and none is guessed."""
    return {
        **dict.fromkeys(NUMBERS),
        "legal": False,
        "verdicts": [_describe(finding) for finding in refused.findings],
        "ways_out": [],
        "job": dict.fromkeys(JOB_NUMBERS),
        "intervals": {},
        "candidate": _describe_candidate(inputs, candidate, workload, ask),
        "assumed": [*inputs.notes, *inputs.target.assumed],
    }


def _describe_candidate(
    inputs: PlanInputs, candidate: Candidate, workload: Workload, ask: EstimateAsk
) -> dict[str, Any]:
    return {
        "model": inputs.model_id,
        "scheme": candidate.scheme.name,
        "method": candidate.method,
        "format": candidate.scheme.format,
        "group_size": candidate.group_size,
        "engine": ask.engine or candidate.engine,
        "target": inputs.target.label,
        "tp": candidate.placement.tp,
        "pp": candidate.placement.pp,
        "dp": candidate.placement.dp,
        "offload": candidate.placement.offload,
        "ep": candidate.placement.ep,
        "kv_dtype": candidate.kv_dtype,
        "context": workload.context_tokens,
        "concurrency": workload.concurrency,
    }


def _ways_out(predictor: Predictor, candidate: Candidate) -> list[dict[str, Any]]:
    """Neighbours that load, with whether each fits; null where its memory is not reckoned as another engine's."""
    inputs = predictor.inputs
    return [
        {
            "change": way.change,
            "fields": way.fields,
            "fits": None
            if way.candidate.in_16_bits or way.candidate.rules_of != candidate.rules_of
            else predictor.memory_of(predictor.look_at(way.candidate)).fits,
        }
        for way in find_ways_out(candidate, inputs.model, inputs.target, inputs.tables)
    ]


def _own_constants(
    ask: EstimateAsk, engine: str, tables: Tables, workload: Workload, device: Device
) -> MemoryConstants:
    """The constants of the engine's version on this card, with what was set by hand in their place."""
    version = read_version(ask.engine_version)
    found = resolve_constants(
        tables.memory,
        tables.defaults,
        engine,
        device,
        version=version,
        is_first_engine=names_first_engine(ask.engine_version),
    )
    own_version = ask.engine_version if ask.engine in {None, engine} else None  # a relative's is another's
    dated = constants_of_build if engine in LLAMACPP_FAMILY else constants_of_version
    constants = dict(dated(found, engine, ask.engine_version if engine in LLAMACPP_FAMILY else own_version))
    constants |= {
        (engine, term): value for (name, term), value in found.items() if name == ask.engine != engine
    }
    is_profiled = (engine, "sequence_slots") in constants  # its batch is full whatever is asked of it
    batched = ask.max_num_batched_tokens or constants[engine, "batched_tokens"].likely
    if ask.prompt_tokens is not None and not is_profiled and engine not in LLAMACPP_FAMILY:
        prompts = ask.prompt_tokens * workload.concurrency
        batched = min(batched, prompts) if batched else prompts
    own = {"batched_tokens": batched, **ask.terms}
    if ask.gpu_memory_utilization is not None:
        own["utilisation"] = ask.gpu_memory_utilization
    if is_profiled and (ask.chunked or ask.max_num_batched_tokens):
        own["whole_prompt_tokens"] = 0
    if is_profiled and ask.chunked is False:
        own["whole_prompt_tokens"] = workload.context_tokens
    if ask.is_text_only:
        own["image_encoder"] = 0
    if ask.eager:
        own["graphs"] = 0
    said = {(engine, term): Constant(value, value, value, "as asked") for term, value in own.items()}
    return {
        **constants,
        **said,
        **cache_constants(engine, ask.kv_dtype),
        **_read_options(engine, ask.engine_options),
    }


def _read_options(engine: str, options: Mapping[str, Any]) -> Mapping[tuple[str, str], Constant]:
    if options and engine not in LLAMACPP_FAMILY:
        raise BadInput(
            "estimate.not_modelled", f"{', '.join(sorted(options))}: options of llama.cpp, not of {engine}."
        )
    return read_options(engine, options)


def _context_findings(workload: Workload, model: ModelFacts) -> list[Finding]:
    if workload.context_tokens <= model.max_position:
        return []
    return [
        Finding(
            code="context.beyond_maximum",
            message=f"{model.model_id} takes at most {model.max_position:,} tokens, "
            f"{workload.context_tokens:,} were asked for",
            numbers={"context": workload.context_tokens, "max_position": model.max_position},
            way_out=(f"a context of {model.max_position:,} or less",),
            source=model.source,
        )
    ]


def _stand_ins(ask: EstimateAsk, candidate: Candidate, inputs: PlanInputs, workload: Workload) -> list[str]:
    """What was reckoned by its likeness to something else, or taken for granted, one sentence each."""
    tables = inputs.tables
    said = []
    if ask.engine not in {None, candidate.engine}:
        kin = tables.engine_kin[ask.engine]
        said.append(f"memory and speed of {ask.engine} are reckoned as {kin.memory_of}'s: {kin.note}")
    if (candidate.scheme.name, candidate.scheme.format) not in tables.schemes:
        bits = candidate.scheme.weight_bits
        said.append(
            f"what {candidate.scheme.name} stores is not recorded: reckoned at {bits:g} bits a weight"
        )
    if ask.engine_version == OF_THEIR_TIME:
        said.append(
            f"{inputs.model.model_id} is reckoned with transformers {OF_THEIR_TIME}, of its time, which keeps "
            "logits of a whole prompt; newer versions take less: name yours (engine_version)"
        )
    longest, told = inputs.model.max_position, inputs.request.context_tokens
    if told is None and candidate.engine in POOL_ENGINES and workload.context_tokens < longest:
        said.append(
            f"{workload.context_tokens:,} tokens are kept for each sequence; {candidate.engine} plans for the "
            f"model's {longest:,} unless it is told less"
        )
    return said


def _is_legal(verdict: Verdict, findings: Sequence[Finding]) -> bool | None:
    """True, False, or None where only a missing rule stands in the way; memory has its own answer, `fits`."""
    against = [finding for finding in findings if not finding.code.startswith("memory.")]
    if any(not finding.is_unknown for finding in against):
        return False
    return None if against or verdict.kernel is None else True


def _job(scored: Scored) -> Mapping[str, Any]:
    """The job's cost; null where no backend here makes it."""
    if scored.candidate.method in {"none", "native"} or scored.candidate.backend is not None:
        return describe_job(scored.job)
    return {**dict.fromkeys(JOB_NUMBERS), "intervals": {}, "basis": "insufficient", "sources": []}


def _describe(finding: Finding) -> dict[str, Any]:
    described: dict[str, Any] = {
        "code": finding.code,
        "message": finding.message,
        "numbers": dict(finding.numbers),
        "source": finding.source,
    }
    if finding.way_out:
        described["way_out"] = list(finding.way_out)
    return described
