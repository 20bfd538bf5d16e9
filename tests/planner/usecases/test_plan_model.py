"""From a request to a recorded decision, with everything it stands on kept."""

import json

import pytest

from planner.domain.canonical import canonical_json, sha256_of
from planner.usecases.plan_model import plan_model, plan_without_record
from planner.usecases.read_ask import read_ask

QWEN = {"ask": "qwen-72b for 2x A6000"}


@pytest.fixture
def decision(workshop):
    return plan_model(workshop, read_ask(QWEN))


def test_the_decision_can_be_found_again(workshop, decision):
    assert workshop.decisions.find_decision(decision.decision_id) == decision


def test_its_inputs_are_kept_under_their_hashes(workshop, decision):
    inputs = decision.body["inputs"]
    assert set(inputs) >= {
        *("request_sha256", "model_facts_sha256", "inventory_snapshot_id"),
        *("evidence_version", "rules_version", "planner_version"),
    }
    for name in ("model_facts_sha256", "inventory_snapshot_id"):
        assert sha256_of(workshop.decisions.find_document(inputs[name])) == inputs[name]
    request = workshop.decisions.find_decision(decision.decision_id).request_document
    assert sha256_of(json.loads(request)) == inputs["request_sha256"]
    assert canonical_json(json.loads(request)) == request


def test_what_is_filled_in_is_canonical(decision):
    for item in (decision.body["chosen"], *decision.body["alternatives"]):
        assert canonical_json(item.read()) == item.text


def test_what_was_assumed_is_said_aloud(decision):
    assert any("newest of 4 called qwen-72b" in text for text in decision.body["warnings"])
    assert decision.body["request"]["assumed"] == ["context", "concurrency", "task"]


def test_the_words_are_kept_with_what_they_were_taken_to_mean(decision):
    request = decision.body["request"]
    assert (request["text"], request["context"], request["concurrency"]) == (QWEN["ask"], 8192, 4)
    assert decision.body["model"]["id"] == "Qwen/Qwen2.5-72B"
    assert [device["total_bytes"] for device in decision.body["target"]["devices"]] == [51_527_024_640] * 2


def test_a_suffix_that_was_typed_is_kept(workshop):
    body = plan_without_record(workshop, read_ask({"ask": "qwen2.5-72b-instruct for 2x A6000"}))
    assert body["model"]["id"] == "Qwen/Qwen2.5-72B-Instruct"
    assert body["model"]["catalogue_id"] == "Qwen/Qwen2.5-72B"


def test_16_bits_do_not_fit_and_what_is_chosen_was_measured_somewhere(decision):
    taken = [decision.body["chosen"], *decision.body["alternatives"]]
    assert all(item["memory"]["fits"] for item in taken)
    assert all(item["scheme"] != "BF16" for item in taken)
    first = next(iter(decision.body["chosen"]["quality"].values()))
    assert first["sources"]
    assert first["low_delta"] <= first["expected_delta"] <= first["high_delta"]


def test_planning_without_a_record_leaves_none_and_says_the_same(workshop, decision):
    body = plan_without_record(workshop, read_ask(QWEN))
    assert canonical_json(body) == canonical_json(decision.body)
    assert len(workshop.decisions.list_decisions(10)) == 1


def test_the_same_request_twice_is_two_records_of_one_answer(workshop, decision):
    again = plan_model(workshop, read_ask(QWEN))
    assert again.decision_id != decision.decision_id
    assert again.previous_sha256 == decision.record_sha256
    assert again.body == decision.body


def test_a_folder_is_planned_from_its_own_files(workshop, tiny_checkpoint):
    body = plan_without_record(workshop, read_ask({"ask": f'"{tiny_checkpoint}" for cpu'}))
    assert body["model"]["path"] == str(tiny_checkpoint)
    assert body["chosen"] is not None
