"""A Slack on loopback, a bot in a thread of its own against the real service, decisions, and card snapshots."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.slack import BOT_TOKEN, SIGNING_SECRET, open_slack
from fakes.slack_limits import LARGEST_MESSAGE, count_text, find_faults
from fakes.slack_person import Person
from slack_sdk.web.async_client import AsyncWebClient

from bot.address import find_address
from bot.doors import PATH, finish_answers, introduce, listen
from bot.main import assemble
from bot.service import Service
from bot.settings import read_settings
from planner.contract.client import Client
from planner.contract.retries import Patience

FOLDER = Path(__file__).parent
SNAPSHOTS = FOLDER / "cards" / "snapshots"


@pytest.fixture
def slack():
    """A Slack that keeps Slack's limits."""
    with open_slack() as opened:
        yield opened


@pytest.fixture
def a_bot(slack, tmp_path):
    """Starts bots: `a_bot(url, token, BITWRIGHT_BOT_…=…)` is a context with what a person can do."""

    def start(url, token, *, patience=0.2, **environment):
        settings = read_settings(
            {
                "BITWRIGHT_HOME": str(tmp_path / "bot-home"),
                "BITWRIGHT_SERVER": url,
                "BITWRIGHT_TOKEN": token,
                "BITWRIGHT_SLACK_BOT_TOKEN": BOT_TOKEN,
                "BITWRIGHT_SLACK_SIGNING_SECRET": SIGNING_SECRET,
                "BITWRIGHT_SLACK_URL": slack.url,
                "BITWRIGHT_BOT_PORT": "0",
                **environment,
            }
        )
        return run_bot(settings, slack, Patience(seconds=patience))

    return start


@pytest.fixture(scope="session")
def planner(loaded_home, tmp_path_factory):
    """One real service for all tests that only ask: a process as `bitwright serve` starts it."""
    home = shutil.copytree(loaded_home, tmp_path_factory.mktemp("planner") / "home")
    command = [sys.executable, "-m", "planner.main", "serve", "--port", "0", "--json"]
    environment = {**os.environ, "BITWRIGHT_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        url = json.loads(process.stdout.readline())["url"]
        token = json.loads((home / "server.json").read_text())["token"]
        with Client(url, token) as client:
            yield SimpleNamespace(url=url, token=token, client=client)
        process.terminate()


@pytest.fixture
def bot(a_bot, planner):
    """A bot over that service, with the default policy."""
    with a_bot(planner.url, planner.token) as started:
        yield started


@contextmanager
def run_bot(settings, slack, patience):
    """The bot's own parts on a loop in a thread; waits are cut to 20 ms."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def on_loop(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    async def start(service):
        web_client = AsyncWebClient(token=settings.bot_token, base_url=settings.slack_url, retry_handlers=[])
        identity = await introduce(web_client, settings)
        app, following = assemble(
            settings, web_client, identity, service, pause_seconds=0.02, sleep=lambda _: asyncio.sleep(0.02)
        )
        runner, port = await listen(app.web_app(PATH), settings)
        following.resume()
        return following, runner, port

    try:
        service = Service(partial(find_address, settings), patience)
        following, runner, port = on_loop(start(service))
        yield Person(slack, f"http://127.0.0.1:{port}{PATH}")
        on_loop(following.stop())
        on_loop(runner.cleanup())
        on_loop(finish_answers())
        on_loop(service.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def a_decision():
    """Real decisions, recorded with fewer alternatives and rejections than they had."""
    return lambda name: json.loads((FOLDER / "decisions" / f"{name}.json").read_text())


@pytest.fixture
def check_card():
    """Compares blocks with their snapshot, and with Slack's limits; BITWRIGHT_UPDATE_SNAPSHOTS=1 writes it anew."""

    def check(name, blocks):
        assert find_faults(blocks, most=100) == []
        assert count_text(blocks) <= LARGEST_MESSAGE
        path = SNAPSHOTS / f"{name}.json"
        text = json.dumps({"blocks": blocks}, indent=1, ensure_ascii=False) + "\n"
        if os.environ.get("BITWRIGHT_UPDATE_SNAPSHOTS"):
            path.write_text(text)
        assert text == path.read_text(), f"{path.name} differs: look at it, then BITWRIGHT_UPDATE_SNAPSHOTS=1"

    return check
