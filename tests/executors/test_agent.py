"""An agent against a real service: what it claims it runs, what it runs it tells, and it stops when told."""

import threading
import time
from functools import partial

import pytest

import planner.api.claims
from executors.agent import Agent, name_destination
from executors.jobs import run_job
from executors.line import Line
from planner.contract.client import Client
from planner.contract.errors import ContractError, ServiceGone
from planner.contract.requests import JobSubmission
from planner.contract.retries import Patience


@pytest.fixture
def agent(service, fake_cache, artifacts, fake_backends, short_work):
    """An agent whose only backend is the fake one."""
    return Agent(
        client=service.client,
        host="gpu-1",
        cache=fake_cache,
        artifacts=artifacts,
        stop=threading.Event(),
        run=partial(run_as_fake, fake_backends),
    )


def run_as_fake(backends, job, **arguments):
    """Run the job as if its backend were the fake one, which reads its part from scheme and artifact name."""
    how = job.pop("calibration_file", None) or "GOOD"
    played = {**job, "backend": "fake", "scheme": how, "artifact_name": f"tiny-{how.lower()}-made"}
    return run_job(played, backends_folder=backends, **arguments)


@pytest.fixture
def approve(service, tiny_plan):
    """An approved job that will behave as told."""

    def make(how="GOOD"):
        submission = JobSubmission(decision_id=tiny_plan.decision_id, calibration_file=how)
        return service.client.approve_job(service.client.submit_job(submission).job_id)

    return make


def test_a_good_job_ends_completed_with_its_measurements(service, agent, approve, artifacts):
    job = approve()
    assert agent.work_once(job.job_id) == "completed"
    done = service.client.find_job(job.job_id)
    assert done.result["artifact_dir"] == str(artifacts / "tiny-good-made")
    assert (artifacts / "tiny-good-made" / "model.gguf").is_file()
    stages = {event.event.get("stage") for event in service.client.follow_job(job.job_id)}
    assert stages >= {"quantize", "publish"}
    shown = service.client.show_decision(job.decision_id)
    assert any(row["name"] == "artifact_bytes" for row in shown["measurements"])


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param("REFUSES", "backend.missing_shard", id="the backend refuses"),
        pytest.param("KILLED", "backend.killed", id="the backend is killed"),
        pytest.param("RUINED", "quality.runaway", id="the artifact is ruined"),
        pytest.param("UNHEARD_OF", "backend.cannot_make", id="nobody makes that"),
    ],
)
def test_a_bad_job_ends_failed_with_the_code_and_nothing_published(
    service, agent, approve, artifacts, how, code
):
    job = approve(how)
    assert agent.work_once(job.job_id) == "failed"
    assert service.client.find_job(job.job_id).error["code"] == code
    assert not artifacts.exists() or list(artifacts.iterdir()) == []


def test_a_cancelled_job_stops_within_seconds_and_leaves_nothing(service, agent, approve, artifacts):
    job = approve("HANGS")
    ended = []
    worker = threading.Thread(target=lambda: ended.append(agent.work_once(job.job_id)))
    worker.start()
    wait_for(lambda: list(artifacts.glob("*.partial-*/half.gguf")))
    service.client.cancel_job(job.job_id)
    worker.join(15)
    assert ended == ["cancelled"]
    assert list(artifacts.iterdir()) == []


def test_a_stopped_agent_says_so_and_ends(service, agent, approve, artifacts):
    job = approve("HANGS")
    worker = threading.Thread(target=agent.work_once, args=(job.job_id,))
    worker.start()
    wait_for(lambda: list(artifacts.glob("*.partial-*/half.gguf")))
    agent.stop.set()
    worker.join(15)
    assert service.client.find_job(job.job_id).error["code"] == "executor.stopped"


def test_an_agent_without_a_job_of_its_own_takes_whatever_is_approved(service, agent, approve):
    jobs = [approve(), approve("NOTHING")]
    worker = threading.Thread(target=agent.work)
    worker.start()
    wait_for(lambda: all(service.client.find_job(job.job_id).is_over for job in jobs))
    agent.stop.set()
    # A job that nobody approves ends the long poll's wait.
    approve()
    worker.join(30)
    assert not worker.is_alive()


def test_a_job_in_other_hands_is_left_there(service, agent, approve):
    job = approve()
    service.client.claim_job("gpu-2", job.job_id)
    with pytest.raises(ContractError, match="claimed by gpu-2"):
        agent.work_once(job.job_id)


def test_a_surprise_is_reported_with_a_reference(service, agent, approve):
    def break_down(*_, **__):
        raise ZeroDivisionError

    job = approve()
    broken = Agent(
        client=agent.client,
        host="gpu-1",
        cache=agent.cache,
        artifacts=agent.artifacts,
        stop=agent.stop,
        run=break_down,
    )
    assert broken.work_once(job.job_id) == "failed"
    assert service.client.find_job(job.job_id).error["code"] == "executor.unexpected"


def test_what_is_told_while_the_service_is_gone_is_told_when_it_is_back(service, approve, short_work):
    job = approve()
    claim = service.client.claim_job("gpu-1")
    with Client("http://127.0.0.1:9", "x", patience=Patience(seconds=0.1)) as gone:
        line = Line(gone, claim.claim_id, threading.Event())
        with line:
            line.tell({"event": "stage", "stage": "quantize", "done": 1, "total": 2})
            time.sleep(0.3)
            line._client = service.client
    told = [row["event"] for row in service.workshop.job_events.list_job_events(job.job_id, 0)]
    assert told[-1]["done"] == 1


class Fault:
    """A function of the service that fails a few times in a way that nobody foresaw, then works."""

    def __init__(self, monkeypatch, name, times=2):
        self.left = times
        self._real = getattr(planner.api.claims, name)
        monkeypatch.setattr(planner.api.claims, name, self)

    def __call__(self, *arguments, **named):
        if self.left:
            self.left -= 1
            raise ZeroDivisionError
        return self._real(*arguments, **named)


@pytest.mark.parametrize("name", ["claim_job", "renew_claim", "record_events", "record_measurement"])
def test_a_fault_of_the_service_costs_no_job(service, agent, approve, artifacts, monkeypatch, name):
    monkeypatch.setattr("executors.agent.GONE_WAIT_SECONDS", 0.05)
    fault, job = Fault(monkeypatch, name), approve()
    assert agent.work_once(job.job_id) == "completed"
    assert (fault.left, (artifacts / "tiny-good-made").is_dir()) == (0, True)


def test_a_lost_claim_stops_the_work(service, approve, short_work):
    approve()
    claim = service.client.claim_job("gpu-1")
    cancel = threading.Event()
    with Line(service.client, "c-someone-elses", cancel) as line:
        line.tell({"event": "stage", "stage": "quantize", "done": 1, "total": 2})
        assert cancel.wait(5)
    assert service.client.find_job(claim.job.job_id).state == "claimed"


def test_an_artifact_takes_another_name_where_its_own_is_taken(tmp_path):
    job = {"job_id": "j-2", "artifact_name": "tiny-Q8_0"}
    assert name_destination(job, tmp_path)["artifact_name"] == "tiny-Q8_0"
    (tmp_path / "tiny-Q8_0").mkdir()
    assert name_destination(job, tmp_path)["artifact_name"] == "tiny-Q8_0-j-2"
    (tmp_path / "tiny-Q8_0" / "manifest.json").write_text('{"job_id": "j-2"}')
    assert name_destination(job, tmp_path)["artifact_name"] == "tiny-Q8_0"


def wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_what_was_made_waits_for_a_service_that_is_gone_and_is_published_when_it_is_back(
    service, agent, approve, artifacts, monkeypatch
):
    """The claim is asked about when all is written; a service that is gone is asked again."""
    monkeypatch.setattr("executors.agent.GONE_WAIT_SECONDS", 0.05)
    job = approve()
    renew, refusals = service.client.renew_claim, [ServiceGone("http://gone", "ConnectError")] * 3

    def answer(claim_id):
        if refusals:
            assert artifacts.exists()
            assert not (artifacts / "tiny-good-made").exists()
            raise refusals.pop()
        return renew(claim_id)

    monkeypatch.setattr(service.client, "renew_claim", answer)
    assert agent.work_once(job.job_id) == "completed"
    assert (refusals, (artifacts / "tiny-good-made").is_dir()) == ([], True)


def test_a_job_that_went_to_another_host_is_not_published_here(
    service, agent, approve, artifacts, monkeypatch
):
    """The lease ends while this host works; the other one claims before this one asks for leave."""
    job = approve()
    workshop = service.workshop
    renew = service.client.renew_claim

    def lose(claim_id):
        workshop.claims.renew_claim(claim_id, "2020-01-01T00:00:00.000+00:00")
        if service.client.find_job(job.job_id).host == "gpu-1":
            service.client.claim_job("gpu-2", wait_seconds=1)
        return renew(claim_id)

    monkeypatch.setattr(service.client, "renew_claim", lose)
    assert agent.work_once(job.job_id) == "lost"
    assert list(artifacts.iterdir()) == []
    found = service.client.find_job(job.job_id)
    assert (found.state, found.host) == ("claimed", "gpu-2")


def test_an_artifact_of_a_job_that_was_cancelled_meanwhile_is_withdrawn(
    service, agent, approve, artifacts, monkeypatch
):
    """The word to cancel comes between the leave to publish and the report."""
    job = approve()
    complete = service.client.complete_job

    def cancel_first(claim_id, report):
        assert (artifacts / "tiny-good-made").is_dir()
        service.client.cancel_job(job.job_id)
        return complete(claim_id, report)

    monkeypatch.setattr(service.client, "complete_job", cancel_first)
    assert agent.work_once(job.job_id) == "cancelled"
    assert list(artifacts.iterdir()) == []
