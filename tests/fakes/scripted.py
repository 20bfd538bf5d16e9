"""A server on loopback that gives prepared answers: JSON, event streams, some that break off or never come."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

JOB = {
    "job_id": "j-1",
    "decision_id": "d-1",
    "state": "submitted",
    "specification": {},
    "created_at": "2026-11-24T12:00:00.000+00:00",
    "updated_at": "2026-11-24T12:00:00.000+00:00",
}
HEALTH = {"status": "live", "version": "0.1.0", "pid": 1}


def an_answer(text, *, status=200, kind="application/json", missing_bytes=0, is_open=False):
    """An answer; with bytes missing its connection closes before them, an open one waits for the client to leave."""
    return SimpleNamespace(text=text, status=status, kind=kind, missing_bytes=missing_bytes, is_open=is_open)


def as_json(status, body):
    return an_answer(json.dumps(body), status=status)


def as_broken_json(body):
    return an_answer(json.dumps(body)[:-5], missing_bytes=5)


def as_silence():
    return an_answer("", is_open=True)


def as_stream(*events, missing_bytes=0, is_open=False):
    lines = [f"id: {number}\r\nevent: stage\r\ndata: {json.dumps(event)}\r\n\r\n" for number, event in events]
    text = ": hello\r\n\r\n" + "".join(lines)
    missing = 1000 if is_open else missing_bytes
    return an_answer(text, kind="text/event-stream", missing_bytes=missing, is_open=is_open)


def an_event(number):
    return number, {"sequence": number, "recorded_at": "now", "event": {"event": "stage", "done": number}}


def an_end(number, state="completed"):
    return number, {"sequence": number, "recorded_at": "now", "event": {"event": "state", "state": state}}


@contextmanager
def serve_script(listener=None):
    """A real server that gives prepared answers in turn and keeps what it was sent; the last answer repeats."""
    seen, script, asked, left = [], [], threading.Semaphore(0), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or "null")
            seen.append(SimpleNamespace(path=self.path, headers=dict(self.headers), body=body))
            asked.release()
            answer = script.pop(0) if len(script) > 1 else script[0]
            if answer.text:
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.text.encode()) + answer.missing_bytes))
                self.end_headers()
                self.wfile.write(answer.text.encode())
            if answer.is_open:
                assert self.connection.recv(1) == b""
                left.set()

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=listener is None)
    if listener is not None:
        server.socket.close()
        server.socket = listener
        server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    port = server.socket.getsockname()[1]
    try:
        yield SimpleNamespace(
            url=f"http://127.0.0.1:{port}", seen=seen, script=script, asked=asked, left=left
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
