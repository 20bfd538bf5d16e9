"""The application: controllers over one workshop, problem documents, a token, and the OpenAPI document."""

from collections.abc import Callable

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from planner import __version__
from planner.api.audit import AuditController
from planner.api.auth import give_caller, make_guard
from planner.api.claims import ClaimController
from planner.api.decisions import DecisionController
from planner.api.evidence import EvidenceController
from planner.api.health import HealthController
from planner.api.hosts import HostController
from planner.api.jobs import JobController
from planner.api.plans import PlanController
from planner.api.problems import make_problem_plugin
from planner.api.tokens import TokenController
from planner.usecases.workshop import Workshop

BODY_LIMIT_BYTES = 16 * 1024**2


def make_app(workshop: Workshop, token: str, is_stopping: Callable[[], bool]) -> Litestar:
    """The service over a workshop; whoever has this token may do everything."""
    return Litestar(
        route_handlers=[
            PlanController,
            DecisionController,
            EvidenceController,
            JobController,
            ClaimController,
            HostController,
            AuditController,
            TokenController,
            HealthController,
        ],
        dependencies={
            "workshop": Provide(lambda: workshop, sync_to_thread=False),
            "caller": Provide(give_caller, sync_to_thread=False),
            "is_stopping": Provide(lambda: is_stopping, sync_to_thread=False),
        },
        guards=[make_guard(token, workshop.tokens)],
        plugins=[make_problem_plugin()],
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=OpenAPIConfig(title="Bitwright", version=__version__),
        logging_config=None,
    )
