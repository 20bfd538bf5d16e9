"""Following a job: at Slack's pace, through Slack's refusals, a silent service and a bot that starts again."""

import asyncio

import pytest
from fakes.slack import BOT_TOKEN, CHANNEL
from fakes.slack_person import find_button, say
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.blocks import section
from bot.editor import EDIT_SECONDS, Editor
from bot.following import Following
from bot.follows import FILE_NAME, Followed, Follows
from bot.ids import JobValue
from bot.messages import TRIES, Card, Messages
from bot.policy import Policy
from planner.contract.answers import JobEvent, JobRecord
from planner.contract.errors import ServiceGone
from planner.contract.requests import JobReport

APPROVE_NOTHING = {"BITWRIGHT_BOT_APPROVAL_MINUTES": "100000"}


class Clock:
    """Waits that take no time, and what was waited."""

    def __init__(self):
        self.waits = []

    async def sleep(self, seconds):
        self.waits.append(seconds)
        await asyncio.sleep(0)


def a_card(text):
    return Card([section(text)], text)


def texts(slack, timestamp):
    return [message["text"] for message in slack.history[timestamp]]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def messages(slack, clock):
    return Messages(AsyncWebClient(token=BOT_TOKEN, base_url=slack.url, retry_handlers=[]), clock.sleep)


def test_edits_at_slacks_pace_and_the_newest_card_wins(slack, messages, clock):
    async def work():
        timestamp = await messages.post(CHANNEL, a_card("plan"))
        async with Editor(messages, CHANNEL, timestamp, pause_seconds=1.2, sleep=clock.sleep) as editor:
            editor.offer(a_card("1"))
            await asyncio.sleep(0.05)
            for number in range(2, 100):
                editor.offer(a_card(str(number)))
        return timestamp

    timestamp = asyncio.run(work())
    assert texts(slack, timestamp) == ["plan", "1", "99"]
    assert set(clock.waits) == {1.2}


def test_waits_as_long_as_slack_says_and_then_says_it(slack, messages, clock):
    slack.retry_after = 7

    async def work():
        timestamp = await messages.post(CHANNEL, a_card("plan"))
        slack.limited_calls = 2
        async with Editor(messages, CHANNEL, timestamp, sleep=clock.sleep) as editor:
            editor.offer(a_card("end"))
        return timestamp

    assert texts(slack, asyncio.run(work())) == ["plan", "end"]
    assert clock.waits[:2] == [7.0, 7.0]


def test_gives_up_a_message_that_was_deleted_and_nothing_else(slack, messages, clock, caplog):
    async def work():
        async with Editor(messages, CHANNEL, "1.000001", sleep=clock.sleep) as editor:
            editor.offer(a_card("end"))

    asyncio.run(work())
    assert "message_not_found" in caplog.text


def test_tries_a_silent_slack_again_and_then_says_so(clock):
    async def work():
        nowhere = Messages(
            AsyncWebClient(token="t", base_url="http://127.0.0.1:9/api/", retry_handlers=[]), clock.sleep
        )
        await nowhere.post(CHANNEL, a_card("plan"))

    with pytest.raises(OSError, match="Cannot connect"):
        asyncio.run(work())
    assert clock.waits == [2.0, 4.0, 8.0, 16.0][: TRIES - 1]


def test_remembers_what_is_followed(tmp_path):
    follows = Follows(tmp_path)
    first, second = a_followed("j-1"), a_followed("j-2")
    for followed in (first, second, first):
        follows.add(followed)
    assert list(Follows(tmp_path).list_followed()) == [second, first]
    follows.remove(second)
    assert list(Follows(tmp_path).list_followed()) == [first]


def test_a_damaged_file_is_no_reason_not_to_start(tmp_path):
    (tmp_path / FILE_NAME).write_text('{"followed": [')
    follows = Follows(tmp_path)
    assert list(follows.list_followed()) == []
    follows.add(a_followed("j-1"))
    assert len(follows.list_followed()) == 1


def test_a_bot_that_starts_again_tells_the_end(a_bot, service, tiny_checkpoint, a_measurement):
    """The bot ends while the job runs; the executor finishes meanwhile; the next bot edits the same message."""
    with a_bot(service.url, service.token, **APPROVE_NOTHING) as bot:
        timestamp = start_job(bot, tiny_checkpoint)
        claim = service.client.claim_job("gpu-07", wait_seconds=5)
        wait_for(bot.slack, timestamp, "Running on gpu-07")
    report = JobReport(artifact_dir="/data/tiny", manifest={}, measurement=a_measurement())
    service.client.complete_job(claim.claim_id, report)
    with a_bot(service.url, service.token, **APPROVE_NOTHING) as bot:
        wait_for(bot.slack, timestamp, "Done in 30 s")
        assert list(bot.slack.messages) == [timestamp]


class SilentOnce:
    """A service that stops answering in the middle of a job, and comes back."""

    def __init__(self, decision):
        self.decision = decision
        self.asked_after = []

    async def show_decision(self, decision_id):
        return {**self.decision, "decision_id": decision_id, "measurements": []}

    async def find_job(self, job_id):
        at = "2026-01-01T00:00:00Z"
        fields = {"decision_id": "d-1", "state": "claimed", "created_at": at, "updated_at": at}
        return JobRecord(job_id=job_id, specification={"scheme": "Q4_K_M"}, **fields)

    async def follow_job(self, job_id, after):
        self.asked_after.append(after)
        states = [("approved", 1), ("claimed", 2), ("completed", 3)]
        for name, sequence in states[after:]:
            if name == "completed" and len(self.asked_after) < 3:
                raise ServiceGone("http://127.0.0.1:1", "ConnectError")
            event = {"event": "state", "state": name}
            yield JobEvent(sequence=sequence, recorded_at="2026-01-01T00:00:00Z", event=event)


def test_outlives_a_silent_service_and_says_that_it_is_silent(slack, messages, clock, tmp_path, a_decision):
    service = SilentOnce(a_decision("llama_70b_for_2x_a6000"))

    async def work():
        timestamp = await messages.post(CHANNEL, a_card("plan"))
        follows = Follows(tmp_path)
        following = Following(
            service=service, messages=messages, follows=follows, policy=Policy(), sleep=clock.sleep
        )
        value = JobValue(job_id="j-1", decision_id="d-1", asker="U1", runner="U1")
        following.start(Followed(channel=CHANNEL, timestamp=timestamp, job=value))
        await asyncio.wait_for(asyncio.gather(*following._tasks.values()), 5)
        return timestamp

    timestamp = asyncio.run(work())
    shown = [say(message["blocks"]) for message in slack.history[timestamp]]
    assert any("does not answer at the moment" in text for text in shown)
    assert "Done" in shown[-1]
    assert service.asked_after == [0, 2, 2]
    assert [wait for wait in clock.waits if wait != EDIT_SECONDS] == [1.0, 2.0]


def start_job(bot, checkpoint):
    bot.type(f"{checkpoint} for cpu in Q8_0")
    timestamp = bot.slack.wait_until(lambda slack: list(slack.messages))[0]
    bot.press(find_button(bot.slack.messages[timestamp]["blocks"], "run"), timestamp)
    return timestamp


def wait_for(slack, timestamp, words):
    slack.wait_until(lambda slack: words in say(slack.messages[timestamp]["blocks"]))


def a_followed(job_id):
    value = JobValue(job_id=job_id, decision_id="d-1", asker="U1", runner="U1")
    return Followed(channel="C1", timestamp="1.2", job=value)
