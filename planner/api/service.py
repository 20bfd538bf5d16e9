"""Run the application on loopback, and say in the home's `server.json` that it does."""

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from planner.api.app import make_app
from planner.domain.errors import MachineRefused
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
    port: int,
    parent_pid: int | None,
    on_ready: Callable[[LiveServer], None],
) -> None:
    """Serve until SIGTERM, SIGINT or, where one is named, the parent's end.

    Raises:
        MachineRefused: `service.port_taken`.
    """
    listener = open_listener(port)
    token = secrets.token_urlsafe(24)
    app = make_app(workshop, token, lambda: server.should_exit)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS, lifespan="on"
    )
    server = uvicorn.Server(config)
    live = LiveServer(
        url=f"http://{HOST}:{listener.getsockname()[1]}",
        pid=os.getpid(),
        token=token,
        started_at=workshop.clock.now(),
    )
    # uvicorn raises the signal that ended it once more when it is done; by then the end is already orderly.
    signal.signal(signal.SIGTERM, lambda *_: None)
    if parent_pid is not None:
        threading.Thread(target=_end_with_parent, args=(parent_pid, server), daemon=True).start()
    write_server(home, live)
    try:
        on_ready(live)
        server.run(sockets=[listener])
    finally:
        remove_server(home, live.pid)
        listener.close()


def open_listener(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes a free one.

    Raises:
        MachineRefused: `service.port_taken`.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise MachineRefused(
            "service.port_taken",
            f"Cannot listen on {HOST}:{port}: {error.strerror}. Take another with --port, or 0 for a free one.",
        ) from error
    listener.listen(BACKLOG)
    return listener


def _end_with_parent(parent_pid: int, server: uvicorn.Server) -> None:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_LOOK_SECONDS)
    server.should_exit = True
