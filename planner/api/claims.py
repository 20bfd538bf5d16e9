"""Work for executors: claimed under a lease, told about, renewed, completed or failed."""

import anyio
from anyio.to_thread import run_sync
from litestar import Controller, post
from litestar.params import FromPath, JSONBody

from planner.api.jobs import describe_job
from planner.api.parts import InWorkshop, IsStopping
from planner.contract.answers import Claim, ClaimState
from planner.contract.requests import ClaimAsk, JobFailure, JobReport, ReportedEvents
from planner.domain.record.job import Job
from planner.usecases.claim_job import claim_job, renew_claim
from planner.usecases.fail_job import fail_job
from planner.usecases.record_events import record_events
from planner.usecases.record_measurement import record_measurement

LOOK_SECONDS = 0.2


class ClaimController(Controller):
    """`/v1/hosts/{id}/claims` and `/v1/claims`."""

    path = "/v1"
    tags = ("claims",)
    opt = {"scope": "execute"}  # noqa: RUF012 - Litestar's way to say it

    @post("/hosts/{host:str}/claims", operation_id="ClaimJob", status_code=200)
    async def claim(
        self, host: FromPath[str], data: JSONBody[ClaimAsk], workshop: InWorkshop, is_stopping: IsStopping
    ) -> Claim:
        """The next approved job, waited for up to `wait_seconds`; an empty claim when there was none."""
        deadline = anyio.current_time() + data.wait_seconds
        while True:
            found = await run_sync(claim_job, workshop, host, data.job_id)
            if found is not None:
                return Claim(
                    claim_id=found.claim_id, leased_until=found.leased_until, job=describe_job(found.job)
                )
            if is_stopping() or anyio.current_time() >= deadline:
                return Claim()
            await anyio.sleep(LOOK_SECONDS)

    @post("/claims/{claim_id:str}/events", operation_id="ReportEvents", status_code=200, sync_to_thread=True)
    def report_events(
        self, claim_id: FromPath[str], data: JSONBody[ReportedEvents], workshop: InWorkshop
    ) -> ClaimState:
        """Append progress; the answer's state says whether to go on."""
        return describe_state(record_events(workshop, claim_id, data.events))

    @post("/claims/{claim_id:str}/renew", operation_id="RenewClaim", status_code=200, sync_to_thread=True)
    def renew(self, claim_id: FromPath[str], workshop: InWorkshop) -> ClaimState:
        """Keep the lease; the answer's state says whether to go on."""
        job, until = renew_claim(workshop, claim_id)
        return describe_state(job, until)

    @post("/claims/{claim_id:str}/complete", operation_id="CompleteJob", status_code=200, sync_to_thread=True)
    def complete(
        self, claim_id: FromPath[str], data: JSONBody[JobReport], workshop: InWorkshop
    ) -> ClaimState:
        """Hand in what was made and measured."""
        return describe_state(
            record_measurement(
                workshop,
                claim_id,
                artifact_dir=data.artifact_dir,
                manifest=data.manifest,
                measurement=data.measurement,
            )
        )

    @post("/claims/{claim_id:str}/fail", operation_id="FailJob", status_code=200, sync_to_thread=True)
    def fail(self, claim_id: FromPath[str], data: JSONBody[JobFailure], workshop: InWorkshop) -> ClaimState:
        """Say why there is no artifact."""
        return describe_state(fail_job(workshop, claim_id, data.code, data.message))


def describe_state(job: Job, leased_until: str | None = None) -> ClaimState:
    """What became of a claimed job."""
    return ClaimState(job_id=job.job_id, state=job.state, leased_until=leased_until)
