"""One refusal, one code, one sentence: on the terminal, under --json, and in a problem document."""

import json

import httpx
import pytest

DEEP: list = []
for _ in range(600):
    DEEP = [DEEP]
REFUSALS = [
    pytest.param("qwen-72b for 2x A600", 2, 422, "gpu.unknown", id="unknown card"),
    pytest.param("qwen-72b for RTX 6000", 4, 409, "gpu.ambiguous", id="several cards"),
    pytest.param("nosuchmodel for 2x A6000", 5, 404, "model.unknown", id="unknown model"),
    pytest.param("qwen-72b for 0x A6000", 2, 422, "request.count", id="no cards"),
    pytest.param("qwen-72b for 2x A6000 context 9999999", 2, 422, "context.beyond_maximum", id="context"),
    pytest.param("/nowhere/at/all for cpu", 5, 404, "model.no_folder", id="no folder"),
]


@pytest.mark.parametrize(("ask", "exit_status", "http_status", "code"), REFUSALS)
def test_the_same_code_and_sentence_everywhere(
    shared_service, bitwright, ask, exit_status, http_status, code
):
    headers = {"Authorization": f"Bearer {shared_service.token}"}
    answer = httpx.post(f"{shared_service.url}/v1/plans", json={"ask": ask}, headers=headers)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"]) == (http_status, http_status)
    assert problem["type"] == problem["code"] == problem["error"]["code"] == code
    assert problem["exit_status"] == exit_status

    said = bitwright("plan", ask, "--json")
    assert said.status == exit_status
    assert json.loads(said.out) == {"error": problem["error"]}
    assert problem["detail"] == problem["error"]["message"]

    shown = bitwright("plan", ask)
    assert shown.status == exit_status
    assert shown.out == ""
    assert f"{problem['detail']}  [{code}]" in shown.err


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        pytest.param("GET", "/v1/nothing", None, 404, "route.unknown", id="no route"),
        pytest.param("DELETE", "/v1/jobs", None, 405, "route.method", id="wrong method"),
        pytest.param("POST", "/v1/jobs/j-1:explode", None, 422, "route.unknown_act", id="no act"),
        pytest.param(
            "POST", "/v1/jobs", {"decision_id": "d", "x": 1}, 422, "request.unknown_field", id="field"
        ),
        pytest.param(
            "POST", "/v1/plans", {"ask": "x for cpu", "y": 1}, 422, "request.unknown_field", id="ask"
        ),
        pytest.param("POST", "/v1/plans", None, 422, "request.invalid", id="no body"),
        pytest.param("POST", "/v1/plans", ["x"], 422, "request.invalid", id="no object"),
        pytest.param("POST", "/v1/plans", {"ask": DEEP}, 422, "request.invalid", id="nested too deeply"),
        pytest.param("POST", "/v1/jobs", {}, 422, "request.invalid", id="field missing"),
        pytest.param("POST", "/v1/jobs", {"decision_id": "d-0"}, 422, "decision.unknown", id="no decision"),
        pytest.param("POST", "/v1/claims/c-0/renew", None, 422, "claim.unknown", id="no claim"),
        pytest.param("GET", "/v1/jobs/j-0/events", None, 422, "job.unknown", id="no job to follow"),
        pytest.param("GET", "/v1/decisions?limit=0", None, 422, "request.invalid", id="limit"),
    ],
)
def test_whatever_is_refused_is_a_problem_document_with_a_code(
    shared_service, method, path, body, status, code
):
    headers = {"Authorization": f"Bearer {shared_service.token}"}
    answer = httpx.request(method, f"{shared_service.url}{path}", json=body, headers=headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert problem["detail"].endswith((".", "bitwright jobs", "bitwright decisions"))


def test_what_nobody_foresaw_has_a_reference_and_tells_nothing_else(service):
    service.workshop.close()
    headers = {"Authorization": f"Bearer {service.token}"}
    problem = httpx.get(f"{service.url}/v1/decisions", headers=headers).json()
    assert (problem["status"], problem["code"]) == (500, "internal.error")
    assert "onnection" not in problem["detail"]
