"""From inputs to a decision body: enumerate, judge, predict, rank, explain.

`decide` is a pure function of its inputs, so that a recorded decision can be computed again to the bit.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from planner.domain.canonical import Written
from planner.domain.choose.candidates import Candidate
from planner.domain.choose.explain import (
    describe_candidate,
    describe_finding,
    describe_model,
    describe_request,
    describe_target,
    list_warnings,
)
from planner.domain.choose.objective import Ranking, Scored, rank
from planner.domain.choose.predictor import Judged, PlanInputs, Predictor
from planner.domain.choose.would_fit import list_ways_to_fit
from planner.domain.errors import BadInput
from planner.domain.facts.kernels import Finding
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Workload, make_workload

FEW_BITS = 5
"""A checkpoint released in so many bits or fewer is the source of no recipe; FP8 ones are."""


def decide(inputs: PlanInputs) -> dict[str, Any]:
    """The decision body: chosen, alternatives, rejected, warnings, would_fit, and what they follow from.

    Raises:
        BadInput: the context is beyond the model's maximum, or the model's layout is not covered.
    """
    workload = make_workload(inputs.request, inputs.model.max_position, inputs.target.kind)
    _check_context(workload, inputs.model)
    predictor = Predictor(inputs, workload)
    judged = _keep_as_released([predictor.judge(item) for item in predictor.list_prospects()], inputs)
    ranking = rank(
        [predictor.score(item) for item in judged if item.verdict.status == "legal"],
        inputs.request.objective,
        inputs.request.schemes,
    )
    chosen = ranking.admitted[0] if ranking.admitted else None
    body: dict[str, Any] = {
        "request": describe_request(inputs.request, workload),
        "model": describe_model(inputs.model, inputs.model_id),
        "target": describe_target(inputs.target),
        "chosen": _describe(chosen, inputs, workload, ranking.remark) if chosen else None,
        "alternatives": [_describe(item, inputs, workload, None) for item in ranking.admitted[1:]],
        "rejected": _rejected(judged, ranking),
        "warnings": list_warnings(
            inputs.request, inputs.target, inputs.model_id, inputs.notes, ranking.admitted, ranking.remark
        ),
        "inputs": inputs.versions,
    }
    if chosen is None:
        body["would_fit"] = list_ways_to_fit(inputs)
    return body


def _keep_as_released(judged: Sequence[Judged], inputs: PlanInputs) -> Sequence[Judged]:
    """Where a checkpoint released in few bits loads and fits, its weights are quantized again only by name."""
    request = inputs.request
    kept = next((item.candidate for item in judged if _is_in_few_bits(item)), None)
    if kept is None or request.schemes or request.method:
        return judged
    finding = Finding(
        code="policy.already_quantized",
        message=f"{inputs.model.model_id} was released in {kept.scheme.name} and fits as it is: other schemes would "
        "quantize quantized weights a second time",
        numbers={"bits": kept.scheme.weight_bits},
        way_out=("the checkpoint as it was released", "ask for a scheme by name"),
        source=kept.scheme.source,
    )
    return [item if _is_as_made(item.candidate) else _refuse(item, finding) for item in judged]


def _is_in_few_bits(item: Judged) -> bool:
    is_released = item.candidate.method == "native" and item.candidate.scheme.weight_bits <= FEW_BITS
    return is_released and item.verdict.status == "legal"


def _is_as_made(candidate: Candidate) -> bool:
    """Whether no recipe quantizes it: released, published by somebody, or in 16 bits."""
    return candidate.method in {"none", "native"} or candidate.prebuilt is not None


def _refuse(item: Judged, finding: Finding) -> Judged:
    verdict = replace(item.verdict, status="illegal", findings=(*item.verdict.findings, finding))
    return item._replace(verdict=verdict)


def _check_context(workload: Workload, model: ModelFacts) -> None:
    if workload.context_tokens > model.max_position:
        raise BadInput(
            "context.beyond_maximum",
            f"{model.model_id} takes at most {model.max_position:,} tokens, {workload.context_tokens:,} were asked "
            f"for. Ask for a context of {model.max_position:,} or less.",
        )


def _describe(scored: Scored, inputs: PlanInputs, workload: Workload, remark: str | None) -> Written:
    return describe_candidate(scored, inputs.model, inputs.model_id, inputs.target, workload, remark)


def _rejected(judged: Sequence[Judged], ranking: Ranking) -> list[dict[str, Any]]:
    rejected = [
        describe_finding(item.candidate, finding)
        for item in judged
        if item.verdict.status != "legal"
        for finding in item.verdict.findings
    ]
    return rejected + [describe_finding(item.candidate, finding) for item, finding in ranking.passed_over]
