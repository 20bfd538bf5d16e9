"""`bitwright bot` as a process: over HTTP and over Socket Mode, how it starts, and how it ends."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from fakes.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET
from fakes.slack_person import Person, command_body, say

ACK_SECONDS = 0.3


@contextmanager
def started(slack, planner, tmp_path, **environment):
    """The process and its first line."""
    variables = {
        "BITWRIGHT_HOME": str(tmp_path),
        "BITWRIGHT_SERVER": planner.url,
        "BITWRIGHT_TOKEN": planner.token,
        "BITWRIGHT_SLACK_BOT_TOKEN": BOT_TOKEN,
        "BITWRIGHT_SLACK_URL": slack.url,
        "BITWRIGHT_BOT_PORT": "0",
        **environment,
    }
    command = [
        sys.executable,
        "-c",
        "import sys; from bot.main import bot; sys.exit(bot(standalone_mode=False))",
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_answers_over_http_and_ends_when_told(slack, planner, tmp_path):
    with started(slack, planner, tmp_path, BITWRIGHT_SLACK_SIGNING_SECRET=SIGNING_SECRET) as process:
        line = process.stdout.readline()
        assert line.startswith("answering /quantize as @bitwright in Lab, at http://127.0.0.1:")
        url = re.search(r"http://\S+/slack/events", line)[0]
        assert httpx.get(url.replace("/slack/events", "/health/live"), trust_env=False).json() == {
            "status": "live"
        }
        assert Person(slack, url).type("qwen-72b for 2x A6000").status_code == 200
        slack.wait_until(lambda slack: slack.messages)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stderr.read() == ""


def test_answers_over_socket_mode_and_opens_no_port(slack, planner, tmp_path):
    with started(slack, planner, tmp_path, BITWRIGHT_SLACK_APP_TOKEN=APP_TOKEN) as process:
        assert "over Socket Mode" in process.stdout.readline()
        sent = time.monotonic()
        slack.send_over_socket("slash_commands", command_body(slack, "qwen-72b for 2x A6000"))
        answer = slack.wait_until(lambda slack: slack.answers)[0]
        assert answer["at"] - sent < ACK_SECONDS
        blocks = slack.wait_until(lambda slack: list(slack.messages.values()))[0]["blocks"]
        assert "W4A16" in say(blocks)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    ("environment", "status", "code"),
    [
        pytest.param({}, 2, "settings.no_slack", id="no secrets"),
        pytest.param({"BITWRIGHT_BOT_PORT": "many"}, 2, "settings.not_a_number", id="no number"),
        pytest.param(
            {"BITWRIGHT_SLACK_SIGNING_SECRET": "s", "BITWRIGHT_SERVER": "localhost:8420"},
            2,
            "service.bad_address",
            id="an address without http",
        ),
        pytest.param(
            {"BITWRIGHT_SLACK_SIGNING_SECRET": "s", "BITWRIGHT_SLACK_BOT_TOKEN": "xoxb-old"},
            5,
            "slack.refused",
            id="a revoked token",
        ),
        pytest.param(
            {"BITWRIGHT_SLACK_SIGNING_SECRET": "s", "BITWRIGHT_SLACK_URL": "http://127.0.0.1:9/"},
            5,
            "slack.unreachable",
            id="no way to Slack",
        ),
    ],
)
def test_says_why_it_does_not_start(slack, planner, tmp_path, environment, status, code):
    with started(slack, planner, tmp_path, **environment) as process:
        assert process.wait(10) == status
        said = process.stderr.read()
    assert said.endswith(f"[{code}]\n")
    assert said.count("\n") == 1


@pytest.mark.parametrize("path", ["/", "/schema/"])
def test_says_that_an_address_is_not_slacks(slack, planner, tmp_path, path):
    environment = {"BITWRIGHT_SLACK_SIGNING_SECRET": "s", "BITWRIGHT_SLACK_URL": f"{planner.url}{path}"}
    with started(slack, planner, tmp_path, **environment) as process:
        assert process.wait(10) == 5
        assert "is not Slack's Web API" in process.stderr.read()


@pytest.mark.slow
def test_finds_the_homes_service_again_when_it_started_anew(slack, loaded_home, tmp_path):
    """The service is killed and started again: another port, another token, the same bot."""
    home = shutil.copytree(loaded_home, tmp_path / "home")
    secrets = {
        "BITWRIGHT_SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "BITWRIGHT_SERVER": "",
        "BITWRIGHT_TOKEN": "",
    }
    with serving(home) as first:
        nobody = SimpleNamespace(url="", token="")
        with started(slack, nobody, home, **secrets) as process:
            person = Person(slack, re.search(r"http://\S+/slack/events", process.stdout.readline())[0])
            person.type("qwen-72b for 2x A6000")
            slack.wait_until(lambda slack: slack.messages)
            first.kill()
            first.wait()
            with serving(home):
                person.type("llama-8b for A6000")
                slack.wait_until(lambda slack: len(slack.messages) == 2, 10)
    assert slack.private == []


@contextmanager
def serving(home):
    """`bitwright serve` over a home, on a free port."""
    command = [sys.executable, "-m", "planner.main", "serve", "--port", "0", "--json"]
    environment = {**os.environ, "BITWRIGHT_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process
        process.terminate()
