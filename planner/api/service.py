"""Run the application, on loopback unless told otherwise, and say in the home's `server.json` that it does."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import uvicorn

from planner.api.app import make_app
from planner.domain.errors import BadInput, MachineRefused
from planner.live_server import LiveServer, remove_server, write_server
from planner.usecases.workshop import Workshop

HOST = "127.0.0.1"
GRACE_SECONDS = 5
BACKLOG = 128
PARENT_LOOK_SECONDS = 0.5


def run_service(
    workshop: Workshop,
    home: Path,
    *,
    host: str | None = None,
    port: int,
    parent_pid: int | None,
    token: str,
    on_ready: Callable[[LiveServer], None],
) -> None:
    """Serve until SIGTERM, SIGINT or, where one is named, the parent's end.

    Raises:
        MachineRefused: `service.port_taken`.
    """
    listener = open_listener(port, host or HOST)
    app = make_app(workshop, token, lambda: server.should_exit)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, lifespan="on"
    )
    server = uvicorn.Server(config)
    live = LiveServer(
        url=name_url(host or HOST, listener.getsockname()[1]),
        pid=os.getpid(),
        token=token,
        started_at=workshop.clock.now(),
    )
    # Also before uvicorn listens to signals, and when it raises the one that ended it once more: by then the end is
    # already orderly.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    if parent_pid is not None:
        threading.Thread(target=_end_with_parent, args=(parent_pid, server), daemon=True).start()
    write_server(home, live)
    try:
        on_ready(live)
        server.run(sockets=[listener])
    finally:
        remove_server(home, live.pid)
        listener.close()


def check_exposure(workshop: Workshop, host: str | None) -> None:
    """Refuse to listen beyond loopback before anybody was given a token.

    Raises:
        BadInput: `service.no_token`.
    """
    if host is None or is_loopback(host):
        return
    if all(token.revoked_at is not None for token in workshop.tokens.list_tokens()):
        raise BadInput(
            "service.no_token",
            f"Cannot listen on {host}: others could reach it, and nobody has a token yet. Make one first: "
            "bitwright token create --scopes execute --name gpu-hosts",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def name_url(host: str, port: int) -> str:
    """Where this machine reaches the service; one that listens everywhere is reached on loopback."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def open_listener(port: int, host: str = HOST) -> socket.socket:
    """A listening socket, on loopback unless another address is given; port 0 takes a free one.

    Raises:
        MachineRefused: `service.port_taken`.
        BadInput: `service.no_address`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BadInput(
            "service.no_address", f'"{host}" is no address of this machine: {error.strerror}.'
        ) from error
    # By its protocol asyncio knows TCP and sends small answers at once: without it each waits 40 ms for an ACK.
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise MachineRefused(
            "service.port_taken",
            f"Cannot listen on {host}:{port}: {error.strerror}. Take another with --port, or 0 for a free one.",
        ) from error
    listener.listen(BACKLOG)
    return listener


def _end_with_parent(parent_pid: int, server: uvicorn.Server) -> None:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_LOOK_SECONDS)
    server.should_exit = True
