"""The listening socket: answers leave at once."""

import socket

import pytest

from planner.api.service import open_listener


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_event_loop_knows_it_as_tcp(host):
    """Asyncio sets TCP_NODELAY on what says that it is TCP; without it each answer waits for an ACK, 40 ms."""
    listener = open_listener(0, host)
    try:
        assert listener.proto == socket.IPPROTO_TCP
    finally:
        listener.close()
