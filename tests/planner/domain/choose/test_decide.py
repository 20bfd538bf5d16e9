"""A decision body: complete, pure, and honest about what does not fit."""

import gc
import json
import re
from dataclasses import replace

import pytest

from planner.domain.canonical import as_plain, canonical_json
from planner.domain.choose.candidates import enumerate_candidates
from planner.domain.choose.decide import decide
from planner.domain.errors import BadInput
from planner.domain.facts.evidence import EvidenceBase


@pytest.fixture(scope="session")
def qwen_plan(plan_inputs, qwen72b, a_target):
    return decide(plan_inputs(qwen72b, a_target(count=2), schemes=()))


NAMING = ("scheme", "method", "format", "group_size", "engine", "tp", "pp", "dp")


def placement_of(item):
    return (*(item[name] for name in NAMING), bool(item.get("prebuilt")))


def test_the_same_inputs_give_the_same_bytes(plan_inputs, qwen72b, a_target, qwen_plan):
    again = decide(plan_inputs(qwen72b, a_target(count=2), schemes=()))
    assert canonical_json(again) == canonical_json(qwen_plan)


def test_every_candidate_is_chosen_an_alternative_or_rejected(plan_inputs, qwen72b, a_target, qwen_plan):
    inputs = plan_inputs(qwen72b, a_target(count=2), schemes=())
    candidates = enumerate_candidates(inputs.request, qwen72b, inputs.target, inputs.tables)
    told = {
        placement_of(item)
        for item in (qwen_plan["chosen"], *qwen_plan["alternatives"], *qwen_plan["rejected"])
    }
    assert len(told) == len(candidates)


def test_qwen_72b_at_group_128_is_rejected_by_name_with_its_numbers(qwen_plan):
    rejected = next(
        item
        for item in qwen_plan["rejected"]
        if placement_of(item) == ("W4A16", "gptq", "compressed-tensors", 128, "vllm", 2, 1, 1, False)
    )
    assert rejected["code"] == "shape.group_not_divisible"
    assert rejected["numbers"]["columns_per_rank"] == 14784
    assert rejected["numbers"]["groups_per_rank"] == 115.5
    assert rejected["way_out"] == [
        "group 64 or 32",
        "2 replicas at tensor parallel 1",
        "pipeline parallel 2",
        "mlp.down_proj left in 16 bits",
        "a checkpoint padded to intermediate size 29696",
    ]
    assert rejected["source"]


def test_16_bits_are_never_called_a_fit_there(qwen_plan):
    taken = [qwen_plan["chosen"], *qwen_plan["alternatives"]]
    assert "BF16" not in {item["scheme"] for item in taken}
    assert {item["code"] for item in qwen_plan["rejected"] if item["scheme"] == "BF16"} == {"memory.over_by"}


def test_what_is_taken_fits_and_says_how_to_serve_it(qwen_plan):
    for item in (qwen_plan["chosen"], *qwen_plan["alternatives"]):
        assert item["memory"]["fits"] is True
        assert item["kernel"]
        command = next(word for word in item["serve"].split() if "=" not in word)
        assert command in {"vllm", "llama-server", "transformers"}
        assert item["why"]


def test_the_serve_command_carries_every_flag_that_memory_depends_on(qwen_plan):
    served = next(
        item for item in (qwen_plan["chosen"], *qwen_plan["alternatives"]) if item["engine"] == "vllm"
    )
    for flag in ("--max-model-len 8192", "--gpu-memory-utilization 0.90", "--max-num-batched-tokens 2048"):
        assert flag in served["serve"]


def test_without_evidence_no_quality_is_invented(qwen_plan):
    for item in (qwen_plan["chosen"], *qwen_plan["alternatives"]):
        if item["method"] != "none":
            assert {found["basis"] for found in item["quality"].values()} == {"insufficient"}
            assert {found["expected_delta"] for found in item["quality"].values()} == {None}


MADE_FROM_TUNED = "made from Qwen2.5-72B-Instruct; you asked for"


@pytest.mark.parametrize(
    ("asked", "is_told"),
    [
        pytest.param("Qwen/Qwen2.5-72B", True, id="the base model was asked for"),
        pytest.param("Qwen/Qwen2.5-72B-Instruct", False, id="the tuned one was asked for"),
        pytest.param("someone/Qwen2.5-72B-Law", True, id="another tuning was asked for"),
    ],
)
def test_a_published_checkpoint_of_another_tuning_is_told(plan_inputs, qwen72b, a_target, asked, is_told):
    body = decide(replace(plan_inputs(qwen72b, a_target(count=2), schemes=()), model_id=asked))
    offered = [item["prebuilt"]["repo"] for item in body["alternatives"] if item.get("prebuilt")]
    told = [warning for warning in body["warnings"] if MADE_FROM_TUNED in warning]
    assert offered
    assert bool(told) is is_told
    assert all(repo in warning for warning in told for repo in offered)


def test_every_published_checkpoint_says_what_it_was_made_from(tables):
    assert {row.made_from for row in tables.prebuilt} == {"Qwen2.5-72B-Instruct", "Qwen2-72B-Instruct"}


def test_unknown_is_never_chosen(plan_inputs, a_model, a_target):
    # No row says what vLLM does with FP8 on RDNA 3.
    body = decide(plan_inputs(a_model(), a_target("AMD Radeon RX 7900 XTX", count=2)))
    assert "unknown.engine_rule" in {item["code"] for item in body["rejected"]}
    for item in filter(None, (body["chosen"], *body["alternatives"])):
        assert item["kernel"] is not None
        assert (item["engine"], item["scheme"]) != ("vllm", "FP8_DYNAMIC")


def test_context_beyond_the_maximum_is_refused(plan_inputs, a_model, a_target):
    with pytest.raises(BadInput, match=r"32,768 tokens, 40,000") as caught:
        decide(plan_inputs(a_model(), a_target(), context_tokens=40_000))
    assert caught.value.code == "context.beyond_maximum"


def test_a_layout_that_is_not_covered_is_refused_not_guessed(plan_inputs, a_model, a_target):
    with pytest.raises(BadInput) as caught:
        decide(plan_inputs(a_model(attention="hybrid-mamba"), a_target()))
    assert caught.value.code == "model.layout_not_covered"


def test_when_nothing_fits_the_answer_says_what_would(plan_inputs, qwen72b, a_target):
    body = decide(plan_inputs(qwen72b, a_target("NVIDIA T4")))
    assert body["chosen"] is None
    assert body["alternatives"] == []
    assert body["would_fit"]
    for option in body["would_fit"]:
        assert set(option) >= {"change", "target", "candidate"}
    assert body["rejected"]


def test_layers_in_host_memory_are_a_way_out_with_their_price(plan_inputs, qwen72b, a_target):
    told = decide(plan_inputs(qwen72b, a_target("NVIDIA GeForce RTX 3090")))["would_fit"]
    change = next(option["change"] for option in told if "host memory" in option["change"])
    found = re.fullmatch(r"(\d+) of 80 layers in ([\d.]+) GiB of host memory", change)
    assert found is not None, change
    layers, gib = int(found[1]), float(found[2])
    assert 0 < layers < 80
    # Q4_K_M: as large a share of its 44 GiB as of its layers, their cache beside
    assert gib > 44 * layers / 80


def test_layers_in_host_memory_are_no_way_out_where_that_is_too_small(plan_inputs, qwen72b, a_target):
    target = replace(a_target("NVIDIA GeForce RTX 3090"), ram_bytes=8 * 2**30)
    told = decide(plan_inputs(qwen72b, target))["would_fit"]
    assert not any("host memory" in option["change"] for option in told)


def test_the_body_is_json_as_it_stands(qwen_plan):
    assert json.dumps(as_plain(qwen_plan), allow_nan=False)


@pytest.mark.parametrize(
    ("model_id", "card", "count"),
    [
        pytest.param("Qwen/Qwen2.5-72B", "NVIDIA RTX A6000", 2, id="published checkpoints"),
        pytest.param("Qwen/Qwen2.5-0.5B", "NVIDIA H100 80GB SXM5", 1, id="a small model"),
        pytest.param("openai/gpt-oss-20b", "NVIDIA GeForce RTX 4090", 2, id="released in four bits"),
        pytest.param("Qwen/Qwen2.5-72B", "Apple M2 Max 96GB", 1, id="unified memory"),
    ],
)
def test_what_is_filled_in_is_canonical(plan_inputs, catalogue_model, a_target, model_id, card, count):
    body = decide(plan_inputs(catalogue_model(model_id), a_target(card, count=count), schemes=()))
    assert body["alternatives"]
    for item in (body["chosen"], *body["alternatives"]):
        assert canonical_json(item.read()) == item.text


@pytest.mark.parametrize(
    ("schemes", "method"), [((), "native"), (("W4A16",), "gptq")], ids=["nothing-named", "by-name"]
)
def test_weights_released_in_four_bits_are_quantized_again_only_by_name(
    plan_inputs, catalogue_model, a_target, schemes, method
):
    target = a_target("NVIDIA H100 80GB SXM5")
    body = decide(plan_inputs(catalogue_model("openai/gpt-oss-120b"), target, schemes=schemes))
    assert body["chosen"]["method"] == method
    again = [item for item in body["rejected"] if item["code"] == "policy.already_quantized"]
    assert bool(again) is not bool(schemes)
    assert all("released in MXFP4" in item["message"] for item in again)


def test_where_nothing_reads_the_released_weights_they_are_quantized_again(
    plan_inputs, catalogue_model, a_target
):
    body = decide(
        plan_inputs(catalogue_model("openai/gpt-oss-20b"), a_target("Apple M2 Max 96GB"), schemes=())
    )
    assert body["chosen"]["engine"] == "llama.cpp"


def test_nothing_holds_on_to_evidence_that_newer_has_replaced(qwen72b, a_target, plan_inputs):
    for number in range(3):
        evidence = EvidenceBase(version=f"replaced {number}")
        decide(plan_inputs(qwen72b, a_target(count=2), evidence=evidence))
    del evidence
    gc.collect()
    bases = [item for item in gc.get_objects() if type(item) is EvidenceBase]
    assert [base for base in bases if base.version.startswith("replaced")] == []
