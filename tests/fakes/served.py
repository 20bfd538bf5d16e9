"""The service on one loopback port for all tests of a run, over one test's own workshop at a time.

uvicorn takes longer to start and stop than most tests do, so it runs on. What a service still does when its test ends
(a stream, a long poll) is told to stop and waited for.
"""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import uvicorn

from planner.api.app import make_app
from planner.api.service import open_listener
from planner.contract.client import Client
from planner.contract.retries import Patience

TOKEN = "a-token-for-tests"
LAST_WORDS_SECONDS = 10.0


class Server:
    """A port whose application changes from test to test, and a client of it."""

    def __init__(self, url, client):
        self._url = url
        self._client = client
        self._app = None
        self._answering = 0
        self._changed = threading.Condition()

    @contextmanager
    def serve(self, workshop):
        """Serve a workshop for a while, then what was served before: `url`, `token`, `client`, `workshop`."""
        before, end = self._app, threading.Event()
        self._app = make_app(workshop, TOKEN, end.is_set)
        yield SimpleNamespace(url=self._url, token=TOKEN, client=self._client, workshop=workshop)
        end.set()
        with self._changed:
            has_ended = self._changed.wait_for(lambda: self._answering == 0, LAST_WORDS_SECONDS)
        assert has_ended, "the service still answers"
        self._app = before

    async def __call__(self, scope, receive, send):
        """Hand one request to the application of the moment."""
        self._count(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._count(-1)

    def _count(self, change):
        with self._changed:
            self._answering += change
            self._changed.notify_all()


@contextmanager
def open_server():
    """The port, with uvicorn behind it in a thread of its own."""
    listener = open_listener(0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url, TOKEN, patience=Patience(seconds=2.0)) as client:
        server = Server(url, client)
        config = uvicorn.Config(server, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield server
    running.should_exit = True
    thread.join()
    listener.close()
