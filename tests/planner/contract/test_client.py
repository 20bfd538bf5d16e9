"""Both clients ask again when that can help, read refusals, and have one method for every route."""

import inspect
import re
from functools import partial
from itertools import islice

import httpx
import pytest
from fakes.scripted import HEALTH, JOB, an_answer, as_broken_json, as_json

from planner.contract import calls
from planner.contract.client import AsyncClient, Client
from planner.contract.errors import BadAddress, ContractError, ServiceGone
from planner.contract.inventory import Cpu, HostSnapshot
from planner.contract.requests import (
    HostReport,
    JobFailure,
    JobReport,
    JobSubmission,
    TokenAsk,
)
from planner.usecases.submit_job import submit_job


@pytest.mark.parametrize("away", [502, 503, 504])
def test_asks_again_after_a_proxys_word_and_waits_longer_each_time(scripted, ask, away):
    scripted.script += [as_json(away, {}), an_answer("<html>", status=away), as_json(200, HEALTH)]
    assert ask.check_health().status == "live"
    assert len(scripted.seen) == 3
    # A quarter and a half of a second, of which chance takes at most half.
    assert 0.125 <= ask.waits[0] <= 0.25 <= ask.waits[1] <= 0.5


def test_asks_again_after_a_refused_connection(late, connect):
    """Nobody listens when the first request goes out; the server comes while the client waits."""
    late.script.append(as_json(200, HEALTH))
    client = connect(late.url, on_wait=late.begin)
    assert client.check_health().status == "live"
    assert (len(client.waits), len(late.seen)) == (1, 1)


def test_asks_again_after_an_answer_that_broke_off(scripted, ask):
    scripted.script += [as_broken_json(HEALTH), as_json(200, HEALTH)]
    assert ask.check_health().status == "live"
    assert (len(ask.waits), len(scripted.seen)) == (1, 2)


def test_does_not_ask_again_after_a_refusal(scripted, ask):
    scripted.script.append(as_json(422, {"code": "job.unknown", "detail": "No job.", "exit_status": 2}))
    with pytest.raises(ContractError, match=r"^No job\.$"):
        ask.find_job("j-1")
    assert (len(scripted.seen), ask.waits) == (1, [])


def test_a_service_that_is_not_there_is_said_to_be_gone(connect):
    client = connect("http://127.0.0.1:9", seconds=1.0)
    with pytest.raises(ServiceGone, match="Start it with: bitwright serve") as caught:
        client.check_health()
    assert (caught.value.code, caught.value.exit_status) == ("service.unreachable", 5)


@pytest.mark.parametrize("away", [502, 503, 504])
def test_a_service_that_stays_away_behind_its_proxy_is_said_to_be_gone(scripted, connect, away):
    scripted.script.append(as_json(away, {"code": "proxy", "detail": "No upstream."}))
    client = connect(scripted.url, seconds=0.1)
    with pytest.raises(ServiceGone, match=str(away)) as gone:
        client.check_health()
    assert gone.value.may_pass


@pytest.mark.parametrize(("status", "may_pass"), [(401, False), (422, False), (500, True), (507, True)])
def test_a_refusal_says_whether_asking_later_may_help(scripted, ask, status, may_pass):
    scripted.script.append(as_json(status, {"code": "x", "detail": "y"}))
    with pytest.raises(ContractError) as refused:
        ask.find_job("j-1")
    assert refused.value.may_pass is may_pass


@pytest.mark.parametrize("url", ["localhost:8420", "127.0.0.1:8420", "http://", "ftp://host", "http://[::1"])
def test_what_is_no_address_is_refused_before_anything_is_sent(connect, url):
    with pytest.raises(BadAddress, match="http://HOST:PORT") as refused:
        connect(url)
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("first", [as_json(503, {}), as_broken_json(JOB)], ids=["503", "lost answer"])
def test_a_repeated_submission_carries_the_same_idempotency_key(scripted, ask, first):
    scripted.script += [first, as_json(201, JOB)]
    ask.submit_job(JobSubmission(decision_id="d-1"))
    before, again = (request.headers["Idempotency-Key"] for request in scripted.seen)
    assert before == again
    ask.submit_job(JobSubmission(decision_id="d-1"))
    assert scripted.seen[2].headers["Idempotency-Key"] != before
    ask.submit_job(JobSubmission(decision_id="d-1"), "mine")
    assert scripted.seen[3].headers["Idempotency-Key"] == "mine"


def test_refusals_keep_code_sentence_choices_and_exit_status(scripted, ask):
    problem = {"code": "gpu.ambiguous", "detail": "Say which.", "choices": ["A", "B"], "exit_status": 4}
    scripted.script.append(as_json(409, problem))
    with pytest.raises(ContractError) as caught:
        ask.plan({"ask": "qwen-72b for RTX 6000"})
    error = caught.value
    assert (error.code, error.message, error.choices) == ("gpu.ambiguous", "Say which.", ("A", "B"))
    assert (error.status, error.exit_status) == (409, 4)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(an_answer("<html>proxy</html>", status=500, kind="text/html"), id="an error page"),
        pytest.param(an_answer("<html>hello</html>", kind="text/html"), id="a page"),
        pytest.param(as_json(200, [1, 2]), id="other JSON"),
        pytest.param(an_answer("gone", status=302), id="a redirection"),
    ],
)
def test_what_is_no_answer_of_ours_is_named_as_such(scripted, ask, answer):
    scripted.script.append(answer)
    for question in (partial(ask.plan, {"ask": "x"}), partial(ask.find_job, "j-1")):
        with pytest.raises(ContractError, match="Is the address Bitwright's") as caught:
            question()
        assert (caught.value.code, caught.value.status) == ("service.odd_answer", answer.status)


def test_the_token_travels_in_the_header_alone(scripted, ask):
    scripted.script.append(as_json(200, HEALTH))
    ask.check_health()
    (request,) = scripted.seen
    assert request.headers["Authorization"] == "Bearer secret"
    assert "secret" not in request.path


def test_ids_that_were_typed_stay_one_path_segment(scripted, ask):
    scripted.script.append(as_json(422, {"code": "job.unknown", "detail": "No job."}))
    with pytest.raises(ContractError):
        ask.find_job("../plans?x=1")
    assert scripted.seen[0].path == "/v1/jobs/..%2Fplans%3Fx%3D1"


@pytest.mark.parametrize("first", ["of the last start", ""], ids=["stale", "not there yet"])
def test_a_token_that_a_new_start_made_is_read_again(service, connect, first):
    tokens = [first, service.token]
    client = connect(service.url, lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0])
    assert client.list_jobs() == []
    assert client.list_jobs() == []


@pytest.mark.parametrize(("token", "code"), [("nobody's", "token.unknown"), ("", "token.missing")])
def test_a_token_that_stays_refused_is_refused(service, connect, token, code):
    with pytest.raises(ContractError) as refused:
        connect(service.url, lambda: token).list_jobs()
    assert refused.value.code == code


def test_a_person_is_named_in_a_header_as_far_as_a_header_can_hold_the_name(scripted, ask):
    scripted.script.append(as_json(200, JOB))
    ask.approve_job("j-1", person="Ada Ünal")
    ask.approve_job("j-1", person="李")
    assert [request.headers.get("On-Behalf-Of") for request in scripted.seen] == ["Ada nal", None]


def test_long_lists_come_by_pages_and_as_a_whole(service, connect, tiny_plan):
    client = connect(service.url, service.token)
    made = [submit_job(service.workshop, tiny_plan.decision_id).job_id for _ in range(5)]
    first = client.list_jobs(row_limit=2)
    second = client.list_jobs(row_limit=2, cursor=first.next_cursor)
    last = client.list_jobs(row_limit=2, cursor=second.next_cursor)
    assert [len(first), len(second), len(last), last.next_cursor] == [2, 2, 1, None]
    whole = [job.job_id for job in client.iterate_jobs(page_rows=2)]
    assert whole == [job.job_id for job in (*first, *second, *last)]
    assert sorted(whole) == sorted(made)
    assert [job.job_id for job in client.iterate_jobs(tiny_plan.decision_id)] == whole
    assert list(client.iterate_jobs("d-other")) == []


def test_decisions_and_evidence_come_by_pages_as_well(service, connect, tiny_plan):
    client = connect(service.url, service.token)
    newest = client.plan({"ask": "demo for cpu"})["decision_id"]
    page = client.list_decisions(1)
    assert ([row.decision_id for row in page], page.next_cursor) == ([newest], newest)
    rows = [row.decision_id for row in client.iterate_decisions(page_rows=1)]
    assert rows == [newest, tiny_plan.decision_id]
    many = {"subject": "quality", "metric": "mmlu"}
    page = client.list_evidence(many, 3)
    assert (len(page), int(page.next_cursor)) == (3, page[-1]["evidence_id"])
    found = [row["evidence_id"] for row in islice(client.iterate_evidence(many, page_rows=3), 8)]
    assert found == [row["evidence_id"] for row in client.list_evidence(many, 8)]


def test_both_clients_have_the_same_methods_that_take_the_same():
    for name in ("__init__", *dir(Client)):
        if name.startswith("_") and name != "__init__":
            continue
        sync, awaited = getattr(Client, name), getattr(AsyncClient, name)
        assert list_parameters(sync) == list_parameters(awaited), name
    assert {name for name in dir(AsyncClient) if name[0] != "_"} == {
        name for name in dir(Client) if name[0] != "_"
    }


def list_parameters(method):
    return [str(parameter) for parameter in inspect.signature(method).parameters.values()]


def test_every_route_has_a_call_and_every_call_a_method(service):
    """Of those under /v1: probes and metrics are for tools, not for clients."""
    documented = httpx.get(f"{service.url}/schema/openapi.json").json()["paths"]
    routes = {(verb.upper(), path) for path, verbs in documented.items() for verb in verbs if "/v1/" in path}
    spoken = set()
    for call in sample_calls():
        routed = [
            route
            for route in routes
            if route[0] == call.method and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", route[1]), call.path)
        ]
        # "/v1/jobs/{act}" takes "ID:approve"; "/v1/plans:batch" is nearer than "/v1/{act}" could be.
        assert routed or call.path == "/health/live", call.path
        spoken |= set(routed)
    assert routes - spoken == set()
    functions = {name for name, made in vars(calls).items() if inspect.isfunction(made) and name[0] != "_"}
    assert functions - {"dataclass", "quote"} <= {name for name in dir(Client) if name[0] != "_"}


def sample_calls():
    cpu = Cpu(name="cpu", cores=2)
    report = HostReport(snapshot=HostSnapshot(host="gpu-1", taken_at="now", system="Linux", cpu=cpu))
    return [
        calls.check_health(),
        calls.plan({}),
        calls.plan_batch([], record=False),
        calls.list_decisions(1, None),
        calls.show_decision("d-1"),
        calls.replay_decision("d-1"),
        calls.estimate({}),
        calls.predict_evidence({}),
        calls.list_evidence({}, 1, None),
        calls.list_sources(),
        calls.submit_job(JobSubmission(decision_id="d-1"), None, person=None),
        calls.list_jobs(None, 1, None),
        calls.find_job("j-1"),
        calls.approve_job("j-1", person=None),
        calls.cancel_job("j-1"),
        calls.retry_job("j-1"),
        calls.follow_job("j-1", 0),
        calls.claim_job("gpu-1", None, 0.0),
        calls.report_events("c-1", []),
        calls.renew_claim("c-1"),
        calls.complete_job("c-1", JobReport(artifact_dir="/a", manifest={}, measurement={})),
        calls.fail_job("c-1", JobFailure(code="x", message="y")),
        calls.register_host(report),
        calls.send_heartbeat(report),
        calls.list_hosts(),
        calls.list_devices(),
        calls.create_token(TokenAsk(scopes=[])),
        calls.list_tokens(),
        calls.revoke_token("bot"),
        calls.audit("SELECT 1"),
    ]
