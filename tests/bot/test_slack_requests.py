"""Requests: only Slack's are taken, acknowledged at once, and every refusal is one sentence to one person."""

import logging
import re
import socket
import time

import httpx
import pytest
from fakes.slack import encode_press, sign
from fakes.slack_person import ASKER, press_payload

from bot.app import ACTS
from bot.ids import ActionId, JobValue
from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.retries import Patience

ACK_SECONDS = 0.3


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param({"secret": "guessed"}, id="another secret"),
        pytest.param({"at": time.time() - 400}, id="six minutes old"),
    ],
)
def test_refuses_what_slack_did_not_sign(bot, signed):
    assert bot.type("qwen-72b for 2x A6000", **signed).status_code == 401
    assert bot.slack.messages == {}


def test_refuses_a_body_that_was_changed_on_the_way(bot):
    answer = httpx.post(
        bot.url, content="command=%2Fquantize&text=b", headers=sign("text=a"), trust_env=False
    )
    assert answer.status_code == 401


def test_acknowledges_at_once_while_the_service_is_silent(a_bot):
    """A service that takes the connection and says nothing: Slack must not wait for it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with a_bot(url, "token", patience=0.01) as bot:
            bot.type("help")
            seconds = []
            for _ in range(5):
                started = time.perf_counter()
                assert bot.type("qwen-72b for 2x A6000").status_code == 200
                seconds.append(time.perf_counter() - started)
            silent.close()
    assert sorted(seconds)[2] < ACK_SECONDS, seconds


@pytest.mark.parametrize("ask", ["help", "qwen-72b for 2x A600", "x" * 1500])
def test_acknowledges_at_once_what_is_refused_at_once(bot, ask):
    bot.type("help")
    started = time.perf_counter()
    bot.type(ask)
    assert time.perf_counter() - started < ACK_SECONDS


def test_every_button_has_an_act():
    assert set(ACTS) == set(ActionId)


@pytest.mark.parametrize(
    "ask",
    [
        "qwen-72b for 2x A600",
        "blorp-9b for A100",
        "qwen-72b",
        "qwen-72b for A100 with purple",
        "qwen-72b for H100",
    ],
)
def test_says_the_services_own_sentence_to_the_asker_alone(bot, planner, ask):
    with pytest.raises(ContractError) as refused:
        planner.client.plan({"ask": ask})
    bot.type(ask)
    answer = bot.slack.wait_until(lambda slack: slack.private)[0]
    assert refused.value.message in answer["text"].replace("&amp;", "&").replace("&gt;", ">")
    assert answer["response_type"] == "ephemeral"
    assert bot.slack.messages == {}


def test_suggestions_are_in_the_sentence(bot):
    bot.type("qwen-72b for 2x A600")
    answer = bot.slack.wait_until(lambda slack: slack.private)[0]["text"]
    assert "Did you mean RTX A6000" in answer
    assert answer.endswith("[gpu.unknown]")


@pytest.mark.parametrize(("text", "words"), [("", "Ask for a plan"), ("x" * 1500, "1,500 characters")])
def test_says_how_to_ask(bot, text, words):
    bot.type(text)
    assert words in bot.slack.wait_until(lambda slack: slack.private)[0]["text"]


def test_says_that_the_service_is_gone(a_bot):
    with a_bot("http://127.0.0.1:9", "token", patience=0.01) as bot:
        bot.type("qwen-72b for 2x A6000")
        answer = bot.slack.wait_until(lambda slack: slack.private)[0]["text"]
    assert "does not answer" in answer
    assert answer.endswith("[service.unreachable]")


def test_a_press_on_a_message_of_another_version_is_refused(bot):
    bot.press({"action_id": "run", "value": "d-1-U1"})
    answer = bot.slack.wait_until(lambda slack: slack.private)[0]["text"]
    assert answer.endswith("[message.outdated]")


def test_a_press_on_an_unknown_job_says_so(bot):
    value = JobValue(job_id="j-none", decision_id="d-none", asker="U1", runner="U1")
    bot.press({"action_id": "approve", "value": value.as_value()}, user=ASKER)
    assert "[job.unknown]" in bot.slack.wait_until(lambda slack: slack.private)[0]["text"]


def test_what_nobody_foresaw_has_a_reference_that_is_in_the_log(bot, caplog):
    """A press from outside a message, which Slack never sends."""
    payload = press_payload(
        bot.slack, {"action_id": "run", "value": '{"decision_id":"d","asker":"U"}'}, "1.2"
    )
    del payload["container"]
    with caplog.at_level(logging.ERROR, "bitwright.bot"):
        bot.send(encode_press(payload))
        answer = bot.slack.wait_until(lambda slack: slack.private)[0]["text"]
    reference = re.search(r"under ([0-9a-f]{8})\.  \[internal\.error\]", answer)[1]
    assert reference in caplog.text
    assert "KeyError" in caplog.text
    assert "KeyError" not in answer


def test_a_wrong_service_token_is_said_like_everywhere(a_bot, planner):
    with (
        Client(planner.url, "wrong", patience=Patience(seconds=0.1)) as client,
        pytest.raises(ContractError) as no,
    ):
        client.plan({"ask": "qwen-72b for 2x A6000"})
    with a_bot(planner.url, "wrong") as bot:
        bot.type("qwen-72b for 2x A6000")
        assert no.value.message in bot.slack.wait_until(lambda slack: slack.private)[0]["text"]
