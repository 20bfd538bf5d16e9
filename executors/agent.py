"""Work for a service: claim a job, run it, tell about it, hand in what came of it.

Everything goes out over REST; nothing listens here. A job's fate is decided by the service: what is handed in for
a job that is over, or that another host holds by now, changes nothing. What was made stays in its partial folder
until the service, however long it is gone, says that the job still is this host's: only then it is published, so
that a job taken up elsewhere never has two publishers.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from executors.errors import ExecutorError, JobCancelled
from executors.inventory import find_free_vram_bytes
from executors.line import Line
from executors.publish import read_manifest, withdraw
from planner.contract.answers import Claim, ClaimState, JobRecord
from planner.contract.client import Client
from planner.contract.errors import ContractError, ServiceGone
from planner.contract.requests import JobFailure, JobReport

POLL_SECONDS = 20.0
HAND_IN_TRIES = 200
GONE_WAIT_SECONDS = 2.0

RunJob = Callable[..., dict[str, Any]]

log = logging.getLogger("bitwright.executor")


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One host's worker: a connection, its folders, and the word to stop."""

    client: Client
    host: str
    cache: Path
    artifacts: Path
    stop: threading.Event
    run: RunJob
    """`run_job`, told where the backends are."""
    silence_seconds: float | None = None
    """Ends a backend that says nothing for so long; the job's own limit without it."""
    is_working: threading.Event = field(default_factory=threading.Event)
    """Set while a job runs: a signal then cancels the job instead of ending the process."""

    def work(self) -> None:
        """Claim and run jobs until told to stop.

        Raises:
            ContractError: the service refuses this executor itself.
        """
        while (claim := self._wait_for_work(None)) is not None:
            self.run_claim(claim)

    def work_once(self, job_id: str) -> str:
        """Wait for one job to be approved, run it, and answer the state it ended in.

        Raises:
            ContractError: the job is unknown, over or in other hands.
        """
        claim = self._wait_for_work(job_id)
        return "stopped" if claim is None else self.run_claim(claim)

    def _wait_for_work(self, job_id: str | None) -> Claim | None:
        """A claim with a job, or None when told to stop; a service that is gone or in trouble is asked again.

        Raises:
            ContractError: the service refuses.
        """
        while not self.stop.is_set():
            try:
                claim = self.client.claim_job(self.host, job_id=job_id, wait_seconds=POLL_SECONDS)
            except ContractError as error:
                if not error.may_pass:
                    raise
                log.warning("%s", error.message)
                self.stop.wait(GONE_WAIT_SECONDS)
                continue
            if claim.job is not None:
                return claim
        return None

    def run_claim(self, claim: Claim) -> str:
        """Run a claimed job to its end and hand in the outcome; the state the service gives it."""
        assert claim.job is not None
        assert claim.claim_id is not None
        log.info("job %s: %s", claim.job.job_id, describe_work(claim.job))
        outcome = self._run(claim.job, claim.claim_id)
        try:
            state = self._hand_in(claim.claim_id, outcome)
        except ContractError as error:
            log.warning("could not hand in job %s: %s", claim.job.job_id, error.message)
            return "lost"
        if isinstance(outcome, JobReport) and state.state in {"cancelled", "failed"}:
            self._withdraw(Path(outcome.artifact_dir), state)
        log.info("job %s is %s", state.job_id, state.state)
        return state.state

    def _withdraw(self, artifact: Path, state: ClaimState) -> None:
        log.info("job %s was over before its artifact was known: it is withdrawn", state.job_id)
        try:
            withdraw(artifact, state.job_id)
        except OSError as error:
            log.warning("%s could not be removed: %s", artifact, error.strerror)

    def _ask_leave(self, claim_id: str, cancel: threading.Event) -> None:
        """Return when the service says that the claim holds; it is waited for.

        Raises:
            JobCancelled: the job is over, in other hands, or this agent is to stop.
        """
        while not cancel.is_set():
            try:
                state = self.client.renew_claim(claim_id)
            except ContractError as error:
                if not error.may_pass:
                    log.warning("not published: %s [%s]", error.message, error.code)
                    break
                log.warning("what was made waits: %s", error.message)
                cancel.wait(GONE_WAIT_SECONDS)
                continue
            if state.state == "claimed":
                return
            break
        raise JobCancelled

    def _run(self, job: JobRecord, claim_id: str) -> JobReport | JobFailure:
        self.is_working.set()
        cancel = threading.Event()
        watcher = threading.Thread(target=_pass_on, args=(self.stop, cancel), daemon=True)
        watcher.start()
        try:
            with Line(self.client, claim_id, cancel) as line:
                made = self.run(
                    {
                        "silence_seconds": self.silence_seconds,
                        **name_destination(job.specification, self.artifacts),
                    },
                    cache=self.cache,
                    artifacts=self.artifacts,
                    on_event=line.tell,
                    cancel=cancel,
                    ask_leave=partial(self._ask_leave, claim_id, cancel),
                )
            return JobReport(**made)
        except JobCancelled as error:
            if self.stop.is_set():
                return JobFailure(
                    code="executor.stopped", message="The executor was stopped. Nothing was published."
                )
            return JobFailure(code=error.code, message=error.message)
        except ExecutorError as error:
            return JobFailure(code=error.code, message=error.message)
        except Exception as error:  # noqa: BLE001 - the service must hear of it, whatever it was
            return _explain_surprise(error)
        finally:
            cancel.set()  # lets the watcher go
            self.is_working.clear()

    def _hand_in(self, claim_id: str, outcome: JobReport | JobFailure) -> ClaimState:
        """Try for minutes: what was made is worth more than a wait."""
        for _ in range(HAND_IN_TRIES):
            try:
                if isinstance(outcome, JobReport):
                    return self.client.complete_job(claim_id, outcome)
                return self.client.fail_job(claim_id, outcome)
            except ContractError as error:
                if not error.may_pass:
                    raise
                log.warning("%s", error.message)
                if self.stop.wait(GONE_WAIT_SECONDS):
                    raise
        raise ServiceGone(self.client.url, "it was asked many times")


def name_destination(specification: Mapping[str, Any], artifacts: Path) -> dict[str, Any]:
    """The job with what only this host knows: a free name for its artifact, and free accelerator memory."""
    job = {**specification, "free_vram_bytes": find_free_vram_bytes()}
    name, job_id = job.get("artifact_name") or "", job["job_id"]
    if name and (artifacts / name).exists():
        manifest = read_manifest(artifacts / name) or {}
        if manifest.get("job_id") != job_id:
            job["artifact_name"] = f"{name}-{job_id}"
    return job


def describe_work(job: JobRecord) -> str:
    """What is to be made, in words."""
    made = job.specification
    group = f" group {made['group_size']}" if made.get("group_size") else ""
    return f"{made.get('scheme')}{group} by {made.get('method')} of {made.get('model_id')}"


def _pass_on(stop: threading.Event, cancel: threading.Event) -> None:
    while not cancel.is_set():
        if stop.wait(0.1):
            cancel.set()


def _explain_surprise(error: Exception) -> JobFailure:
    reference = secrets.token_hex(4)
    log.error("unexpected, reference %s", reference, exc_info=error)
    return JobFailure(
        code="executor.unexpected",
        message=f"The executor failed in a way nobody foresaw. Its log has it under {reference}.",
    )
