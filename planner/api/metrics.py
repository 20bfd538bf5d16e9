"""`GET /metrics`: what Prometheus reads of a service. Counts come from the record, latencies from this process.

Text exposition format 0.0.4. A request's seconds run to the first byte of its answer, so that a followed job counts
as long as its first word takes; a long poll for work counts with its wait, under its own route.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.params import SkipValidation
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from planner import __version__
from planner.api.auth import ANY_SCOPE
from planner.api.parts import InWorkshop
from planner.domain.record.job import JobState
from planner.usecases.keep_host import list_hosts

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.12, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Labels = tuple[tuple[str, str], ...]


class Latencies:
    """How long answers took, by route, method and status."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, labels: Labels, seconds: float) -> None:
        """Count one answer."""
        with self._turn:
            buckets = self._buckets.setdefault(labels, [0] * (len(BUCKETS_SECONDS) + 1))
            at = next(
                (at for at, edge in enumerate(BUCKETS_SECONDS) if seconds <= edge), len(BUCKETS_SECONDS)
            )
            buckets[at] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def write(self) -> list[str]:
        """The histogram as Prometheus reads it: buckets add up."""
        name = "bitwright_request_seconds"
        lines = [
            f"# HELP {name} Seconds to the first byte of an answer.",
            f"# TYPE {name} histogram",
        ]
        with self._turn:
            for labels, buckets in sorted(self._buckets.items()):
                total = 0
                for edge, count in zip((*map(str, BUCKETS_SECONDS), "+Inf"), buckets, strict=True):
                    total += count
                    lines.append(_sample(f"{name}_bucket", (*labels, ("le", edge)), total))
                lines.append(_sample(f"{name}_sum", labels, self._sums[labels]))
                lines.append(_sample(f"{name}_count", labels, total))
        return lines


class Stopwatch(ASGIMiddleware):
    """Times every answer."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, latencies: Latencies) -> None:
        self._latencies = latencies

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass the request on and time it to the first byte that comes back."""
        start = time.perf_counter()

        async def send_timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                labels = (
                    ("method", str(scope.get("method", ""))),
                    ("route", str(scope.get("path_template") or "unknown")),
                    ("status", str(message["status"])),
                )
                self._latencies.observe(labels, time.perf_counter() - start)
            await send(message)

        await next_app(scope, receive, send_timed)


class MetricsController(Controller):
    """`/metrics`."""

    tags = ("health",)
    opt = {"scope": ANY_SCOPE}  # noqa: RUF012 - Litestar's way to say it

    @get("/metrics", operation_id="ReadMetrics", sync_to_thread=True)
    def read(
        self, workshop: InWorkshop, latencies: NamedDependency[SkipValidation[Latencies]]
    ) -> Response[str]:
        """Counts and latencies in Prometheus' text format; any token will do."""
        text = write_metrics(workshop.counts.count_record(), list_hosts(workshop), latencies)
        return Response(text, media_type=MEDIA_TYPE)


def write_metrics(
    counts: Mapping[tuple[str, str], int], hosts: Iterable[Mapping[str, Any]], latencies: Latencies
) -> str:
    """Everything that is told, as one text."""
    states = get_args(JobState)
    rows = list(hosts)
    lines = [
        *_family("bitwright_info", "gauge", "The service.", {(("version", __version__),): 1}),
        *_family(
            "bitwright_decisions_total", "counter", "Plans recorded.", {(): counts.get(("decisions", ""), 0)}
        ),
        *_family(
            "bitwright_jobs",
            "gauge",
            "Jobs by state.",
            {(("state", state),): counts.get(("jobs", state), 0) for state in states},
        ),
        *_family(
            "bitwright_evidence_rows",
            "gauge",
            "Evidence by origin: the tables, or measured here.",
            {(("origin", origin),): counts.get(("evidence", origin), 0) for origin in ("tables", "own")},
        ),
        *_family(
            "bitwright_host_age_seconds",
            "gauge",
            "Seconds since a host was last heard of.",
            {(("host", row["name"]), ("state", row["state"])): row["age_seconds"] for row in rows},
        ),
        *_family(
            "bitwright_host_jobs",
            "gauge",
            "Jobs that a host runs.",
            {(("host", row["name"]),): len(row["jobs"]) for row in rows},
        ),
        *latencies.write(),
    ]
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, purpose: str, samples: Mapping[Labels, float]) -> list[str]:
    head = [f"# HELP {name} {purpose}", f"# TYPE {name} {kind}"]
    return [*head, *(_sample(name, labels, value) for labels, value in samples.items())]


def _sample(name: str, labels: Labels, value: float) -> str:
    said = ",".join(f'{key}="{_escape(text)}"' for key, text in labels)
    return f"{name}{{{said}}} {value!r}" if said else f"{name} {value!r}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
