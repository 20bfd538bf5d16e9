"""A finished job: its measurement beside the promise, and as evidence for the next decision.

The job moves first, so that a report sent twice is recorded once; whoever hears that it is completed finds its
measurements, for all of it is kept together or not at all.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from planner.domain.choose.candidates import Tables
from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Recipe
from planner.domain.facts.storage import bytes_read_per_step, stored_bytes
from planner.domain.predict.job_cost import predict_job_cost
from planner.domain.record.choice import CHOICE_FIELDS, choose_candidate
from planner.domain.record.decision import Decision
from planner.domain.record.inputs import read_model_document, read_target_document
from planner.domain.record.job import Job
from planner.domain.record.measurement import Subject, compare_with_promise, make_evidence
from planner.ports import KnowledgeVersion
from planner.usecases.claim_job import take_up_again
from planner.usecases.move_job import move_job
from planner.usecases.workshop import Workshop


def record_measurement(
    workshop: Workshop,
    claim_id: str,
    *,
    artifact_dir: str,
    manifest: Mapping[str, Any],
    measurement: Mapping[str, Any],
) -> Job:
    """Complete a claimed job and append its measurements and evidence; a job that is over stays as it is.

    Raises:
        BadInput: `claim.unknown`, `record.recipe_missing`.
    """
    job = take_up_again(workshop, workshop.claims.find_claimed_job(claim_id), claim_id)
    if job.state != "claimed":
        return job
    result = {"artifact_dir": artifact_dir, "manifest": dict(manifest), "measurement": dict(measurement)}
    with workshop.together():
        job = move_job(workshop, job, "completed", result=result)
        _record_figures(workshop, job, measurement)
    return job


def _record_figures(workshop: Workshop, job: Job, measurement: Mapping[str, Any]) -> None:
    decision = workshop.decisions.find_decision(job.decision_id)
    choice = {name: job.specification.get(name) for name in CHOICE_FIELDS}
    made = choose_candidate(decision.body, choice)
    now = workshop.clock.now()
    subject = _name_subject(workshop, job, decision, made)
    for figure in compare_with_promise(made, subject.device_kind, measurement):
        row = {"job_id": job.job_id, "decision_id": job.decision_id, "at": now, **asdict(figure)}
        workshop.measurements.add_measurement(row)
    for evidence in make_evidence(subject, measurement, now):
        workshop.evidence.add_row(evidence)


def _name_subject(workshop: Workshop, job: Job, decision: Decision, made: Mapping[str, Any]) -> Subject:
    inputs = decision.body["inputs"]
    model = read_model_document(workshop.decisions.find_document(inputs["model_facts_sha256"]))
    target = read_target_document(workshop.decisions.find_document(inputs["inventory_snapshot_id"]))
    tables = workshop.knowledge.tables(_recorded_version(inputs))
    recipe = _find_recipe(tables, made)
    device = target.devices[0]
    return Subject(
        decision_id=job.decision_id,
        job_id=job.job_id,
        model_label=decision.body["model"]["id"],
        model_id=model.model_id,
        family=model.family,
        params=model.params_total,
        scheme=made["scheme"],
        method=made["method"],
        group_size=made["group_size"],
        bits=recipe.native_bits,
        engine=made["engine"],
        backend=made["backend"],
        device=device.name,
        device_kind=device.kind,
        bandwidth_bytes_per_s=device.bandwidth_bytes_per_s,
        fp16_flops=device.fp16_flops,
        weights_bytes_read=_weights_bytes_read(model, tables, made),
        formula_minutes=_formula_minutes(model, tables, made, recipe, device),
    )


def _recorded_version(inputs: Mapping[str, Any]) -> KnowledgeVersion:
    data_sha256, _, highest_id = inputs["evidence_version"].rpartition("+")
    return KnowledgeVersion(data_sha256, inputs["rules_version"], int(highest_id))


def _find_recipe(tables: Tables, made: Mapping[str, Any]) -> Recipe:
    names = ("scheme", "method", "format", "engine")
    wanted = tuple(made[name] for name in names)
    for recipe in tables.recipes:
        if tuple(getattr(recipe, name) for name in names) == wanted:
            return recipe
    raise BadInput(
        "record.recipe_missing",
        f"The recorded tables have no recipe for {', '.join(map(str, wanted))}: nothing was recorded.",
    )


def _weights_bytes_read(model: ModelFacts, tables: Tables, made: Mapping[str, Any]) -> int:
    scheme = tables.schemes[made["scheme"], made["format"]]
    stored = stored_bytes(model, scheme, made["group_size"], tables.gguf)
    return bytes_read_per_step(stored, model, 1)


def _formula_minutes(
    model: ModelFacts, tables: Tables, made: Mapping[str, Any], recipe: Recipe, device: Device
) -> float:
    """Likely minutes by the formula alone: evidence of past jobs would be counted twice."""
    cost = predict_job_cost(
        model,
        backend=made["backend"],
        method=made["method"],
        calibrated=recipe.calibrated,
        kind=device.kind,
        artifact_bytes=made["artifact_bytes"],
        constants=tables.jobs,
    )
    return cost.minutes
