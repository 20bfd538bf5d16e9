"""Ask → decision, recorded."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from planner import __version__
from planner.domain.choose.decide import decide
from planner.domain.choose.predictor import PlanInputs
from planner.domain.facts.hardware import Target
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request
from planner.domain.record.decision import Decision, sha256_of
from planner.domain.record.inputs import read_model_document, read_target_document, request_document
from planner.domain.units import round_significant
from planner.usecases.workshop import Workshop


def plan_model(workshop: Workshop, request: Request) -> Decision:
    """Plan a request and record the decision with its inputs."""
    body = plan_without_record(workshop, request, workshop.decisions.keep_document)
    return workshop.decisions.add_decision(body, workshop.clock.now())


def plan_without_record(
    workshop: Workshop, request: Request, keep: Callable[[str, Any], str] | None = None
) -> dict[str, Any]:
    """The decision body alone; `keep` stores the inputs, without it they are only hashed."""
    match = workshop.catalog.find_model(request.model)
    # Planned with exactly what is recorded, floats at six digits, so that a replay starts from the same numbers.
    model = read_model_document(round_significant(asdict(match.model)))
    target = read_target_document(round_significant(asdict(workshop.inventory.find_target(request.devices))))
    version = workshop.knowledge.version()
    notes = (say_others(match.note, match.others),) if match.note else ()
    return decide(
        PlanInputs(
            request=request,
            model=model,
            model_id=match.typed,
            notes=notes,
            target=target,
            tables=workshop.knowledge.tables(version),
            evidence=workshop.knowledge.evidence(version),
            versions={
                **hash_inputs(request, model, match.typed, notes, target, keep or _only_hash),
                "evidence_version": version.evidence_version,
                "rules_version": version.rules_sha256,
                "planner_version": __version__,
            },
        )
    )


def hash_inputs(
    request: Request,
    model: ModelFacts,
    model_id: str,
    notes: tuple[str, ...],
    target: Target,
    keep: Callable[[str, Any], str],
) -> dict[str, str]:
    """Hashes of request, model facts and inventory snapshot, each kept under its hash."""
    return {
        "request_sha256": keep("request", request_document(request, model_id, notes)),
        "model_facts_sha256": keep("model", asdict(model)),
        "inventory_snapshot_id": keep("target", asdict(target)),
    }


def say_others(note: str, others: tuple[str, ...]) -> str:
    """What was taken for granted about the model, with the others that the words name."""
    return f"{note}; the others: {', '.join(others)}" if others else note


def _only_hash(kind: str, content: Any) -> str:
    del kind
    return sha256_of(content)
