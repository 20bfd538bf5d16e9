"""An executor in its own process tells of its cards, is planned for, and is gone when it ends."""

import logging
import os
import subprocess
import sys
import time

import pytest

from executors.heartbeat import Heartbeat
from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.inventory import Cpu, HostSnapshot
from planner.contract.requests import TokenAsk
from planner.contract.retries import Patience


@pytest.fixture
def executor(service, show_cards, tmp_path):
    """An executor on a machine with two RTX A6000, holding a token that may execute and nothing else."""
    token = service.client.create_token(TokenAsk(scopes=["execute"], name="gpu-hosts")).token
    environment = {
        **os.environ,
        "BITWRIGHT_HOME": str(tmp_path / "there"),
        "BITWRIGHT_CACHE": str(tmp_path / "there-cache"),
        "BITWRIGHT_TOKEN": token,
        **show_cards(),
    }
    command = [sys.executable, "-m", "planner.main", "executor", "--server", service.url, "--host", "gpu-1"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def wait_for_host(client):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := client.list_hosts():
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no host came")


def refusal(client, ask):
    with pytest.raises(ContractError) as refused:
        client.plan({"ask": ask})
    return refused.value.code


def test_two_cards_are_told_of_planned_for_and_gone_with_their_executor(service, executor):
    client = service.client
    host = wait_for_host(client)
    assert (host.name, host.state) == ("gpu-1", "live")
    assert [card["name"] for card in host.snapshot["devices"]] == ["NVIDIA RTX A6000"] * 2
    named = client.plan({"ask": "qwen-72b for host:gpu-1"})
    found = client.plan({"ask": "qwen-72b for any host with 1 free A6000"})
    assert [len(decision["target"]["devices"]) for decision in (named, found)] == [2, 1]
    assert named["target"]["host"] == found["target"]["host"] == "gpu-1"
    assert refusal(client, "qwen-72b for any host with 3 free A6000") == "host.none_free"
    executor.terminate()
    executor.wait(20)
    assert refusal(client, "qwen-72b for host:gpu-1") == "host.gone"


def test_a_service_that_never_answered_is_not_said_to_answer_again(caplog):
    cpu = Cpu(name="a CPU", cores=2)
    snapshot = HostSnapshot(host="gpu-1", taken_at="now", system="Linux", cpu=cpu)
    with (
        caplog.at_level(logging.INFO),
        Client("http://127.0.0.1:9", "a-token", patience=Patience(seconds=0)) as client,
        Heartbeat(client=client, snapshot=lambda: snapshot, beat_seconds=0.01),
    ):
        deadline = time.monotonic() + 20
        while not caplog.messages and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "does not answer" in caplog.messages[0]
    assert not any("answers again" in message for message in caplog.messages)
