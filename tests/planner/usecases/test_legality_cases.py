"""Every reported failure of shape, capability or support is refused with its arithmetic, or listed with why not.

`benchmarks/accuracy/legality_cases.csv` has a line for each such row of `data/evidence/memory_negatives.csv`: the
device, model or version that stands in where the row names none, and what is expected. Lines that expect nothing
say why.
"""

import csv
import importlib.util
import re
from pathlib import Path

import pytest

from planner.usecases.estimate_candidate import estimate_candidate

ROOT = Path(__file__).parents[3]
NEGATIVES = ROOT / "data" / "evidence" / "memory_negatives.csv"
SPEC = importlib.util.spec_from_file_location("legality", ROOT / "benchmarks" / "accuracy" / "legality.py")
BENCH = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BENCH)
CASES = [(case, fields) for case, fields in BENCH.read_cases() if case["expect"] != "none"]
LISTED = [case for case, _ in BENCH.read_cases() if case["expect"] == "none"]


@pytest.mark.parametrize(("case", "fields"), CASES, ids=[f"line-{case['line']}" for case, _ in CASES])
def test_a_reported_failure_is_reproduced(shared_workshop, case, fields):
    answer = estimate_candidate(shared_workshop, fields)
    assert BENCH.check_case(case["expect"], answer), answer["verdicts"]
    refusals = [item for item in answer["verdicts"] if not item["code"].startswith(("memory.", "unknown."))]
    if case["expect"] == "refused":
        assert refusals
        assert all(item["source"] for item in refusals)
        assert any(item.get("way_out") for item in refusals) or answer["ways_out"]
    for item in refusals:
        if item["code"].startswith(("shape.", "capability.")):
            assert re.search(r"\d", item["message"])  # the arithmetic, or the capability asked for and had


def test_every_failure_besides_memory_has_a_line():
    with NEGATIVES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    failures = {number for number, row in enumerate(rows, start=2) if row["failure"] != "oom"}
    assert {int(case["line"]) for case, _ in BENCH.read_cases()} == failures


def test_what_is_not_reproduced_says_why():
    assert len(LISTED) == 9
    assert all(len(case["why"]) > 20 for case in LISTED)


def test_a_model_whose_sizes_are_not_known_is_refused_all_the_same(shared_workshop):
    # Its layers differ one by one, and its 64 heads do not divide over three ranks whatever they hold.
    fields = {
        "model": "nvidia/Llama-3_3-Nemotron-Super-49B-v1",
        "scheme": "BF16",
        "device": "H200",
        "count": 3,
    }
    answer = estimate_candidate(shared_workshop, {**fields, "engine": "vllm"})
    assert (answer["legal"], answer["fits"], answer["weights_bytes"]) == (False, None, None)
    assert "shape.heads_not_divisible" in {item["code"] for item in answer["verdicts"]}


VLLM, SGLANG = {"engine": "vllm"}, {"engine": "sglang"}
AWQ = {"scheme": "AWQ-INT4", "method": "awq", "group_size": 128, "device": "A100 80GB"}


@pytest.mark.parametrize(
    ("fields", "legal", "part"),
    [
        # Reports that no table here holds: nothing was written down for them.
        pytest.param(
            {**AWQ, **VLLM, "model": "codellama/CodeLlama-7b-hf", "tp": 4, "engine_version": "0.2.0"},
            False,
            "11008 / 4 = 2752 columns a rank is 21.5 groups",
            id="vllm-issue-1258",
        ),
        pytest.param(
            {**AWQ, **VLLM, "model": "Qwen/Qwen-14B", "tp": 2, "engine_version": "0.2.2"},
            False,
            "13696 / 2 = 6848 columns a rank is 53.5 groups",
            id="vllm-issue-1816",
        ),
        pytest.param(
            {**AWQ, **SGLANG, "model": "Qwen/Qwen2.5-72B", "tp": 2},
            False,
            "115.5 groups of 128",
            id="sglang-issue-3571",
        ),
        # The same issue: the same model with groups of 64 works in vLLM, though its tiles do not divide.
        pytest.param(
            {
                **AWQ,
                **VLLM,
                "model": "Qwen/Qwen2.5-72B",
                "tp": 2,
                "group_size": 64,
                "engine_version": "0.7.2",
            },
            True,
            "awq gemm",
            id="sglang-issue-3571-group-64",
        ),
        pytest.param(
            {**VLLM, "model": "Qwen/Qwen2.5-32B", "scheme": "GPTQ-Int4", "device": "A100 80GB", "tp": 2},
            True,
            "marlin",
            id="qwen-32b-over-two",
        ),
        pytest.param(
            {
                **VLLM,
                "model": "Qwen/Qwen3-Coder-480B-A35B-Instruct",
                "scheme": "FP8_BLOCK",
                "device": "H200",
                "tp": 8,
            },
            False,
            "2560 / 8 = 320 is 2.5 blocks of 128",
            id="qwen3-coder-block-fp8",
        ),
    ],
)
def test_reports_that_no_table_holds(shared_workshop, fields, legal, part):
    answer = estimate_candidate(shared_workshop, {**fields, "count": fields["tp"]})
    assert answer["legal"] is legal
    said = [item["message"] for item in answer["verdicts"]]
    assert any(part in text for text in [*said, str(answer["kernel"])])
