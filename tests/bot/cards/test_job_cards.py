"""Cards of jobs: one message from waiting to its end."""

import pytest
from fakes.slack_person import find_button, say

from bot.cards.job import find_made, locate_serve, make_job_card, summarise_job
from bot.ids import JobValue
from bot.progress import Progress, add_event, draw_progress
from planner.contract.answers import JobEvent, JobRecord

VALUE = JobValue(job_id="j-1", decision_id="d-1", asker="U1", runner="U2")


@pytest.fixture
def decision(a_decision):
    return a_decision("llama_70b_for_2x_a6000")


def a_job(decision, **changes):
    names = ("scheme", "method", "format", "group_size", "backend")
    fields = {
        "job_id": "j-1",
        "decision_id": "d-1",
        "state": "claimed",
        "host": "gpu-07",
        "specification": {name: decision["chosen"][name] for name in names},
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
    return JobRecord.model_validate(fields | changes)


def after(*events):
    """Progress after these events."""
    progress = Progress()
    for number, event in enumerate(events, 1):
        told = JobEvent(sequence=number, recorded_at="2026-01-01T00:00:00Z", event=event)
        progress = add_event(progress, told)
    return progress


def state(name, **more):
    return {"event": "state", "state": name, **more}


def stage(name, done, total, unit="layers", left=None):
    return {
        "event": "stage",
        "stage": name,
        "done": done,
        "total": total,
        "unit": unit,
        "seconds_left": left,
    }


RUNNING = (
    state("approved"),
    state("claimed", host="gpu-07"),
    stage("environment", 12, 12, "packages"),
    stage("convert", 723, 723, "tensors"),
    stage("quantize", 31, 80, left=1020.0),
)


def test_waits_for_approval_by_someone_else(decision, check_card):
    """The plan, who has to approve, an Approve button and a Cancel button; no Run button any more."""
    card = make_job_card(decision, a_job(decision), Progress(), VALUE, approvers=("U2", "U7"))
    check_card("job_waiting", card)
    assert "Waits for approval by <@U7>" in say(card)
    assert find_button(card, "run") is None


def test_tells_layer_and_minutes_left(decision, check_card):
    """● environment ready → ● converted → ◐ quantize 31 of 80 layers, 17 min left → ○ check → ○ publish."""
    card = make_job_card(decision, a_job(decision), after(*RUNNING), VALUE)
    check_card("job_running", card)
    expected = (
        "● environment ready → ● converted → ◐ quantize 31 of 80 layers, 17 min left → ○ check → ○ publish"
    )
    assert expected in say(card)
    assert find_button(card, "approve") is None


def test_ends_with_predicted_beside_measured(decision, check_card):
    """Done in 36 min (said 35), each figure beside what was said, the artifact's place, the command with its path."""
    decision["measurements"] = [
        a_figure("artifact_bytes", 42.6e9, 42.5e9, unit="bytes"),
        a_figure("job_minutes", 36.2, 35.1, 10.0, 76.0, unit="minutes"),
        a_figure("perplexity_change_percent", 1.9, 2.8, 0.7, 12.1, unit="%"),
        a_figure("kl_divergence", 0.021, None, unit="nats"),
        {**a_figure("artifact_bytes", 1.0, 1.0, unit="bytes"), "job_id": "another job's"},
    ]
    files = [{"path": "llama-3.3-70b-instruct-Q4_K_M.gguf", "bytes": 1}]
    result = {"artifact_dir": "/data/artifacts/llama", "manifest": {"files": files}, "measurement": {}}
    job = a_job(decision, state="completed", result=result)
    progress = after(*RUNNING, stage("publish", 1, 1), state("completed"))
    card = make_job_card(decision, job, progress, VALUE)
    check_card("job_done", card)
    assert "Done in 36 min (said 35 min)" in say(card)
    assert "llama-server -m /data/artifacts/llama/llama-3.3-70b-instruct-Q4_K_M.gguf" in say(card)
    assert summarise_job(decision, job, progress).endswith(": completed")


def test_fails_with_the_sentence_of_the_terminal(decision, check_card):
    """The executor's sentence and its code, and nothing left to press."""
    error = {"code": "job.ram", "message": "this host has 62 GiB of RAM; the job needs about 150 GiB"}
    card = make_job_card(decision, a_job(decision), after(*RUNNING, state("failed", error=error)), VALUE)
    check_card("job_failed", card)
    assert "[job.ram]" in say(card)
    assert not [block for block in card if block["type"] == "actions"]


def test_says_that_the_service_is_silent(decision):
    """The last that was heard, and a warning."""
    progress = Progress(state="claimed", host="gpu-07", is_silent=True)
    assert "does not answer at the moment" in say(make_job_card(decision, a_job(decision), progress, VALUE))


@pytest.mark.parametrize(
    ("events", "line"),
    [
        pytest.param((), "○ quantize → ○ check → ○ publish", id="nothing heard yet"),
        pytest.param(
            (stage("load", 0, 1, "tensors"),), "◐ load → ○ quantize → ○ check → ○ publish", id="begun"
        ),
        pytest.param(
            (stage("calibrate", 3, 80), stage("quantize", 3, 80), stage("calibrate", 4, 80)),
            "● quantized → ◐ calibrate 4 of 80 layers → ○ check → ○ publish",
            id="stages that take turns",
        ),
        pytest.param(
            (stage("quantize", 8, 8), state("approved")),
            "○ quantize → ○ check → ○ publish",
            id="a lost lease begins again",
        ),
        pytest.param(
            (stage("polish", 1, 2, "rounds"), {"event": "news"}),
            "◐ polish 1 of 2 rounds → ○ quantize → ○ check → ○ publish",
            id="words that this version does not know",
        ),
    ],
)
def test_draws_stages_in_one_line(events, line):
    assert draw_progress(after(*events)) == line


def test_keeps_the_last_warnings_and_the_place_in_the_stream():
    warnings = [{"event": "warning", "message": f"warning {number}"} for number in range(5)]
    progress = after(*warnings)
    assert progress.warnings == ("warning 2", "warning 3", "warning 4")
    assert progress.sequence == 5


def test_finds_the_alternative_that_a_job_makes(a_decision):
    decision = a_decision("qwen_72b_for_2x_a6000")
    wanted = next(one for one in decision["alternatives"] if one["backend"])
    specification = {name: wanted[name] for name in ("scheme", "method", "format", "group_size")}
    job = a_job(decision, specification=specification)
    assert find_made(decision, job) == wanted
    assert "./" in locate_serve(wanted, job)


def a_figure(name, measured, predicted, low=None, high=None, unit=""):
    return {
        "job_id": "j-1",
        "name": name,
        "predicted": predicted,
        "predicted_low": low,
        "predicted_high": high,
        "measured": measured,
        "unit": unit,
    }
