"""A finished job stands beside its promise, and the next plan believes it."""

from dataclasses import replace

import pytest

from planner.domain.errors import BadInput, MachineRefused
from planner.usecases.approve_job import approve_job
from planner.usecases.claim_job import claim_job
from planner.usecases.plan_model import plan_model
from planner.usecases.read_ask import read_ask
from planner.usecases.record_measurement import record_measurement
from planner.usecases.replay_decision import replay_decision
from planner.usecases.show_decision import show_decision
from planner.usecases.submit_job import submit_job


@pytest.fixture
def complete(workshop):
    """Submit, approve, claim and complete a job of a decision; the job and its claim."""

    def run(decision, measurement, within=workshop):
        approve_job(workshop, submit_job(workshop, decision.decision_id).job_id)
        claim = claim_job(workshop, "here")
        report = {"artifact_dir": "/made", "manifest": {"files": []}, "measurement": measurement}
        return record_measurement(within, claim.claim_id, **report), claim

    return run


def ask_again(workshop, tiny_checkpoint):
    ask = {"ask": f"{tiny_checkpoint} for cpu", "scheme": "Q8_0", "must_quantize": True}
    return plan_model(workshop, read_ask(ask)).body["chosen"]


def test_predicted_stands_beside_measured(workshop, tiny_plan, complete, a_measurement):
    job, _ = complete(tiny_plan, a_measurement())
    shown = show_decision(workshop, tiny_plan.decision_id)
    rows = {row["name"]: row for row in shown["measurements"]}
    assert job.state == "completed"
    assert rows["artifact_bytes"]["predicted"] == tiny_plan.body["chosen"]["artifact_bytes"]
    assert rows["artifact_bytes"]["measured"] == 1_000_000
    assert rows["job_minutes"]["predicted"] == tiny_plan.body["chosen"]["job"]["minutes"]
    # 10.3 against 10.0 is 3 % more.
    assert rows["perplexity_change_percent"]["measured"] == pytest.approx(3.0)


def test_the_next_plan_predicts_the_quality_that_was_measured(
    workshop, tiny_plan, complete, a_measurement, tiny_checkpoint
):
    complete(tiny_plan, a_measurement())
    perplexity = ask_again(workshop, tiny_checkpoint)["quality"]["perplexity"]
    assert perplexity["basis"] == "measured"
    assert perplexity["sources"] == ["measured here (1)"]
    assert perplexity["loss"] == pytest.approx(0.03)


def test_the_next_plan_predicts_the_minutes_that_were_measured(
    workshop, tiny_plan, complete, a_measurement, tiny_checkpoint
):
    complete(tiny_plan, a_measurement())
    complete(tiny_plan, a_measurement(job_minutes=0.5))
    job = ask_again(workshop, tiny_checkpoint)["job"]
    assert job["basis"] == "measured"
    assert job["minutes"] == pytest.approx(0.5, rel=0.01)


def test_a_ratio_stands_on_the_formula_not_on_earlier_ratios(
    workshop, tiny_plan, complete, a_measurement, tiny_checkpoint
):
    complete(tiny_plan, a_measurement(job_minutes=0.5))
    ask = {"ask": f"{tiny_checkpoint} for cpu", "scheme": "Q8_0", "must_quantize": True}
    complete(plan_model(workshop, read_ask(ask)), a_measurement(job_minutes=0.5))
    assert ask_again(workshop, tiny_checkpoint)["job"]["minutes"] == pytest.approx(0.5, rel=0.01)


def test_the_next_plan_predicts_the_share_of_bandwidth_that_was_measured(
    workshop, tiny_plan, complete, a_measurement
):
    complete(tiny_plan, a_measurement(decode_tokens_per_s=50.0))
    rows = workshop.audit("SELECT metric, value, device FROM evidence WHERE subject = 'efficiency'").rows
    device = tiny_plan.body["target"]["devices"][0]
    # Q8_0 stores 34 bytes for 32 weights. Every matrix but the embedding is read: head 1024 x 256, and in each of
    # two layers q, o 256 x 256, k, v 128 x 256, gate, up, down 512 x 256; five norms of 256 stay in 32 bits.
    weights = 1024 * 256 + 2 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 512 * 256)
    read_bytes = weights * 34 / 32 + 5 * 256 * 4
    assert rows == [
        (
            "decode",
            pytest.approx(50.0 * read_bytes / device["bandwidth_bytes_per_s"], rel=1e-4),
            device["name"],
        )
    ]


@pytest.mark.parametrize(
    ("on", "evaluated_on", "has_speeds"),
    [
        pytest.param("cpu", {"engine": "llama.cpp", "device_kind": "cpu"}, True, id="as planned"),
        pytest.param("cpu", {"engine": "transformers", "device_kind": "cpu"}, False, id="other engine"),
        pytest.param(
            "RTX 3060 12GB", {"engine": "llama.cpp", "device_kind": "cpu"}, False, id="planned for a card"
        ),
        pytest.param(
            "RTX 3060 12GB", {"engine": "llama.cpp", "device_kind": "gpu"}, True, id="ran on a card"
        ),
        pytest.param("cpu", None, False, id="not said"),
    ],
)
def test_speeds_count_only_where_it_ran_as_planned(
    workshop, tiny_checkpoint, complete, a_measurement, on, evaluated_on, has_speeds
):
    ask = {
        "ask": f"{tiny_checkpoint} for {on}",
        "scheme": "Q8_0",
        "engine": "llama.cpp",
        "must_quantize": True,
    }
    decision = plan_model(workshop, read_ask(ask))
    complete(decision, a_measurement(evaluated_on=evaluated_on))
    figures = {row["name"] for row in show_decision(workshop, decision.decision_id)["measurements"]}
    assert {"artifact_bytes", "job_minutes", "kl_divergence", "perplexity_change_percent"} <= figures
    assert ({"decode_tokens_per_s", "prefill_tokens_per_s"} <= figures) is has_speeds
    assert has_speeds or not {"decode_tokens_per_s", "prefill_tokens_per_s"} & figures
    own = workshop.audit("SELECT subject, engine FROM evidence WHERE load_id IS NULL").rows
    assert ("efficiency" in {subject for subject, _ in own}) is has_speeds
    assert ("quality", (evaluated_on or {}).get("engine")) in own


def test_a_report_sent_twice_is_recorded_once(workshop, tiny_plan, complete, a_measurement):
    _, claim = complete(tiny_plan, a_measurement())
    before = workshop.audit("SELECT count(*) FROM evidence WHERE source_title = 'measured here'")
    report = {"artifact_dir": "/made", "manifest": {}, "measurement": a_measurement()}
    assert record_measurement(workshop, claim.claim_id, **report).state == "completed"
    assert workshop.audit("SELECT count(*) FROM evidence WHERE source_title = 'measured here'") == before


def test_what_is_measured_later_does_not_change_a_recorded_decision(
    workshop, tiny_plan, complete, a_measurement
):
    complete(tiny_plan, a_measurement(perplexity=29.0))
    assert replay_decision(workshop, tiny_plan.decision_id)["identical"]


class FullLog:
    """An evidence log that takes no more."""

    def add_row(self, row):
        raise MachineRefused("home.disk_full", "No space left.")


def test_a_measurement_that_cannot_be_kept_leaves_the_job_claimed_and_nothing_recorded(
    workshop, tiny_plan, complete, a_measurement
):
    with pytest.raises(MachineRefused):
        complete(tiny_plan, a_measurement(), within=replace(workshop, evidence=FullLog()))
    (job,) = workshop.jobs.list_jobs(tiny_plan.decision_id, 2)
    assert job.state == "claimed"
    assert workshop.job_events.list_job_events(job.job_id, 0)[-1]["event"]["state"] == "claimed"
    assert show_decision(workshop, tiny_plan.decision_id)["measurements"] == []


class FailsOnce:
    """An evidence log whose third row finds no room, once."""

    def __init__(self, log):
        self._log, self._rows = log, 0

    def add_row(self, row):
        self._rows += 1
        if self._rows == 3:
            raise MachineRefused("home.disk_full", "No space left.")
        return self._log.add_row(row)


def test_a_report_that_failed_half_way_is_recorded_whole_when_it_is_sent_again(
    workshop, tiny_plan, a_measurement
):
    job_id = approve_job(workshop, submit_job(workshop, tiny_plan.decision_id).job_id).job_id
    claim = claim_job(workshop, "here")
    report = {"artifact_dir": "/made", "manifest": {"files": []}, "measurement": a_measurement()}
    failing = replace(workshop, evidence=FailsOnce(workshop.evidence))
    with pytest.raises(MachineRefused):
        record_measurement(failing, claim.claim_id, **report)
    assert workshop.jobs.find_job(job_id).state == "claimed"
    assert workshop.measurements.list_measurements(tiny_plan.decision_id) == []
    own = "SELECT subject, metric FROM evidence WHERE load_id IS NULL ORDER BY ALL"
    assert workshop.audit(own).rows == []
    assert record_measurement(failing, claim.claim_id, **report).state == "completed"
    assert len(workshop.measurements.list_measurements(tiny_plan.decision_id)) == 9
    assert workshop.audit(own).rows == [
        ("efficiency", "decode"),
        ("job_ratio", "minutes"),
        ("quality", "perplexity"),
        ("size", "artifact"),
    ]
    states = [row["event"].get("state") for row in workshop.job_events.list_job_events(job_id, 0)]
    assert states.count("completed") == 1


def test_a_recipe_that_the_recorded_tables_lack_is_said_in_a_sentence(workshop, tiny_plan, a_measurement):
    class NoRecipes:
        def tables(self, version):
            return replace(workshop.knowledge.tables(version), recipes=())

    job_id = approve_job(workshop, submit_job(workshop, tiny_plan.decision_id).job_id).job_id
    claim = claim_job(workshop, "here")
    report = {"artifact_dir": "/made", "manifest": {}, "measurement": a_measurement()}
    with pytest.raises(BadInput, match=r"no recipe for Q8_0, rtn, gguf, llama\.cpp"):
        record_measurement(replace(workshop, knowledge=NoRecipes()), claim.claim_id, **report)
    assert workshop.jobs.find_job(job_id).state == "claimed"
