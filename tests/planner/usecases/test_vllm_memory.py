"""vLLM's own words against estimates: rows of evidence/memory_truth.csv and evidence/memory_negatives.csv."""

import csv
import re
from pathlib import Path
from statistics import mean, median

import pytest

from planner.domain.errors import BitwrightError
from planner.usecases.estimate_candidate import estimate_candidate

EVIDENCE = Path(__file__).parents[3] / "data" / "evidence"
UNITS = {"GiB": 2**30, "tokens": 1, "blocks": 16}
UTILISATION = re.compile(r"gpu_memory_utilization (0\.\d+)")
BATCHED = re.compile(r"max[-_]num[-_]batched[-_]tokens (\d+)")
SLOTS = re.compile(r"max[-_]num[-_]seqs (\d+)")
CARDS = re.compile(r"A100 [48]0GB|H100 80GB|RTX 3090|RTX 5090|L40S")
UNSTATED = {("HuggingFaceH4/zephyr-7b-beta", "T4 16GB")}
"""Failed in a version that nobody said; the newest fits one sequence of the model's maximum with room to spare."""


@pytest.fixture(scope="module")
def estimate(shared_workshop):
    """An answer, or None where something that the row says cannot be read."""

    def ask(fields):
        try:
            return estimate_candidate(
                shared_workshop, {name: value for name, value in fields.items() if value is not None}
            )
        except BitwrightError:
            return None

    return ask


def rows(name, **wanted):
    with (EVIDENCE / name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if all(row[column] == value for column, value in wanted.items()):
                yield row


def whole(text):
    return int(text) if text.isdigit() else None


def said(pattern, text):
    found = pattern.search(text)
    return None if found is None else found[1]


def as_fields(row, device="NVIDIA H100 80GB SXM5"):
    tp = whole(row["tp"]) or 1
    slots, tokens = said(SLOTS, row["note"]), said(BATCHED, row["note"])
    utilisation = said(UTILISATION, row["note"])
    return {
        "model": row["repo"],
        "scheme": row["scheme"],
        "method": row["method"] or None,
        "engine": "vllm",
        "engine_version": row["engine_version"] or None,
        "device": device,
        "count": tp,
        "tp": tp,
        "context": whole(row["context_tokens"]),
        "concurrency": 1,
        "gpu_memory_utilization": None if utilisation is None else float(utilisation),
        "max_num_batched_tokens": None if tokens is None else int(tokens),
        "engine_options": {
            **({"max_num_seqs": int(slots)} if slots else {}),
            **({"enforce_eager": True} if "eager" in row["note"] else {}),
        },
    }


def test_printed_weights_are_met_within_two_percent_on_average(estimate):
    errors = []
    for row in rows("memory_truth.csv", engine="vllm", kind="vllm-weights"):
        found = estimate(as_fields(row)) if row["repo"] and row["scheme"] else None
        if found is not None:
            errors.append(abs(found["weights_bytes"] / (float(row["value"]) * UNITS[row["unit"]]) - 1))
    assert len(errors) >= 20
    assert mean(errors) < 0.005  # 0.13 % over 26 figures when this was written; wanted 2 %


def test_a_pool_is_met_where_share_version_and_card_are_known(estimate):
    errors, covered = [], 0
    for kind in ("vllm-kv-capacity-tokens", "vllm-gpu-blocks"):
        for row in rows("memory_truth.csv", engine="vllm", kind=kind):
            card = CARDS.search(row["gpu"])
            is_known = row["repo"] and row["engine_version"] and UTILISATION.search(row["note"])
            found = estimate(as_fields(row, card[0])) if card and is_known else None
            if found is None:
                continue
            measured = float(row["value"]) * UNITS[row["unit"]]
            errors.append(abs(found["kv_capacity_tokens"] / measured - 1))
            low, high = found["intervals"]["kv_capacity_tokens"]
            covered += low <= measured <= high
    errors.sort()
    assert len(errors) >= 9
    assert median(errors) < 0.06
    assert errors[int(0.9 * len(errors))] < 0.15
    assert covered >= 0.9 * len(errors)


def test_nothing_that_ran_out_of_memory_is_called_a_fit(estimate, shared_workshop):
    judged, wrong = 0, set()
    for row in rows("memory_negatives.csv", failure="oom"):
        cards = re.match(r"(\d+)\s*x\s*(.+)", row["gpus"])
        if cards is None or not row["repo"]:
            continue
        context = whole(row["context_tokens"])
        if context is None and "vllm" in row["engine"]:
            context = shared_workshop.catalog.find_model(row["repo"]).model.max_position  # what vLLM takes
        batch = re.search(r"batch (\d+)", row["message_summary"])
        share = re.search(r"utilization (0\.\d+)", row["message_summary"])
        tokens = re.search(r"max_num_batched_tokens above (\d+)", row["message_summary"])
        answer = estimate(
            {
                "model": row["repo"],
                "scheme": row["scheme"],
                "method": row["method"] or None,
                "device": re.sub(r" \(.*\)", "", cards[2]) if "PP=" in cards[2] else cards[2],
                "count": int(cards[1]),
                "tp": whole(row["tp"]),
                "engine": row["engine"] or None,
                "engine_version": row["engine_version"] or None,
                "context": context,
                "group_size": whole(row["group_size"]),
                "concurrency": int(batch[1]) if batch else 1,
                "gpu_memory_utilization": float(share[1]) if share else None,
                "max_num_batched_tokens": int(tokens[1]) if tokens else None,
            }
        )
        judged += answer is not None
        if answer is not None and answer["fits"] and "llama.cpp" not in row["engine"]:
            wrong.add((row["repo"], cards[2]))
    assert judged >= 75
    assert wrong == UNSTATED


@pytest.mark.parametrize(
    "asked",
    [
        # each ran, says evidence/speed.csv or memory_truth.csv, with little to spare
        pytest.param(
            {"model": "Qwen/Qwen3-8B", "scheme": "BF16", "device": "RTX 5090", "context": 32768},
            id="Qwen3-8B",
        ),
        pytest.param(
            {"model": "Qwen/Qwen3-14B", "scheme": "BF16", "device": "L40S", "context": 40960}, id="Qwen3-14B"
        ),
        pytest.param(
            {
                "model": "meta-llama/Llama-3.1-8B",
                "scheme": "BF16",
                "device": "RTX 3090",
                "context": 20000,
                "engine_version": "0.6.4",
            },
            id="Llama-3.1-8B",
        ),
        pytest.param(
            {
                "model": "MiniMaxAI/MiniMax-M2.5",
                "scheme": "FP8",
                "method": "native-fp8",
                "device": "H100 80GB",
                "count": 4,
                "context": 128000,
                "engine_version": "0.19.1",
                "gpu_memory_utilization": 0.95,
                "engine_options": {"max_num_seqs": 10},
            },
            id="MiniMax-M2.5",
        ),
    ],
)
def test_what_ran_with_little_to_spare_is_called_a_fit(estimate, asked):
    assert estimate({"engine": "vllm", "concurrency": 1, **asked})["fits"] is True


def test_a_released_checkpoint_is_known_by_its_width(estimate):
    asked = {"model": "openai/gpt-oss-20b", "scheme": "mxfp4", "device": "H100 80GB", "engine": "vllm"}
    plain, named = estimate(asked), estimate({**asked, "method": "native-mxfp4"})
    assert plain["candidate"]["method"] == named["candidate"]["method"] == "native"
    assert plain["weights_bytes"] == named["weights_bytes"]


def test_options_say_what_the_engine_is_told(estimate):
    asked = {"model": "Qwen/Qwen3-8B", "scheme": "BF16", "device": "H100 80GB", "engine": "vllm", "tp": 1}
    plain = estimate(asked)
    few = estimate({**asked, "engine_options": {"--max-num-seqs": 8}})
    assert few["activation_bytes"] < plain["activation_bytes"]
    drafted = estimate({**asked, "engine_options": {"speculative_config": {"model": "Qwen/Qwen3-0.6B"}}})
    # 28 layers x 2 x 8 heads x 128 x 2 bytes a token beside 36 of the same
    assert drafted["kv_cache_bytes"] == plain["kv_cache_bytes"] * (28 + 36) // 36
    assert drafted["weights_bytes"] - plain["weights_bytes"] == pytest.approx(1.12 * 2**30, rel=0.01)
    written = estimate({**asked, "engine_options": {"speculative_config": '{"model": "Qwen/Qwen3-0.6B"}'}})
    assert written["weights_bytes"] == drafted["weights_bytes"]
    adapted = estimate(
        {**asked, "engine_options": {"enable_lora": True, "max_loras": 4, "max_lora_rank": 64}}
    )
    assert adapted["weights_bytes"] > plain["weights_bytes"]
    spread = estimate(
        {
            **asked,
            "model": "Qwen/Qwen3-30B-A3B",
            "count": 4,
            "tp": 4,
            "engine_options": {"enable_expert_parallel": True},
        }
    )
    assert spread["candidate"]["ep"] == 4


def test_ranks_of_a_context_share_its_cache(estimate):
    asked = {
        "model": "moonshotai/Kimi-K2-Thinking",
        "scheme": "W4A16",
        "device": "NVIDIA H200 141GB SXM",
        "count": 8,
        "engine": "vllm",
        "context": 32768,
    }
    one = estimate(asked)
    eight = estimate({**asked, "engine_options": {"decode_context_parallel_size": 8}})
    # evidence/memory_truth.csv: 715,072 tokens become 5,721,088
    assert eight["kv_capacity_tokens"] / one["kv_capacity_tokens"] == pytest.approx(8, rel=0.001)
    assert one["kv_cache_bytes"] == pytest.approx(8 * eight["kv_cache_bytes"], rel=0.001)


def test_trained_in_four_bits_means_as_released(estimate):
    asked = {"model": "moonshotai/Kimi-K2-Thinking", "scheme": "W4A16", "method": "qat-int4"}
    found = estimate({**asked, "device": "NVIDIA H200 141GB SXM", "count": 8, "engine": "vllm"})
    assert (found["candidate"]["method"], found["candidate"]["group_size"]) == ("native", 32)


def test_sglang_takes_its_share_of_what_is_free_before_loading(estimate):
    found = estimate(
        {
            "model": "Qwen/Qwen3-235B-A22B",
            "scheme": "FP8",
            "method": "native",
            "engine": "sglang",
            "device": "NVIDIA H100 80GB SXM5",
            "count": 4,
            "context": 32768,
            "concurrency": 1,
            "engine_options": {"mem_fraction_static": 0.93},
        }
    )
    # vllm-project/vllm issue 21348: 367,404 tokens over four H100
    assert found["kv_capacity_tokens"] == pytest.approx(367_404, rel=0.1)


def test_what_the_engine_takes_unless_told_less_is_said(estimate):
    asked = {"model": "Qwen/Qwen3-8B", "scheme": "BF16", "device": "RTX 4090", "engine": "vllm"}
    assert any("40,960" in sentence for sentence in estimate(asked)["assumed"])
    assert not any("40,960" in sentence for sentence in estimate({**asked, "context": 8192})["assumed"])


def test_another_engines_option_is_said_to_be_unknown(estimate):
    asked = {"model": "Qwen/Qwen3-8B", "scheme": "Q4_K_M", "device": "RTX 4090", "engine": "llama.cpp"}
    found = estimate({**asked, "engine_options": {"max_num_seqs": 8}})
    assert any("max_num_seqs" in sentence for sentence in found["assumed"])
