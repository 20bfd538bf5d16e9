"""The application: controllers over one workshop, problem documents, a token, and the OpenAPI document."""

from collections.abc import Callable

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from planner import __version__
from planner.api.audit import AuditController
from planner.api.auth import give_caller, make_guard
from planner.api.claims import ClaimController
from planner.api.decisions import DecisionController
from planner.api.docs import JsonDocument, RoutesPage, YamlDocument
from planner.api.evidence import EvidenceController
from planner.api.health import HealthController
from planner.api.hosts import HostController
from planner.api.jobs import JobController
from planner.api.metrics import Latencies, MetricsController, Stopwatch
from planner.api.plans import PlanController
from planner.api.problems import BODY_LIMIT_BYTES, make_problem_plugin
from planner.api.recorder import Recorder
from planner.api.tokens import TokenController
from planner.usecases.workshop import Workshop


def make_app(workshop: Workshop, token: str, is_stopping: Callable[[], bool]) -> Litestar:
    """The service over a workshop; whoever has this token may do everything."""
    latencies, recorder = Latencies(), Recorder(workshop)
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
            MetricsController,
        ],
        dependencies={
            "workshop": Provide(lambda: workshop, sync_to_thread=False),
            "recorder": Provide(lambda: recorder, sync_to_thread=False),
            "latencies": Provide(lambda: latencies, sync_to_thread=False),
            "caller": Provide(give_caller, sync_to_thread=False),
            "is_stopping": Provide(lambda: is_stopping, sync_to_thread=False),
        },
        middleware=[Stopwatch(latencies)],
        guards=[make_guard(token, workshop.tokens)],
        plugins=[make_problem_plugin()],
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=OpenAPIConfig(
            title="Bitwright",
            version=__version__,
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
            render_plugins=[RoutesPage(path="/"), JsonDocument(), YamlDocument()],
        ),
        logging_config=None,
    )
