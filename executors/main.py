"""`bitwright executor`: settings, the connection and the agent meet here."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from executors.settings import Settings, read_settings

MAKE_ONE_THERE = (
    " The service of another home knows this host by a token made there (bitwright token create --scopes execute): "
    "--token-file FILE, or BITWRIGHT_TOKEN."
)
PARENT_LOOK_SECONDS = 0.5


@click.group(invoke_without_command=True)
@click.option("--server", help="Address of the service; BITWRIGHT_SERVER without it.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file that holds the token, or a server.json; BITWRIGHT_TOKEN without it.",
)
@click.option("--host", "host_name", help="Name to claim jobs under; this host's own without it.")
@click.option("--once", metavar="JOB_ID", help="Run this job alone, then end.")
@click.option(
    "--artifacts", type=click.Path(path_type=Path, file_okay=False), help="Folder for what is made."
)
@click.option("--parent-pid", type=int, hidden=True, help="End when this process does.")
@click.pass_context
def executor(
    context: click.Context,
    server: str | None,
    token_file: Path | None,
    host_name: str | None,
    once: str | None,
    artifacts: Path | None,
    parent_pid: int | None,
) -> int:
    """Run quantization jobs of a service on this host."""
    if context.invoked_subcommand is not None:
        return 0
    settings = read_settings()
    url = server or settings.server
    if not url:
        raise click.UsageError("Say which service: --server http://HOST:PORT, or set BITWRIGHT_SERVER.")
    read_token(token_file, settings)
    return work(
        settings,
        url=url,
        token=partial(read_token_again, token_file, settings),
        host=host_name or settings.host,
        artifacts=artifacts or settings.home / "artifacts",
        once=once,
        parent_pid=parent_pid,
    )


def work(
    settings: Settings,
    *,
    url: str,
    token: Callable[[], str],
    host: str,
    artifacts: Path,
    once: str | None,
    parent_pid: int | None,
) -> int:
    """Work until told to stop, or through one job; the exit status."""
    from executors.agent import Agent
    from executors.engines import KnownEngines
    from executors.heartbeat import Heartbeat
    from executors.inventory import take_snapshot
    from executors.jobs import run_job
    from executors.log import start_log
    from planner.contract.client import Client
    from planner.contract.errors import ContractError
    from planner.contract.retries import Patience

    start_log()
    stop = threading.Event()
    try:
        # Short: the agent asks again by itself, and has to hear a word to stop in between.
        with Client(url, token, patience=Patience(seconds=1.0)) as client:
            agent = Agent(
                client=client,
                host=host,
                cache=settings.cache,
                artifacts=artifacts,
                stop=stop,
                run=partial(run_job, backends_folder=settings.backends),
                silence_seconds=settings.silence_seconds,
            )
            listen_for_end(stop, parent_pid, is_busy=agent.is_working.is_set)
            if once is not None:
                return 0 if agent.work_once(once) == "completed" else 6
            with Heartbeat(
                client=client,
                snapshot=partial(take_snapshot, host, settings.home, KnownEngines(settings.pythons)),
            ):
                agent.work()
    except ContractError as error:
        remedy = MAKE_ONE_THERE if error.code in {"token.missing", "token.unknown"} else ""
        click.echo(f"error: {error.message}{remedy}  [{error.code}]", err=True)
        return error.exit_status
    return 0


@executor.command("demo-model")
@click.option("--parent-pid", type=int, hidden=True, help="End when this process does.")
def demo_model(parent_pid: int | None) -> int:
    """Make the demo model in the cache, telling progress as JSON lines, the last one the result."""
    from executors.demo_model import open_demo_model
    from executors.errors import ExecutorError

    stop = threading.Event()
    listen_for_end(stop, parent_pid, is_busy=lambda: True)
    try:
        folder = open_demo_model(cache=read_settings().cache, on_event=tell_line, cancel=stop)
    except ExecutorError as error:
        tell_line({"event": "error", "code": error.code, "message": error.message})
        return 1
    tell_line({"event": "result", "model_dir": str(folder)})
    return 0


@executor.command("inventory")
@click.option("--json", "as_json", is_flag=True, help="The same: it always is one JSON object.")
def inventory(as_json: bool) -> int:
    """Print what this host has, as one JSON object; `bitwright inventory` shows it as a table."""
    from executors.engines import KnownEngines
    from executors.inventory import list_environments, take_snapshot

    del as_json
    settings = read_settings()
    snapshot = take_snapshot(settings.host, settings.home, KnownEngines(settings.pythons))
    backends = list_environments(settings.backends, settings.cache)
    click.echo(snapshot.model_copy(update={"backends": backends}).model_dump_json())
    return 0


def read_token(token_file: Path | None, settings: Settings) -> str:
    """The token from a file, which may be a home's server.json, or from the environment; never typed."""
    if token_file is None:
        own = settings.home / "server.json"
        if settings.token or not own.is_file():
            return settings.token
        token_file = own
    try:
        text = token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise click.UsageError(f"Cannot read {token_file}: {error.strerror}.") from error
    return str(json.loads(text)["token"]) if text.startswith("{") else text


def read_token_again(token_file: Path | None, settings: Settings) -> str:
    """The token as it is now; none while its file is being replaced."""
    try:
        return read_token(token_file, settings)
    except (click.UsageError, ValueError, KeyError):
        return ""


def listen_for_end(stop: threading.Event, parent_pid: int | None, *, is_busy: Callable[[], bool]) -> None:
    """Set `stop` on SIGTERM, SIGINT, or when the parent is gone; an idle process is interrupted in its wait."""

    def take_signal(number: int, frame: object) -> None:
        del number, frame
        stop.set()
        if not is_busy():
            raise SystemExit(130)

    signal.signal(signal.SIGTERM, take_signal)
    signal.signal(signal.SIGINT, take_signal)
    if parent_pid is not None:
        threading.Thread(target=_watch_parent, args=(parent_pid,), daemon=True).start()


def _watch_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(PARENT_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def tell_line(event: dict[str, object]) -> None:
    """One event, one line, at once."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
