"""Jobs: submitted, listed, approved, cancelled, followed."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Annotated, Any

import anyio
from anyio.to_thread import run_sync
from litestar import Controller, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from planner.api.auth import ANY_SCOPE, check_scope
from planner.api.pages import Cursor, Limit, cut_page
from planner.api.parts import FromCaller, InWorkshop, IsStopping, split_act
from planner.contract.answers import JobList, JobRecord
from planner.contract.requests import JobSubmission
from planner.domain.record.job import FINAL_STATES, Job
from planner.domain.record.token import Scope
from planner.usecases.approve_job import approve_job
from planner.usecases.cancel_job import cancel_job
from planner.usecases.retry_job import retry_job
from planner.usecases.submit_job import submit_job
from planner.usecases.workshop import Workshop

LOOK_SECONDS = 0.2
PING_SECONDS = 10.0

IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]
LastEventId = Annotated[int | None, HeaderParameter(name="Last-Event-ID", ge=0)]


def _cancel(workshop: Workshop, job_id: str, by: str) -> Job:
    del by
    return cancel_job(workshop, job_id)


ACTS: Mapping[str, tuple[Scope, Callable[[Workshop, str, str], Job]]] = {
    "approve": ("approve", approve_job),
    "cancel": ("run", _cancel),
    "retry": ("run", retry_job),
}
"""What can be done to a job, and the scope that it takes."""


def describe_job(job: Job) -> JobRecord:
    """A job on the wire."""
    return JobRecord.model_validate(job.as_json())


class JobController(Controller):
    """`/v1/jobs`."""

    path = "/v1/jobs"
    tags = ("jobs",)
    opt = {"scope": "run"}  # noqa: RUF012 - Litestar's way to say it

    @post(operation_id="SubmitJob", status_code=201, sync_to_thread=True)
    def submit(
        self,
        data: JSONBody[JobSubmission],
        workshop: InWorkshop,
        caller: FromCaller,
        idempotency_key: IdempotencyKey = None,
    ) -> JobRecord:
        """Submit a job; the same key answers with the job it made before."""
        return describe_job(
            submit_job(
                workshop,
                data.decision_id,
                choice=data.choice.model_dump(exclude_none=True),
                calibration_file=data.calibration_file,
                idempotency_key=idempotency_key,
                by=caller.name,
            )
        )

    @get(operation_id="ListJobs", sync_to_thread=True)
    def list_jobs(
        self,
        workshop: InWorkshop,
        decision_id: FromQuery[str | None] = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> JobList:
        """Newest first."""
        jobs = workshop.jobs.list_jobs(decision_id, limit + 1, cursor)
        page, following = cut_page(jobs, limit, lambda job: job.job_id)
        return JobList(jobs=[describe_job(job) for job in page], next_cursor=following)

    @get("/{job_id:str}", operation_id="ShowJob", sync_to_thread=True)
    def show(self, job_id: FromPath[str], workshop: InWorkshop) -> JobRecord:
        """One job."""
        return describe_job(workshop.jobs.find_job(job_id))

    @post(
        "/{act:str}",
        operation_id="ActOnJob",
        status_code=200,
        sync_to_thread=True,
        opt={"scope": ANY_SCOPE},
    )
    def act(self, act: FromPath[str], workshop: InWorkshop, caller: FromCaller) -> JobRecord:
        """`ID:approve` lets executors have it (scope approve), `ID:cancel` stops it, `ID:retry` tries again (run)."""
        job_id, (scope, perform) = split_act(act, ACTS)
        check_scope(caller, scope)
        return describe_job(perform(workshop, job_id, caller.name))

    @get("/{job_id:str}/events", operation_id="FollowJob")
    async def follow(
        self,
        job_id: FromPath[str],
        workshop: InWorkshop,
        is_stopping: IsStopping,
        last_event_id: LastEventId = None,
    ) -> ServerSentEvent:
        """Events from the one after Last-Event-ID until the job is over."""
        await run_sync(workshop.jobs.find_job, job_id)
        return ServerSentEvent(_tell(workshop, job_id, last_event_id or 0, is_stopping))


async def _tell(
    workshop: Workshop, job_id: str, after: int, is_stopping: Callable[[], bool]
) -> AsyncGenerator[ServerSentEventMessage, None]:
    quiet = 0.0
    while not is_stopping():
        # The state first: events that come after it was read are told in the next round.
        job = await run_sync(workshop.jobs.find_job, job_id)
        rows = await run_sync(workshop.job_events.list_job_events, job_id, after)
        for row in rows:
            after, quiet = row["sequence"], 0.0
            yield ServerSentEventMessage(id=after, event=_name(row), data=json.dumps(row))
        if job.state in FINAL_STATES:
            return
        quiet += LOOK_SECONDS
        if quiet >= PING_SECONDS:
            quiet = 0.0
            yield ServerSentEventMessage(data=None, comment="still here")
        await anyio.sleep(LOOK_SECONDS)


def _name(row: dict[str, Any]) -> str:
    return str(row["event"].get("event", "event"))
