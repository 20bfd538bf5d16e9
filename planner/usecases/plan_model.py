"""Ask → decision, recorded."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from planner import __version__
from planner.domain.canonical import as_plain, round_significant
from planner.domain.choose.decide import decide
from planner.domain.choose.predictor import PlanInputs
from planner.domain.facts.hardware import Target
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request
from planner.domain.record.decision import Decision, Draft, WrittenBody, write_body
from planner.domain.record.inputs import (
    Document,
    make_document,
    read_model_document,
    read_target_document,
    request_document,
)
from planner.usecases.workshop import Workshop


def plan_model(workshop: Workshop, request: Request) -> Decision:
    """Plan a request and record the decision with its inputs."""
    return record_plans(workshop, [draft_plan(workshop, request)])[0]


def plan_without_record(workshop: Workshop, request: Request) -> dict[str, Any]:
    """The decision body alone; its inputs are hashed and forgotten."""
    return as_plain(draft_plan(workshop, request).written.body)  # type: ignore[no-any-return]


def record_plans(workshop: Workshop, drafts: Sequence[Draft]) -> list[Decision]:
    """Record decisions in this order, all or none."""
    return workshop.decisions.add_decisions(drafts, workshop.clock.now())


def draft_plan(workshop: Workshop, request: Request) -> Draft:
    """Plan a request; nothing is recorded yet."""
    match = workshop.catalog.find_model(request.model)
    # Planned with exactly what is recorded, floats at six digits, so that a replay starts from the same numbers.
    model, model_inputs = _model_inputs(match.model)
    target, target_inputs = _target_inputs(workshop.inventory.find_target(request.devices))
    notes = (say_others(match.note, match.others),) if match.note else ()
    request_inputs = make_document("request", request_document(request, match.typed, notes))
    version = workshop.knowledge.version()
    written = workshop.decide(
        PlanInputs(
            request=request,
            model=model,
            model_id=match.typed,
            notes=notes,
            target=target,
            tables=workshop.knowledge.tables(version),
            evidence=workshop.knowledge.evidence(version),
            versions={
                "request_sha256": request_inputs.sha256,
                "model_facts_sha256": model_inputs.sha256,
                "inventory_snapshot_id": target_inputs.sha256,
                "evidence_version": version.evidence_version,
                "rules_version": version.rules_sha256,
                "planner_version": __version__,
            },
        )
    )
    return Draft(written, request_inputs.text, (model_inputs, target_inputs))


@lru_cache(maxsize=256)
def _model_inputs(model: ModelFacts) -> tuple[ModelFacts, Document]:
    content = round_significant(asdict(model))
    return read_model_document(content), make_document("model", content)


@lru_cache(maxsize=256)
def _target_inputs(target: Target) -> tuple[Target, Document]:
    content = round_significant(asdict(target))
    return read_target_document(content), make_document("target", content)


def decide_here(inputs: PlanInputs) -> WrittenBody:
    """The body of a decision, worked out in this process.

    Raises:
        BadInput: as `decide` does.
    """
    return write_body(decide(inputs))


def say_others(note: str, others: tuple[str, ...]) -> str:
    """What was taken for granted about the model, with the others that the words name."""
    return f"{note}; the others: {', '.join(others)}" if others else note
