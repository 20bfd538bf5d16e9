"""Plans: one recorded, or many answered in order."""

from typing import Any

from litestar import Controller, MediaType, Response, post
from litestar.params import JSONBody

from planner.api.parts import InRecorder, InWorkshop, IsStopping
from planner.contract.answers import PlanAnswers
from planner.contract.requests import PlanAsk, PlanBatch
from planner.domain.errors import BitwrightError, Unreachable
from planner.usecases.plan_model import draft_plan, plan_model, plan_without_record
from planner.usecases.read_ask import read_ask
from planner.usecases.workshop import Workshop


class PlanController(Controller):
    """`/v1/plans`."""

    tags = ("plans",)
    opt = {"scope": "plan"}  # noqa: RUF012 - Litestar's way to say it

    @post("/v1/plans", operation_id="Plan", status_code=200)
    async def plan(
        self, data: JSONBody[PlanAsk], workshop: InWorkshop, recorder: InRecorder
    ) -> Response[bytes]:
        """Plan and record; `chosen` is null when nothing fits."""
        decision = await recorder.plan(
            lambda: draft_plan(workshop, read_ask(data.model_dump(exclude_none=True)))
        )
        return Response(decision.write_json().encode(), media_type=MediaType.JSON)

    @post("/v1/plans:batch", operation_id="PlanBatch", status_code=200, sync_to_thread=True)
    def plan_batch(
        self, data: JSONBody[PlanBatch], workshop: InWorkshop, is_stopping: IsStopping
    ) -> PlanAnswers:
        """Plan many; a bad one is answered by an `error` object in its place."""
        answers = []
        for fields in data.plans:
            if is_stopping():
                raise Unreachable("service.ending", "The service is ending. Ask again when it is back.")
            answers.append(_answer(workshop, fields, data.record))
        return PlanAnswers(answers=answers)


def _answer(workshop: Workshop, fields: dict[str, Any], record: bool) -> dict[str, Any]:
    try:
        request = read_ask(fields)
        return plan_model(workshop, request).as_json() if record else plan_without_record(workshop, request)
    except BitwrightError as error:
        described: dict[str, Any] = {"code": error.code, "message": error.message}
        described |= {"choices": list(error.choices)} if error.choices else {}
        described |= {"suggestions": list(error.suggestions)} if error.suggestions else {}
        return {"error": described}
