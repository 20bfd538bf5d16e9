"""Jobs over REST: submitted once, approved, claimed, followed from any point, completed or cancelled."""

import threading
import time

import httpx
import pytest

from planner.contract.errors import ContractError
from planner.contract.requests import JobFailure, JobReport, JobSubmission


@pytest.fixture
def client(service):
    return service.client


@pytest.fixture
def decision(client, tiny_checkpoint):
    return client.plan({"ask": f"{tiny_checkpoint} for cpu", "scheme": "Q8_0", "must_quantize": True})


@pytest.fixture
def job(client, decision):
    return client.submit_job(JobSubmission(decision_id=decision["decision_id"]))


@pytest.fixture
def claim(client, job):
    client.approve_job(job.job_id)
    return client.claim_job("gpu-1")


def a_stage(done):
    return {"event": "stage", "stage": "quantize", "done": done, "total": 9}


def test_a_job_goes_its_whole_way(client, job, claim, decision, a_measurement):
    client.report_events(claim.claim_id, [a_stage(1), a_stage(9)])
    report = JobReport(artifact_dir="/made", manifest={"files": []}, measurement=a_measurement())
    assert client.complete_job(claim.claim_id, report).state == "completed"
    told = [event.event for event in client.follow_job(job.job_id)]
    assert [event.get("state") or event["done"] for event in told] == [
        "submitted", "approved", "claimed", 1, 9, "completed",
    ]  # fmt: skip
    shown = client.show_decision(decision["decision_id"])
    assert {row["name"] for row in shown["measurements"]} >= {"artifact_bytes", "job_minutes"}
    assert client.replay_decision(decision["decision_id"])["identical"]


def test_following_resumes_after_the_event_that_was_seen_last(client, job, claim):
    client.report_events(claim.claim_id, [a_stage(done) for done in range(1, 5)])
    client.fail_job(claim.claim_id, JobFailure(code="backend.killed", message="It was killed."))
    everything = [event.sequence for event in client.follow_job(job.job_id)]
    assert everything == list(range(1, 9))
    assert [event.sequence for event in client.follow_job(job.job_id, after=5)] == everything[5:]


def test_a_follower_hears_what_is_told_while_it_listens(client, job, claim):
    heard = []
    follower = threading.Thread(target=lambda: heard.extend(client.follow_job(job.job_id)))
    follower.start()
    client.report_events(claim.claim_id, [a_stage(1)])
    client.cancel_job(job.job_id)
    follower.join(5)
    assert not follower.is_alive()
    assert [event.event.get("state") for event in heard][-2:] == [None, "cancelled"]


def test_a_long_poll_waits_for_work(client, job):
    claims = []
    waiting = threading.Thread(target=lambda: claims.append(client.claim_job("gpu-1", wait_seconds=5.0)))
    waiting.start()
    time.sleep(0.3)
    client.approve_job(job.job_id)
    waiting.join(5)
    assert claims[0].job.job_id == job.job_id


def test_a_poll_without_work_comes_back_empty(client):
    assert client.claim_job("gpu-1").job is None


def test_a_cancelled_job_is_learnt_of_with_the_next_word(client, job, claim):
    client.cancel_job(job.job_id)
    assert client.renew_claim(claim.claim_id).state == "cancelled"
    assert client.report_events(claim.claim_id, [a_stage(1)]).state == "cancelled"


def test_an_idempotency_key_makes_one_job(client, decision):
    submission = JobSubmission(decision_id=decision["decision_id"])
    first = client.submit_job(submission, idempotency_key="k")
    assert client.submit_job(submission, idempotency_key="k").job_id == first.job_id
    assert len(client.list_jobs(decision["decision_id"])) == 1


def test_many_plans_at_once_are_all_recorded(client, service):
    asks = [{"ask": f"demo for cpu context {1024 + number}"} for number in range(16)]
    plans = []
    threads = [threading.Thread(target=lambda ask=ask: plans.append(client.plan(ask))) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {plan["decision_id"] for plan in plans}
    assert len(ids) == 16
    assert ids == {row.decision_id for row in client.list_decisions()}


@pytest.mark.parametrize("token", ["", "wrong"])
def test_nothing_is_told_without_the_token(service, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx.get(f"{service.url}/v1/jobs", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] in {"token.missing", "token.unknown"}


def test_health_is_open_to_probes_but_a_wrong_token_is_refused(service):
    assert httpx.get(f"{service.url}/health/live").json()["status"] == "live"
    assert httpx.get(f"{service.url}/health/ready").json()["status"] == "ready"
    wrong = httpx.get(f"{service.url}/health/live", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401


def test_audit_answers_one_select(client, decision):
    answer = client.audit("SELECT decision_id FROM decisions")
    assert (answer.columns, answer.rows) == (["decision_id"], [[decision["decision_id"]]])
    with pytest.raises(ContractError, match="exactly one SELECT"):
        client.audit("DROP TABLE decisions")
