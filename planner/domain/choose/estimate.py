"""One candidate that was spelled out, judged and predicted whether or not it fits or may load.

What is left open takes its stated default: method, format and engine from the first recipe that agrees, group
size 128 where a scheme has groups, tensor parallel over all devices (layers over all devices in llama.cpp and
transformers). What no formula covers yet (offload, expert parallel, engine options) is refused, never ignored.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from planner.domain.choose.candidates import Candidate, Tables
from planner.domain.choose.explain import describe_job, describe_memory, describe_speed
from planner.domain.choose.objective import Scored
from planner.domain.choose.predictor import PlanInputs, Predictor
from planner.domain.errors import BadInput
from planner.domain.facts.hardware import DeviceKind
from planner.domain.facts.kernels import Finding, Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload
from planner.domain.facts.scheme import Recipe, Scheme
from planner.domain.facts.tensors import tensor_layout
from planner.domain.predict.memory import Constant

DEFAULT_GROUP = 128
PER_CHANNEL = -1
"""Group size of a scale that covers a whole row, as checkpoints write it."""
VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateAsk:
    """A candidate as spelled out, in canonical words; None is what was not said."""

    scheme: str
    method: str | None = None
    format: str | None = None
    group_size: int | None = None
    engine: str | None = None
    engine_version: str | None = None
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    kv_dtype: str = "auto"
    prompt_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    max_num_batched_tokens: int | None = None


def place_candidate(ask: EstimateAsk, engine: str, count: int | None, tables: Tables) -> Placement:
    """The placement that was asked for, the rest filled in.

    Raises:
        BadInput: `estimate.placement`, it needs more devices than there are.
    """
    if ask.tp is None and ask.pp is None:
        each = (count or 1) // (ask.dp or 1) or 1
        by_layer = engine in tables.engines and tables.engines[engine].split == "layer"
        placement = Placement(tp=1 if by_layer else each, pp=each if by_layer else 1, dp=ask.dp or 1)
    else:
        placement = Placement(tp=ask.tp or 1, pp=ask.pp or 1, dp=ask.dp or 1)
    if count is not None and placement.devices > count:
        raise BadInput(
            "estimate.placement",
            f"tp {placement.tp} × pp {placement.pp} × dp {placement.dp} needs {placement.devices} devices, "
            f"the target has {count}. Ask for less, or say a larger count.",
        )
    return placement


def make_candidate(
    ask: EstimateAsk, engine: str, model: ModelFacts, tables: Tables, at: Placement
) -> Candidate:
    """The candidate that was asked for.

    Raises:
        BadInput: `scheme.not_modelled`, `method.not_modelled`, its storage or its memory has no table row yet.
    """
    recipe = _find_recipe(ask, engine, tables)
    scheme = _find_scheme(ask, recipe, engine, tables)
    return Candidate(
        scheme=scheme,
        method=ask.method or (recipe.method if recipe else "rtn"),
        engine=engine,
        backend=recipe.backend if recipe else None,
        group_size=_group_size(ask, scheme),
        placement=at,
        kv_dtype=ask.kv_dtype,
        native_bits=recipe.native_bits if recipe else scheme.weight_bits,
        calibrated=recipe.calibrated if recipe else False,
        prebuilt=None,
        intermediate_size=model.intermediate_size,
    )


def choose_engine(ask: EstimateAsk, kind: DeviceKind, tables: Tables) -> str:
    """The engine that was asked for, or that of the first recipe that runs on such a device.

    Raises:
        BadInput: `engine.not_modelled`, `scheme.not_modelled`.
    """
    modelled = sorted({engine for engine, term in tables.memory if term == "utilisation"})
    if ask.engine is not None:
        if ask.engine not in modelled:
            raise BadInput(
                "engine.not_modelled",
                f"Memory of {ask.engine} is not modelled yet. Modelled engines: {', '.join(modelled)}.",
                choices=modelled,
            )
        return ask.engine
    able = [engine for engine in tables.engines.values() if kind in engine.kinds]
    makes = [*tables.recipes, *tables.prebuilt]
    for engine in able:
        if any(row.engine == engine.name and row.scheme == ask.scheme for row in makes):
            return engine.name
    is_gguf = (ask.scheme, "gguf") in tables.schemes
    return "llama.cpp" if is_gguf or not able else able[0].name


def estimate_candidate(
    inputs: PlanInputs, candidate: Candidate, workload: Workload, ask: EstimateAsk
) -> dict[str, Any]:
    """Numbers and verdicts of one candidate, in the contract's names.

    Raises:
        BadInput: `model.layout_not_covered`.
    """
    tables = replace(inputs.tables, memory=_own_constants(ask, candidate.engine, inputs.tables, workload))
    inputs = replace(inputs, tables=tables)
    scored = Predictor(inputs, tensor_layout(inputs.model), workload).score(candidate)
    findings = [
        *_context_findings(workload, inputs.model),
        *scored.verdict.findings,
        *_version_findings(ask, candidate.engine, tables),
    ]
    memory, speed = describe_memory(scored.memory), describe_speed(scored.speed)
    return {
        **{name: value for name, value in memory.items() if name != "intervals"},
        "legal": _is_legal(scored, findings),
        "verdicts": [_describe(finding) for finding in findings],
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
        "candidate": {
            "model": inputs.model_id,
            "scheme": candidate.scheme.name,
            "method": candidate.method,
            "format": candidate.scheme.format,
            "group_size": candidate.group_size,
            "engine": candidate.engine,
            "target": inputs.target.label,
            "tp": candidate.placement.tp,
            "pp": candidate.placement.pp,
            "dp": candidate.placement.dp,
            "kv_dtype": candidate.kv_dtype,
            "context": workload.context_tokens,
            "concurrency": workload.concurrency,
        },
        "assumed": [*inputs.notes, *inputs.target.assumed],
    }


def _find_recipe(ask: EstimateAsk, engine: str, tables: Tables) -> Recipe | None:
    """The first recipe that agrees; method `gguf` says only that llama.cpp made it."""
    methods = {ask.method} if ask.method not in {None, "gguf"} else None
    for recipe in tables.recipes:
        if (
            recipe.scheme == ask.scheme
            and recipe.engine == engine
            and (methods is None or recipe.method in methods)
            and ask.format in {None, recipe.format}
        ):
            return recipe
    return None


def _find_scheme(ask: EstimateAsk, recipe: Recipe | None, engine: str, tables: Tables) -> Scheme:
    if recipe is not None:
        return tables.schemes[recipe.scheme, recipe.format]
    published = [
        row.format for row in tables.prebuilt if (row.scheme, row.method) == (ask.scheme, ask.method)
    ]
    stored = [form for name, form in tables.schemes if name == ask.scheme]
    usual = [row.format for row in tables.recipes if (row.scheme, row.engine) == (ask.scheme, engine)]
    wanted = [ask.format] if ask.format else [*published, *usual, *stored]
    for form in wanted:
        if form in stored:
            return tables.schemes[ask.scheme, form]
    known = sorted({f"{name} ({form})" if ask.format else name for name, form in tables.schemes})
    as_format = f" as {ask.format}" if ask.format else ""
    raise BadInput(
        "scheme.not_modelled",
        f"What {ask.scheme}{as_format} stores is not modelled yet. Modelled: {', '.join(known)}.",
        choices=known,
    )


def _group_size(ask: EstimateAsk, scheme: Scheme) -> int | None:
    if scheme.scales != "group" or ask.group_size == PER_CHANNEL:
        return None
    return ask.group_size or DEFAULT_GROUP


def _own_constants(
    ask: EstimateAsk, engine: str, tables: Tables, workload: Workload
) -> Mapping[tuple[str, str], Constant]:
    """The engine's constants with what was set by hand in their place."""
    constants = dict(tables.memory)
    if ask.gpu_memory_utilization is not None:
        share = ask.gpu_memory_utilization
        constants[engine, "utilisation"] = Constant(share, share, share, "as asked")
    batched = ask.max_num_batched_tokens or constants[engine, "batched_tokens"].likely
    if ask.prompt_tokens is not None:
        prompts = ask.prompt_tokens * workload.concurrency
        batched = min(batched, prompts) if batched else prompts
    constants[engine, "batched_tokens"] = Constant(batched, batched, batched, "as asked")
    return constants


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


def _version_findings(ask: EstimateAsk, engine: str, tables: Tables) -> list[Finding]:
    """Unknown where the rules are of another version than the one asked about."""
    found = VERSION.search(ask.engine_version or "")
    known = {rule.version for rule in tables.rulebook.get(engine, ())}
    if found is None or not known or not all(VERSION.fullmatch(version) for version in known):
        return []
    if any(_release(version) == _release(found[0]) for version in known):
        return []
    return [
        Finding(
            code="unknown.engine_version",
            message=f"the rules are of {engine} {', '.join(sorted(known))}; what {found[0]} loads is not recorded",
            numbers={"asked": found[0], "known": sorted(known)},
            source="data/engine_rules.csv",
        )
    ]


def _release(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:2]]


def _is_legal(scored: Scored, findings: Sequence[Finding]) -> bool | None:
    """True, False, or None where only a missing rule stands in the way; memory has its own answer, `fits`."""
    against = [finding for finding in findings if not finding.code.startswith("memory.")]
    if any(not finding.code.startswith("unknown.") for finding in against):
        return False
    return None if against or scored.verdict.kernel is None else True


def _job(scored: Scored) -> dict[str, Any]:
    """The job's cost; null where no backend here makes it."""
    if scored.candidate.method == "none" or scored.candidate.backend is not None:
        return describe_job(scored.job)
    names = ("backend", "minutes", "vram_bytes", "ram_bytes", "disk_bytes")
    return {**dict.fromkeys(names), "intervals": {}, "basis": "insufficient", "sources": []}


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
