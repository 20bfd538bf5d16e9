"""Decisions: listed, shown with what their jobs measured, replayed."""

from typing import Annotated, Any

from litestar import Controller, get, post
from litestar.params import FromPath, QueryParameter

from planner.api.parts import InWorkshop, split_act
from planner.contract.answers import DecisionList, DecisionSummary
from planner.usecases.replay_decision import replay_decision
from planner.usecases.show_decision import show_decision
from planner.usecases.workshop import Workshop

Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


class DecisionController(Controller):
    """`/v1/decisions`."""

    path = "/v1/decisions"
    tags = ("decisions",)
    opt = {"scope": "plan"}  # noqa: RUF012 - Litestar's way to say it

    @get(operation_id="ListDecisions", sync_to_thread=True)
    def list_decisions(self, workshop: InWorkshop, limit: Limit = 20) -> DecisionList:
        """Newest first, in short."""
        rows = workshop.decisions.list_decisions(limit)
        return DecisionList(decisions=[DecisionSummary.model_validate(row) for row in rows])

    @get("/{decision_id:str}", operation_id="ShowDecision", sync_to_thread=True)
    def show(self, decision_id: FromPath[str], workshop: InWorkshop) -> dict[str, Any]:
        """One decision, with predicted beside measured."""
        return show_decision(workshop, decision_id)

    @post("/{act:str}", operation_id="ActOnDecision", status_code=200, sync_to_thread=True)
    def act(self, act: FromPath[str], workshop: InWorkshop) -> dict[str, Any]:
        """`ID:replay`: compute it again and compare."""
        decision_id, perform = split_act(act, {"replay": _replay})
        answer: dict[str, Any] = perform(workshop, decision_id)
        return answer


def _replay(workshop: Workshop, decision_id: str) -> dict[str, Any]:
    return replay_decision(workshop.decisions, workshop.knowledge, decision_id)
