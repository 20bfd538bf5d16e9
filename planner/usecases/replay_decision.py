"""Compute a recorded decision again from its recorded inputs and compare, field by field."""

import json
from typing import Any

from planner import __version__
from planner.domain.canonical import as_plain, canonical_json
from planner.domain.choose.predictor import PlanInputs
from planner.domain.errors import BadInput
from planner.domain.record.decision import Draft, list_differences, seal_decision, write_body
from planner.domain.record.inputs import read_model_document, read_request_document, read_target_document
from planner.ports import KnowledgeVersion
from planner.usecases.workshop import Workshop


def replay_decision(workshop: Workshop, decision_id: str) -> dict[str, Any]:
    """Whether the same inputs still give the same record, and where not.

    Raises:
        BadInput: the decision, one of its inputs or its data version is not in this home.
    """
    decisions, knowledge = workshop.decisions, workshop.knowledge
    recorded = decisions.find_decision(decision_id)
    inputs = recorded.body["inputs"]
    data_sha256, _, highest_id = inputs["evidence_version"].rpartition("+")
    version = KnowledgeVersion(data_sha256, inputs["rules_version"], int(highest_id))
    if recorded.request_document is None:
        raise BadInput(
            "record.document_missing", f"The request of {recorded.decision_id} is not in this home."
        )
    request, model_id, notes = read_request_document(json.loads(recorded.request_document))
    written = workshop.decide(
        PlanInputs(
            request=request,
            model=read_model_document(decisions.find_document(inputs["model_facts_sha256"])),
            model_id=model_id,
            notes=notes,
            target=read_target_document(decisions.find_document(inputs["inventory_snapshot_id"])),
            tables=knowledge.tables(version),
            evidence=knowledge.evidence(version),
            versions={**inputs, "planner_version": __version__},
        )
    )
    replayed = seal_decision(Draft(written), recorded.previous_sha256, recorded.created_at)
    identical = canonical_json(replayed.body) == canonical_json(recorded.body)
    return {
        "decision_id": recorded.decision_id,
        "identical": identical,
        "record_intact": _is_intact(
            recorded.body, recorded.previous_sha256, recorded.created_at, recorded.record_sha256
        ),
        "recorded_sha256": recorded.record_sha256,
        "replayed_sha256": replayed.record_sha256,
        "planner_version": {"recorded": inputs["planner_version"], "replayed": __version__},
        "differences": [] if identical else list_differences(recorded.body, as_plain(replayed.body)),
    }


def _is_intact(body: Any, previous_sha256: str, created_at: str, record_sha256: str) -> bool:
    return seal_decision(Draft(write_body(body)), previous_sha256, created_at).record_sha256 == record_sha256
