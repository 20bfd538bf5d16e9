"""The story on loopback: a signed command, the card, Run, progress, end; the real service, a scripted executor."""

import json

import pytest
from fakes.slack import CHANNEL, CLOSED_CHANNEL
from fakes.slack_person import ASKER, OTHER, find_button, say

from planner.contract.requests import JobFailure, JobReport

RUN_EVERYTHING_ALONE = {"BITWRIGHT_BOT_APPROVAL_MINUTES": "100000"}
APPROVE_EVERYTHING = {"BITWRIGHT_BOT_APPROVAL_MINUTES": "0"}


@pytest.fixture
def alone(a_bot, service):
    """A bot that lets everyone run everything."""
    with a_bot(service.url, service.token, **RUN_EVERYTHING_ALONE) as started:
        yield started


@pytest.fixture
def with_approval(a_bot, service):
    """A bot that asks for approval of every run."""
    with a_bot(service.url, service.token, **APPROVE_EVERYTHING) as started:
        yield started


@pytest.fixture
def a_plan(tiny_checkpoint):
    """Asks for a plan in which something is to be made; its message's timestamp."""

    def ask(person):
        assert person.type(f"{tiny_checkpoint} for cpu in Q8_0").status_code == 200
        return person.slack.wait_until(lambda slack: list(slack.messages))[0]

    return ask


def stand(slack, timestamp, words):
    """The message as soon as it says these words."""
    return slack.wait_until(
        lambda slack: (
            slack.messages[timestamp]["blocks"] if words in say(slack.messages[timestamp]["blocks"]) else None
        )
    )


def button_of(slack, timestamp, action_id):
    button = find_button(slack.messages[timestamp]["blocks"], action_id)
    assert button is not None, f"no {action_id} button"
    return button


def test_from_a_sentence_to_predicted_beside_measured_in_one_message(alone, a_plan, service, a_measurement):
    slack, client = alone.slack, service.client
    timestamp = a_plan(alone)
    assert slack.messages[timestamp]["channel"] == CHANNEL
    assert alone.press(button_of(slack, timestamp, "run"), timestamp).status_code == 200
    claim = client.claim_job("gpu-07", wait_seconds=5)
    assert claim.job.specification["scheme"] == "Q8_0"
    stand(slack, timestamp, "Running on gpu-07")
    client.report_events(claim.claim_id, [a_stage("convert", 5, 5), a_stage("quantize", 31, 80, left=1020.0)])
    stand(slack, timestamp, "● converted → ◐ quantize 31 of 80 layers, 17 min left → ○ check → ○ publish")
    manifest = {"files": [{"path": "tiny-Q8_0.gguf", "bytes": 1}]}
    report = JobReport(artifact_dir="/data/tiny", manifest=manifest, measurement=a_measurement())
    client.complete_job(claim.claim_id, report)
    end = say(stand(slack, timestamp, "Done in 30 s (said"))
    assert "perplexity, change" in end
    assert "+3.0 %" in end  # 10.3 / 10.0
    assert "llama-server -m /data/tiny/tiny-Q8_0.gguf" in end
    assert not [shown for shown in slack.history[timestamp] if find_button(shown["blocks"], "approve")]
    assert [name for name, _ in slack.calls].count("chat.postMessage") == 1
    assert list(slack.messages) == [timestamp]
    assert slack.private == []


def test_pressing_run_twice_makes_one_job(alone, a_plan, service):
    timestamp = a_plan(alone)
    run = button_of(alone.slack, timestamp, "run")
    assert [alone.press(run, timestamp).status_code for _ in range(2)] == [200, 200]
    stand(alone.slack, timestamp, "Waits for a host")
    assert alone.press(run, timestamp).status_code == 200
    assert len(service.client.list_jobs()) == 1


def test_the_asker_cannot_approve_and_someone_else_can(with_approval, a_plan, service):
    slack = with_approval.slack
    timestamp = a_plan(with_approval)
    with_approval.press(button_of(slack, timestamp, "run"), timestamp)
    stand(slack, timestamp, "Waits for approval by someone else")
    approve = button_of(slack, timestamp, "approve")
    with_approval.press(approve, timestamp, user=ASKER)
    slack.wait_until(lambda slack: "[policy.own_run]" in last_words(slack))
    assert service.client.list_jobs()[0].state == "submitted"
    with_approval.press(approve, timestamp, user=OTHER)
    stand(slack, timestamp, "Waits for a host")
    assert service.client.list_jobs()[0].state == "approved"


def test_a_failure_ends_the_message_with_its_sentence(alone, a_plan, service):
    timestamp = a_plan(alone)
    alone.press(button_of(alone.slack, timestamp, "run"), timestamp)
    claim = service.client.claim_job("gpu-07", wait_seconds=5)
    sentence = "The disk filled up. Free some space, then retry."
    service.client.fail_job(claim.claim_id, JobFailure(code="backend.disk_full", message=sentence))
    assert "[backend.disk_full]" in say(stand(alone.slack, timestamp, sentence))


def test_a_job_is_cancelled_from_its_message(alone, a_plan, service):
    timestamp = a_plan(alone)
    alone.press(button_of(alone.slack, timestamp, "run"), timestamp)
    stand(alone.slack, timestamp, "Waits for a host")
    cancel = button_of(alone.slack, timestamp, "cancel")
    alone.press(cancel, timestamp, user=OTHER)
    alone.slack.wait_until(lambda slack: "[policy.not_yours]" in last_words(slack))
    alone.press(cancel, timestamp, user=ASKER)
    stand(alone.slack, timestamp, "Nothing was published.")
    assert service.client.list_jobs()[0].state == "cancelled"


def test_an_alternative_is_run_from_the_dialog(alone, tiny_checkpoint, service):
    slack = alone.slack
    alone.type(f"{tiny_checkpoint} for cpu, smallest")
    timestamp = slack.wait_until(lambda slack: list(slack.messages))[0]
    alone.press(button_of(slack, timestamp, "why_not"), timestamp)
    slack.wait_until(lambda slack: slack.dialogs)
    assert slack.dialogs[0]["title"]["text"] == "Why not…"
    alone.press(button_of(slack, timestamp, "alternatives"), timestamp)
    dialog = slack.wait_until(lambda slack: slack.dialogs[1:])[0]
    run = find_button(dialog["blocks"], "run_alternative")
    view = {"id": "V2", "private_metadata": dialog["private_metadata"]}
    alone.press(run, timestamp, view=view)
    answer = slack.wait_until(lambda slack: slack.dialogs[2:])[0]
    job = service.client.list_jobs()[0]
    assert job.job_id in say(answer["blocks"])
    assert json.loads(run["value"])["choice"]["scheme"] == job.specification["scheme"]
    assert job.job_id in say(stand(slack, timestamp, job.specification["scheme"]))


def test_a_published_checkpoint_has_nothing_to_run(bot):
    bot.type("qwen-72b for 2x A6000")
    blocks = bot.slack.wait_until(lambda slack: list(slack.messages.values()))[0]["blocks"]
    assert "nothing to make" in say(blocks)
    assert find_button(blocks, "run") is None
    assert find_button(blocks, "alternatives") is not None


def test_an_ambiguous_card_is_asked_about_and_planned_for(bot):
    bot.type("qwen-7b for RTX 6000")
    asked = bot.slack.wait_until(lambda slack: slack.private)[0]
    assert '"RTX 6000" is several cards' in asked["text"]
    menu = find_button(asked["blocks"], "pick")
    option = next(option for option in menu["options"] if "Ada" in option["text"]["text"])
    block_id = asked["blocks"][1]["block_id"]
    bot.press({"action_id": "pick", "type": "static_select", "block_id": block_id, "selected_option": option})
    planned = bot.slack.wait_until(lambda slack: list(slack.messages.values()))[0]
    assert "RTX 6000 Ada Generation" in say(planned["blocks"])


def test_outside_its_channels_it_answers_in_private(bot):
    bot.type("qwen-72b for 2x A6000", channel=CLOSED_CHANNEL)
    answer = bot.slack.wait_until(lambda slack: slack.private)[0]
    assert answer["response_type"] == "ephemeral"
    assert "Invite me" in say(answer["blocks"])
    assert find_button(answer["blocks"], "run") is None


def test_what_slack_limits_is_said_later(bot):
    bot.slack.limited_calls = 2
    bot.type("qwen-72b for 2x A6000")
    assert bot.slack.wait_until(lambda slack: slack.messages)


def last_words(slack):
    return slack.private[-1]["text"] if slack.private else ""


def a_stage(name, done, total, left=None):
    return {
        "event": "stage",
        "stage": name,
        "done": done,
        "total": total,
        "unit": "layers",
        "seconds_left": left,
    }
