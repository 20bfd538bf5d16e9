"""A decision computed again from its record: to the bit, whatever has been learnt since."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from planner.main import open_workshop
from planner.settings import Settings
from planner.usecases.plan_model import plan_model, plan_without_record
from planner.usecases.read_ask import read_ask
from planner.usecases.replay_decision import replay_decision

DATA = Path(__file__).parents[3] / "data"
AN_EVIDENCE_ROW = {
    "subject": "quality",
    "model_label": "Qwen/Qwen2.5-72B",
    "model_id": "Qwen/Qwen2.5-72B",
    "family": "qwen2.5",
    "params": 72.7e9,
    "scheme": "W4A16",
    "method": "awq",
    "group_size": 128,
    "bits": 4.0,
    "metric": "mmlu",
    "higher_is_better": True,
    "value": 40.0,
    "baseline": 86.0,
    "unit": "acc",
    "source_title": "measured here",
    "source_ref": "a test",
    "recorded_at": "2026-01-01T00:00:00+00:00",
}


def replay(workshop, decision):
    return replay_decision(workshop, decision.decision_id)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param("qwen-72b for 2x A6000", id="two-cards"),
        pytest.param("qwen-72b for T4", id="nothing-fits"),
        pytest.param("qwen3-8b for 4090, context 32k, for 16 users, fastest, with vllm", id="options"),
        pytest.param("demo for cpu in 2-bit", id="this-machine-by-width"),
        pytest.param("llama 3.1 8b for m2 max 96gb for coding", id="unified-memory"),
    ],
)
def test_a_decision_replays_to_the_bit(workshop, ask):
    answer = replay(workshop, plan_model(workshop, read_ask({"ask": ask})))
    assert answer["differences"] == []
    assert (answer["identical"], answer["record_intact"]) == (True, True)
    assert answer["recorded_sha256"] == answer["replayed_sha256"]


def test_it_still_does_after_evidence_was_appended(workshop):
    request = read_ask({"ask": "qwen-72b for 2x A6000"})
    decision = plan_model(workshop, request)
    workshop.evidence.add_row(AN_EVIDENCE_ROW)
    now = plan_without_record(workshop, request)
    assert now["inputs"]["evidence_version"] != decision.body["inputs"]["evidence_version"]
    # A collapse measured on this very model: the recipe that was chosen cannot be the choice any more.
    assert now["chosen"]["method"] != decision.body["chosen"]["method"]
    assert replay(workshop, decision)["identical"] is True


def test_it_still_does_after_data_changed_and_the_new_plan_differs(home, tmp_path):
    settings = Settings(home=home, cache=tmp_path / "cache", data=DATA)
    request = read_ask({"ask": "qwen-72b for 2x A6000"})
    workshop = open_workshop(settings)
    before = plan_model(workshop, request)
    workshop.close()
    changed = tmp_path / "data"
    shutil.copytree(DATA, changed)
    memory = changed / "engine_memory.csv"
    assert "vllm,utilisation,0.9,0.9,0.9" in memory.read_text()
    memory.write_text(
        memory.read_text().replace("vllm,utilisation,0.9,0.9,0.9", "vllm,utilisation,0.8,0.8,0.8")
    )
    workshop = open_workshop(replace(settings, data=changed))
    after = plan_model(workshop, request)
    assert after.body["inputs"]["evidence_version"] != before.body["inputs"]["evidence_version"]
    usable = [
        next(
            item["numbers"]["usable_bytes"]
            for item in plan.body["rejected"]
            if item["engine"] == "vllm" and item["code"] == "memory.over_by"
        )
        for plan in (before, after)
    ]
    # 48,690 MiB free, times 0.9 and 0.8
    assert usable == [45_949_648_896, 40_844_132_352]
    assert replay(workshop, before)["identical"] is True
    assert replay(workshop, after)["identical"] is True
    workshop.close()


def test_a_record_that_was_touched_shows(workshop, home):
    decision = plan_model(workshop, read_ask({"ask": "qwen-72b for 2x A6000"}))
    touched = replace(decision, body={**decision.body, "warnings": ["nothing to see here"]})
    answer = replay_decision(replace(workshop, decisions=OneDecision(workshop.decisions, touched)), "d")
    assert (answer["identical"], answer["record_intact"]) == (False, False)
    assert {found["path"] for found in answer["differences"]} == {"warnings"}


def test_under_another_planner_version_the_difference_is_shown(workshop):
    decision = plan_model(workshop, read_ask({"ask": "qwen-72b for 2x A6000"}))
    inputs = {**decision.body["inputs"], "planner_version": "0.0.1"}
    older = replace(decision, body={**decision.body, "inputs": inputs})
    answer = replay_decision(replace(workshop, decisions=OneDecision(workshop.decisions, older)), "d")
    assert answer["identical"] is False
    assert [found["path"] for found in answer["differences"]] == ["inputs.planner_version"]
    assert answer["planner_version"]["recorded"] == "0.0.1"


class OneDecision:
    """A store that answers with one decision, and with another store's documents."""

    def __init__(self, store, decision):
        self._store = store
        self._decision = decision

    def find_decision(self, decision_id):
        return self._decision

    def find_document(self, sha256):
        return self._store.find_document(sha256)
