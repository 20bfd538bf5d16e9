"""A scripted server on loopback, and both clients through one set of methods."""

import asyncio
import socket
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from fakes.scripted import serve_script

from planner.contract.client import AsyncClient, Client
from planner.contract.retries import Patience


class Awaited:
    """An AsyncClient that is called as a Client is: each call is run to its end on a loop of its own."""

    def __init__(self, url, token, patience=None):
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, token, patience=patience)

    def __getattr__(self, name):
        method = getattr(self._client, name)

        def call(*arguments, **named):
            made = method(*arguments, **named)
            return self._walk(made) if hasattr(made, "__anext__") else self._runner.run(made)

        return call

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._client.close())
        self._runner.close()

    def _walk(self, rows):
        async def take():
            return await anext(rows, None)

        while (row := self._runner.run(take())) is not None:
            yield row


@pytest.fixture(params=["sync", "async"])
def connect(request):
    """Opens clients of either kind: `connect(url, token, seconds=…)`; `waits` holds what they waited."""
    with ExitStack() as opened:

        def make(url, token="secret", *, seconds=5.0, on_wait=lambda: None):
            waits = []

            def wait(length):
                waits.append(length)
                on_wait()

            async def wait_on_loop(length):
                wait(length)

            patience = Patience(seconds=seconds, sleep=wait, sleep_on_loop=wait_on_loop)
            kind = {"sync": Client, "async": Awaited}[request.param]
            client = opened.enter_context(kind(url, token, patience=patience))
            client.waits = waits
            return client

        yield make


@pytest.fixture
def scripted():
    """The scripted server; `asked` counts requests, `left` is set by a client that hung up on an open answer."""
    with serve_script() as opened:
        yield opened


@pytest.fixture
def late():
    """An address where nobody listens before `begin` is called, and the scripted server from then on."""
    with socket.socket() as listener, ExitStack() as ending:
        listener.bind(("127.0.0.1", 0))
        found = SimpleNamespace(url=f"http://127.0.0.1:{listener.getsockname()[1]}", script=[], seen=None)

        def begin():
            if found.seen is None:
                opened = ending.enter_context(serve_script(listener))
                opened.script += found.script
                found.seen = opened.seen

        found.begin = begin
        yield found


@pytest.fixture
def ask(scripted, connect):
    """A client of the scripted server that waits for nothing."""
    return connect(scripted.url)
