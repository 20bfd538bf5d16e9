"""The client asks again when that can help, reads refusals, and takes streams up where they broke."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from planner.contract.client import Client
from planner.contract.errors import ContractError, ServiceGone
from planner.contract.requests import JobSubmission
from planner.contract.retries import Patience

JOB = {
    "job_id": "j-1",
    "decision_id": "d-1",
    "state": "submitted",
    "specification": {},
    "created_at": "2026-11-24T12:00:00.000+00:00",
    "updated_at": "2026-11-24T12:00:00.000+00:00",
}
HEALTH = {"status": "live", "version": "0.1.0", "pid": 1}


@pytest.fixture
def scripted():
    """A real server that gives prepared answers in turn and keeps what it was sent; the last answer repeats."""
    seen, script = [], []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "null")
            seen.append(SimpleNamespace(path=self.path, headers=dict(self.headers), body=body))
            status, kind, text = script.pop(0) if len(script) > 1 else script[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", seen=seen, script=script)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(scripted):
    """A client of the scripted server that waits for nothing."""
    waits = []
    patience = Patience(seconds=5.0, sleep=waits.append)
    with Client(scripted.url, "secret", patience=patience) as client:
        client.waits = waits
        yield client


def as_json(status, body):
    return status, "application/json", json.dumps(body)


def as_stream(*events):
    lines = [f"id: {number}\r\nevent: stage\r\ndata: {json.dumps(event)}\r\n\r\n" for number, event in events]
    return 200, "text/event-stream", ": hello\r\n\r\n" + "".join(lines)


def an_event(number):
    return number, {"sequence": number, "recorded_at": "now", "event": {"event": "stage", "done": number}}


def test_asks_again_after_503_and_waits_longer_each_time(scripted, ask):
    scripted.script += [as_json(503, {}), as_json(503, {}), as_json(200, HEALTH)]
    assert ask.check_health().status == "live"
    assert len(scripted.seen) == 3
    # A quarter and a half of a second, of which chance takes at most half.
    assert 0.125 <= ask.waits[0] <= 0.25 <= ask.waits[1] <= 0.5


def test_does_not_ask_again_after_a_refusal(scripted, ask):
    scripted.script.append(as_json(422, {"code": "job.unknown", "detail": "No job.", "exit_status": 2}))
    with pytest.raises(ContractError, match=r"^No job\.$"):
        ask.find_job("j-1")
    assert len(scripted.seen) == 1


def test_a_service_that_is_not_there_is_said_to_be_gone():
    patience = Patience(seconds=1.0, sleep=lambda _: None)
    with (
        Client("http://127.0.0.1:9", "secret", patience=patience) as client,
        pytest.raises(ServiceGone, match="Start it with: bitwright serve") as caught,
    ):
        client.check_health()
    assert (caught.value.code, caught.value.exit_status) == ("service.unreachable", 5)


def test_a_repeated_submission_carries_the_same_idempotency_key(scripted, ask):
    scripted.script += [as_json(503, {}), as_json(201, JOB)]
    ask.submit_job(JobSubmission(decision_id="d-1"))
    first, second = (request.headers["Idempotency-Key"] for request in scripted.seen)
    assert first == second
    ask.submit_job(JobSubmission(decision_id="d-1"))
    assert scripted.seen[2].headers["Idempotency-Key"] != first


def test_refusals_keep_code_sentence_choices_and_exit_status(scripted, ask):
    problem = {"code": "gpu.ambiguous", "detail": "Say which.", "choices": ["A", "B"], "exit_status": 4}
    scripted.script.append(as_json(409, problem))
    with pytest.raises(ContractError) as caught:
        ask.plan({"ask": "qwen-72b for RTX 6000"})
    error = caught.value
    assert (error.code, error.message, error.choices) == ("gpu.ambiguous", "Say which.", ("A", "B"))
    assert (error.status, error.exit_status) == (409, 4)


def test_an_answer_that_is_no_problem_document_is_named_as_such(scripted, ask):
    scripted.script.append((502, "text/html", "<html>proxy</html>"))
    with pytest.raises(ContractError, match="Is the address Bitwright's") as caught:
        ask.plan({"ask": "x"})
    assert caught.value.code == "service.odd_answer"


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


def test_events_are_read_and_comments_passed_over(scripted, ask):
    scripted.script.append(as_stream(an_event(1), an_event(2)))
    assert [event.sequence for event in ask.follow_job("j-1")] == [1, 2]
    assert scripted.seen[0].headers["Last-Event-ID"] == "0"


def test_a_token_that_a_new_start_made_stale_is_read_again(service):
    tokens = ["of the last start", service.token]
    with Client(service.url, lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0]) as client:
        assert client.list_jobs() == []
        assert client.list_jobs() == []


def test_a_token_that_stays_refused_is_refused(service):
    with Client(service.url, lambda: "nobody's") as client, pytest.raises(ContractError) as refused:
        client.list_jobs()
    assert refused.value.code == "token.unknown"
