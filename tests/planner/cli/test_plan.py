"""`bitwright plan` as a person sees it, and the commands that look back at what it recorded."""

import json

import pytest

QWEN = "qwen-72b for 2x A6000"


@pytest.fixture
def decision(bitwright):
    return json.loads(bitwright("plan", QWEN, "--json").out)


def test_the_printed_plan_has_every_part(bitwright):
    out = bitwright("plan", QWEN).out
    for part in (
        *("understood", "take", "each device", "expected", "making it", "also", "not", "mind"),
        *("Qwen/Qwen2.5-72B · 2 × RTX A6000", "(default)", "vllm serve", "GiB usable", "decision d-"),
    ):
        assert part in out


def test_the_trap_is_printed_with_its_arithmetic_and_its_way_out(bitwright):
    out = bitwright("plan", QWEN).out
    assert "29568 / 2 = 14784 columns a rank is 115.5 groups of 128" in out
    assert "group 64 or 32, 2 replicas at tensor parallel 1, pipeline parallel 2" in out
    assert "padded to intermediate size 29696" in out


def test_json_is_one_object_and_nothing_else(bitwright):
    ran = bitwright("plan", QWEN, "--json")
    assert ran.status == 0
    assert ran.err == ""
    assert ran.out.count("\n") == 1
    decision = json.loads(ran.out)
    assert {*("decision_id", "request", "model", "target", "chosen", "alternatives", "rejected")} <= set(
        decision
    )
    assert {*("warnings", "inputs", "record_sha256", "previous_sha256")} <= set(decision)


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        pytest.param(["--context", "32k"], "context", 32768, id="context"),
        pytest.param(["--concurrency", "16"], "concurrency", 16, id="concurrency"),
        pytest.param(["--objective", "quality"], "objective", "quality", id="objective"),
        pytest.param(["--engine", "vllm"], "engine", "vllm", id="engine"),
        pytest.param(["--task", "coding"], "task", "coding", id="task"),
        pytest.param(["--kv-dtype", "fp8"], "kv_dtype", "fp8", id="kv-dtype"),
    ],
)
def test_an_option_overrides_the_sentence(bitwright, arguments, field, value):
    ran = bitwright("plan", f"{QWEN}, context 4k", *arguments, "--json")
    assert json.loads(ran.out)["request"][field] == value


def test_decisions_are_listed_newest_first(bitwright, decision):
    listed = json.loads(bitwright("decisions", "--json").out)["decisions"]
    assert listed[0]["decision_id"] == decision["decision_id"]
    lines = bitwright("decisions", "--limit", "1").out.splitlines()
    assert lines[0].split()[0] == "decision_id"
    assert lines[1].startswith(decision["decision_id"])


def test_a_decision_is_shown_as_it_was_printed(bitwright, decision):
    shown = json.loads(bitwright("decisions", "show", decision["decision_id"], "--json").out)
    assert {name: shown[name] for name in decision} == decision
    assert (shown["jobs"], shown["measurements"]) == ([], [])
    assert "vllm serve" in bitwright("decisions", "show", decision["decision_id"]).out


def test_every_rejected_verdict_is_listed_with_code_numbers_source_and_way_out(bitwright, decision):
    out = bitwright("decisions", "show", decision["decision_id"], "--rejected").out
    assert out.count("source: ") == len([item for item in decision["rejected"] if item["source"]])
    assert "shape.group_not_divisible" in out
    assert "columns_per_rank 14784" in out
    assert "→ group 64 or 32" in out


def test_a_decision_replays_identically(bitwright, decision):
    answer = json.loads(bitwright("replay", decision["decision_id"], "--json").out)
    assert (answer["identical"], answer["record_intact"], answer["differences"]) == (True, True, [])
    assert "identical to the bit" in bitwright("replay", decision["decision_id"]).out


def test_a_cut_off_audit_answer_says_so_beneath_its_table_and_in_json(bitwright):
    sql = "SELECT * FROM range(10001)"
    assert (
        bitwright("audit", sql).out.splitlines()[-1].startswith("Only the first 10,000 rows: there are more.")
    )
    assert json.loads(bitwright("audit", sql, "--json").out)["truncated"] is True
    assert "Only" not in bitwright("audit", "SELECT 1").out


def test_an_audit_question_is_answered_as_a_table_or_as_json(bitwright, decision):
    sql = f"SELECT decision_id, scheme FROM decisions WHERE decision_id = '{decision['decision_id']}'"
    answer = json.loads(bitwright("audit", sql, "--json").out)
    assert answer["columns"] == ["decision_id", "scheme"]
    assert answer["rows"] == [[decision["decision_id"], decision["chosen"]["scheme"]]]
    lines = bitwright("audit", sql).out.splitlines()
    assert [line.split() for line in lines] == [answer["columns"], answer["rows"][0]]


def test_predicted_stands_beside_measured_when_there_are_measurements(bitwright, home, monkeypatch):
    from planner.main import open_workshop  # noqa: PLC0415 - only this test writes a measurement
    from planner.settings import read_settings  # noqa: PLC0415

    recorded = json.loads(bitwright("plan", QWEN, "--json", home=home).out)
    workshop = open_workshop(read_settings())
    figure = {
        "job_id": "j-1",
        "decision_id": recorded["decision_id"],
        "name": "job_minutes",
        "predicted": 10.0,
        "predicted_low": 5.0,
        "predicted_high": 20.0,
        "measured": 12.0,
        "unit": "minutes",
        "at": "2026-01-01T00:00:00+00:00",
    }
    workshop.measurements.add_measurement(figure)
    workshop.close()
    out = bitwright("decisions", "show", recorded["decision_id"], home=home).out
    (line,) = [line for line in out.splitlines() if line.startswith("job_minutes (j-1)")]
    # 12 minutes against 10 are 20 % more.
    assert line.split()[2:] == [
        "5",
        "minutes",
        "10",
        "minutes",
        "20",
        "minutes",
        "12",
        "minutes",
        "+20.0",
        "%",
    ]


def test_an_estimate_is_printed_or_one_object(bitwright):
    words = ["estimate", "qwen2.5-72b", "--scheme", "W4A16", "--on", "2x A6000", "--tp", "2"]
    answer = json.loads(bitwright(*words, "--json").out)
    assert (answer["legal"], answer["fits"]) == (False, True)
    out = bitwright(*words).out
    assert "does not load" in out
    assert "115.5 groups of 128" in out


def test_evidence_is_listed_counted_and_predicted_from(bitwright):
    rows = json.loads(bitwright("evidence", "list", "--subject", "quality", "--limit", "3", "--json").out)
    assert len(rows["evidence"]) == 3
    sources = json.loads(bitwright("evidence", "sources", "--json").out)["sources"]
    assert all(row["source_ref"] for row in sources)
    words = ["evidence", "predict", "qwen2.5-72b", "--scheme", "W4A16", "--method", "awq"]
    answer = json.loads(bitwright(*words, "--benchmark", "mmlu", "--json").out)
    assert answer["low_delta"] <= answer["expected_delta"] <= answer["high_delta"]
    assert "results" in bitwright(*words, "--benchmark", "mmlu").out
