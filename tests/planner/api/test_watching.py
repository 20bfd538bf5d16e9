"""What tools read of a service: metrics, the OpenAPI document and its page, long lists by pages, entity tags."""

import re

import httpx
import pytest

from planner.contract.errors import ContractError
from planner.contract.requests import JobFailure, JobSubmission
from planner.usecases.submit_job import submit_job


@pytest.fixture
def get(service):
    headers = {"Authorization": f"Bearer {service.token}"}

    def ask(path, **more):
        return httpx.get(service.url + path, headers=headers | more.pop("headers", {}), **more)

    return ask


@pytest.fixture
def jobs(workshop, tiny_plan):
    return [submit_job(workshop, tiny_plan.decision_id).job_id for _ in range(5)]


def walk(get, path, name, key, limit):
    """Every id of a list, page by page."""
    found, cursor = [], None
    while True:
        page = get(path, params={"limit": limit, **({"cursor": cursor} if cursor else {})}).json()
        found += [row[key] for row in page[name]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_metrics_are_text_that_prometheus_reads(service, get, jobs):
    service.client.approve_job(jobs[0])
    get("/v1/jobs/j-nothing")
    answer = get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "bitwright_decisions_total 1" in lines
    assert 'bitwright_jobs{state="submitted"} 4' in lines
    assert 'bitwright_jobs{state="approved"} 1' in lines
    assert 'bitwright_jobs{state="failed"} 0' in lines
    assert any(re.match(r'bitwright_evidence_rows\{origin="tables"\} \d{3,}', line) for line in lines)
    route = r'bitwright_request_seconds_count\{method="GET",route="/v1/jobs/\{job_id[^"]*\}",status="422"\} 1'
    assert any(re.fullmatch(route, line) for line in lines), answer.text
    for line in lines:
        assert re.fullmatch(r"# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [0-9.e+-]+", line), line


def test_buckets_add_up_to_the_count(get):
    get("/v1/decisions")
    text = get("/metrics").text
    ours = [line for line in text.splitlines() if 'route="/v1/decisions"' in line]
    buckets = [int(line.rpartition(" ")[2]) for line in ours if "_bucket" in line]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 1


def test_metrics_take_a_token(service):
    assert httpx.get(f"{service.url}/metrics").status_code == 401


def test_the_page_of_routes_needs_no_network(service):
    page = httpx.get(f"{service.url}/schema")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|<script|@import", page.text)
    for path in ("/v1/plans", "/v1/jobs/{act}", "/v1/hosts/{name}/heartbeat", "/metrics"):
        assert path in page.text
    document = httpx.get(f"{service.url}/schema/openapi.json").json()
    refusals = {
        tuple(act["responses"]["default"]["content"])
        for acts in document["paths"].values()
        for act in acts.values()
    }
    assert refusals == {("application/problem+json",)}
    assert set(document["components"]["schemas"]["Problem"]["required"]) <= set(
        httpx.get(f"{service.url}/v1/nothing").json()
    )
    assert httpx.get(f"{service.url}/schema/openapi.json").json()["openapi"].startswith("3.1")
    assert "application/problem+json" in httpx.get(f"{service.url}/schema/openapi.yaml").text
    assert "openapi: 3.1" in httpx.get(f"{service.url}/schema/openapi.yaml").text


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_jobs_come_by_pages_each_once(get, jobs, limit):
    found = walk(get, "/v1/jobs", "jobs", "job_id", limit)
    assert sorted(found) == sorted(jobs)
    assert found == [job["job_id"] for job in get("/v1/jobs").json()["jobs"]]


def test_decisions_come_by_pages_each_once(service, get):
    made = [
        service.client.plan({"ask": f"demo for cpu context {1024 + at}"})["decision_id"] for at in range(3)
    ]
    assert walk(get, "/v1/decisions", "decisions", "decision_id", 2) == made[::-1]


def test_evidence_comes_by_pages_each_once(get):
    wanted = {"subject": "quality", "metric": "mmlu"}
    answer = get("/v1/evidence", params={**wanted, "limit": 14}).json()
    whole = [row["evidence_id"] for row in answer["rows"]]
    first = get("/v1/evidence", params={**wanted, "limit": 7}).json()
    second = get("/v1/evidence", params={**wanted, "limit": 7, "cursor": first["next_cursor"]}).json()
    found = [row["evidence_id"] for page in (first, second) for row in page["rows"]]
    assert found == sorted(found, reverse=True)
    assert found == whole
    assert len(found) == 14


def test_a_cursor_that_names_nothing_is_refused(get):
    assert get("/v1/decisions?cursor=d-nothing").json()["code"] == "decision.unknown"
    assert get("/v1/jobs?cursor=j-nothing").json()["code"] == "job.unknown"


def test_a_decision_that_is_known_is_not_sent_again(get, tiny_plan, workshop):
    path = f"/v1/decisions/{tiny_plan.decision_id}"
    first = get(path)
    tag = first.headers["etag"]
    again = get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert get(path, headers={"If-None-Match": '"other"'}).json() == first.json()
    submit_job(workshop, tiny_plan.decision_id)
    assert get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_job_that_failed_is_tried_again_as_a_new_one(service, tiny_plan):
    client = service.client
    job = client.submit_job(JobSubmission(decision_id=tiny_plan.decision_id)).job_id
    with pytest.raises(ContractError) as refused:
        client.retry_job(job)
    assert refused.value.code == "job.not_over"
    client.approve_job(job)
    claim = client.claim_job("gpu-1")
    client.fail_job(claim.claim_id, JobFailure(code="backend.killed", message="It was killed."))
    again = client.retry_job(job)
    assert (again.state, again.decision_id) == ("submitted", tiny_plan.decision_id)
    assert again.job_id != job
    assert client.retry_job(job).job_id == again.job_id
    kept = client.find_job(job).specification
    assert {**again.specification, "job_id": job} == kept
