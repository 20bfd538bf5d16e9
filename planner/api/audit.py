"""Audit questions: one SELECT over the record."""

from litestar import Controller, post
from litestar.params import JSONBody

from planner.api.parts import InWorkshop
from planner.contract.answers import AuditAnswer
from planner.contract.requests import AuditQuestion


class AuditController(Controller):
    """`/v1/audit`."""

    path = "/v1/audit"
    tags = ("audit",)
    opt = {"scope": "audit"}  # noqa: RUF012 - Litestar's way to say it

    @post("/query", operation_id="Audit", status_code=200, sync_to_thread=True)
    def query(self, data: JSONBody[AuditQuestion], workshop: InWorkshop) -> AuditAnswer:
        """Columns and rows, and whether there were more."""
        found = workshop.audit(data.sql)
        return AuditAnswer(
            columns=found.columns, rows=[list(row) for row in found.rows], truncated=found.truncated
        )
