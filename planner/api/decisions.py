"""Decisions: listed, shown with what their jobs measured, replayed."""

from typing import Annotated, Any

from litestar import Controller, Response, get, post
from litestar.params import FromPath, HeaderParameter

from planner.api.pages import Cursor, Limit, cut_page
from planner.api.parts import InWorkshop, split_act
from planner.contract.answers import DecisionList, DecisionSummary
from planner.domain.canonical import sha256_of
from planner.usecases.replay_decision import replay_decision
from planner.usecases.show_decision import show_decision
from planner.usecases.workshop import Workshop

IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match", max_length=2000)]


class DecisionController(Controller):
    """`/v1/decisions`."""

    path = "/v1/decisions"
    tags = ("decisions",)
    opt = {"scope": "plan"}  # noqa: RUF012 - Litestar's way to say it

    @get(operation_id="ListDecisions", sync_to_thread=True)
    def list_decisions(self, workshop: InWorkshop, limit: Limit = 20, cursor: Cursor = None) -> DecisionList:
        """Newest first, in short."""
        rows = workshop.decisions.list_decisions(limit + 1, cursor)
        page, following = cut_page(rows, limit, lambda row: str(row["decision_id"]))
        summaries = [DecisionSummary.model_validate(row) for row in page]
        return DecisionList(decisions=summaries, next_cursor=following)

    @get("/{decision_id:str}", operation_id="ShowDecision", sync_to_thread=True)
    def show(
        self, decision_id: FromPath[str], workshop: InWorkshop, if_none_match: IfNoneMatch = None
    ) -> Response[dict[str, Any] | None]:
        """One decision, with predicted beside measured.

        A decision never changes, what its jobs measured is added: the tag covers both.
        """
        shown = show_decision(workshop, decision_id)
        headers = {"ETag": make_tag(shown), "Cache-Control": "private, no-cache"}
        known = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
        if headers["ETag"] in known or known == ["*"]:
            return Response(None, status_code=304, headers=headers)
        return Response(shown, headers=headers)

    @post("/{act:str}", operation_id="ActOnDecision", status_code=200, sync_to_thread=True)
    def act(self, act: FromPath[str], workshop: InWorkshop) -> dict[str, Any]:
        """`ID:replay`: compute it again and compare."""
        decision_id, perform = split_act(act, {"replay": _replay})
        answer: dict[str, Any] = perform(workshop, decision_id)
        return answer


def make_tag(shown: dict[str, Any]) -> str:
    """An entity tag: of the sealed record, and of what was added to it since."""
    since = sha256_of({"jobs": shown["jobs"], "measurements": shown["measurements"]})
    return f'"{shown["record_sha256"][:32]}-{since[:16]}"'


def _replay(workshop: Workshop, decision_id: str) -> dict[str, Any]:
    return replay_decision(workshop, decision_id)
