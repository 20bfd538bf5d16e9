"""Estimates of one candidate, predictions of one benchmark, and the evidence they stand on."""

from typing import Annotated, Any

from litestar import Controller, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from planner.api.pages import Limit, cut_page
from planner.api.parts import InWorkshop
from planner.contract.answers import EvidenceRows
from planner.contract.requests import EstimateAsk, PredictionAsk
from planner.usecases.estimate_candidate import estimate_candidate
from planner.usecases.predict_evidence import predict_evidence

RowCursor = Annotated[int | None, QueryParameter(ge=1, description="`next_cursor` of the page before.")]


class EvidenceController(Controller):
    """`/v1/estimates` and `/v1/evidence`."""

    path = "/v1"
    tags = ("evidence",)
    opt = {"scope": "plan"}  # noqa: RUF012 - Litestar's way to say it

    @post("/estimates", operation_id="Estimate", status_code=200, sync_to_thread=True)
    def estimate(self, data: JSONBody[EstimateAsk], workshop: InWorkshop) -> dict[str, Any]:
        """Numbers and verdicts of one candidate, also when it does not fit or is not legal."""
        return estimate_candidate(workshop, data.model_dump(exclude_unset=True))

    @post("/evidence:predict", operation_id="PredictEvidence", status_code=200, sync_to_thread=True)
    def predict(self, data: JSONBody[PredictionAsk], workshop: InWorkshop) -> dict[str, Any]:
        """What one benchmark loses, with the basis and the sources."""
        return predict_evidence(workshop, data.model_dump(exclude_unset=True))

    @get("/evidence", operation_id="ListEvidence", sync_to_thread=True)
    def list_rows(
        self,
        workshop: InWorkshop,
        subject: FromQuery[str | None] = None,
        model: FromQuery[str | None] = None,
        scheme: FromQuery[str | None] = None,
        metric: FromQuery[str | None] = None,
        limit: Limit = 20,
        cursor: RowCursor = None,
    ) -> EvidenceRows:
        """Rows by subject, model, scheme and metric, newest first."""
        data_sha256 = workshop.knowledge.version().data_sha256
        wanted = {"subject": subject, "model": model, "scheme": scheme, "metric": metric}
        rows = workshop.evidence.find_rows(data_sha256, **wanted, row_limit=limit + 1, before=cursor)
        page, following = cut_page(rows, limit, lambda row: str(row["evidence_id"]))
        return EvidenceRows(rows=page, next_cursor=following)

    @get("/evidence/sources", operation_id="ListSources", sync_to_thread=True)
    def list_sources(self, workshop: InWorkshop) -> EvidenceRows:
        """Sources with their number of rows."""
        return EvidenceRows(rows=workshop.evidence.count_sources(workshop.knowledge.version().data_sha256))
