"""Which kernel, and why none: every predicate has a case that holds and one that does not."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from planner.domain.facts.kernels import PREDICATES, Load, Placement, find_kernel
from planner.domain.facts.model import ModelFacts

DATA = Path(__file__).parents[4] / "data"
A6000, H100, T4, V100 = (
    "NVIDIA RTX A6000",
    "NVIDIA H100 80GB SXM5",
    "NVIDIA T4",
    "NVIDIA V100 32GB PCIe",
)


@pytest.fixture(scope="session")
def a_load(tables, a_device, a_model):
    """What an engine is asked to load: W4A16 with groups of 128 in vLLM on one RTX A6000."""

    def build(
        scheme="W4A16", form="compressed-tensors", *, engine="vllm", card=A6000, model=None, **fields
    ) -> Load:
        model = model or a_model()
        return Load(
            **{
                "engine": engine,
                "model": model,
                "scheme": tables.schemes[scheme, form],
                "method": "gptq",
                "group_size": 128,
                "placement": Placement(),
                "device": a_device(card),
                "intermediate_size": model.intermediate_size,
                **fields,
            }
        )

    return build


MIXTURE = ModelFacts(
    model_id="test/mixture",
    family="test",
    architecture="MixtralForCausalLM",
    hidden_size=1088,  # 8.5 times 128
    num_layers=4,
    num_heads=16,
    num_kv_heads=4,
    head_dim=64,
    intermediate_size=0,
    vocab_size=32000,
    tie_embeddings=False,
    max_position=4096,
    attention="gqa",
    num_experts=8,
    experts_per_token=2,
    moe_intermediate_size=4096,
    params_total=1,
)

CASES = [
    # predicate, argument, fields that hold, fields that do not, code of the finding
    pytest.param(
        "vendor_in", "nvidia", {}, {"card": "AMD Instinct MI300X"}, "engine.other_vendor", id="vendor"
    ),
    pytest.param("min_sm", "89", {"card": H100}, {"card": A6000}, "capability.too_old", id="capability"),
    pytest.param("sm_is", "90", {"card": H100}, {"card": A6000}, "capability.other_kernel", id="exactly"),
    pytest.param(
        "group_in", "64|128", {}, {"group_size": 32}, "shape.group_size_unsupported", id="group-size"
    ),
    pytest.param(
        "group_within_rank",
        "",
        # 4096 / 2 = 2048 columns a rank are 16 groups of 128; 4096 / 64 = 64 are half a group
        {"placement": Placement(tp=2)},
        {"placement": Placement(tp=64)},
        "shape.group_not_divisible",
        id="group-within-a-rank",
    ),
    pytest.param(
        "group_divides_columns",
        "",
        {},
        {"intermediate_size": 4100},
        "shape.group_not_divisible",
        id="whole-groups",
    ),
    pytest.param(
        "rank_rows_multiple",
        "128",
        {"placement": Placement(tp=2)},
        {"placement": Placement(tp=64)},
        "shape.rows_not_multiple",
        id="rows-a-rank",
    ),
    pytest.param(
        "heads_divide_tp",
        "",
        {"placement": Placement(tp=8)},
        {"placement": Placement(tp=3)},
        "shape.heads_not_divisible",
        id="heads",
    ),
    pytest.param(
        "kv_heads_fit_tp",
        "",
        {"placement": Placement(tp=8)},
        {"placement": Placement(tp=6)},
        "shape.kv_heads_not_divisible",
        id="kv-heads",
    ),
    pytest.param("is_dense", "", {}, {"model": MIXTURE}, "engine.other_kernel", id="dense-layers"),
    pytest.param("is_mixture", "", {"model": MIXTURE}, {}, "engine.other_kernel", id="experts"),
    pytest.param(
        "hidden_multiple", "128", {}, {"model": MIXTURE}, "shape.rows_not_multiple", id="hidden-size"
    ),
    pytest.param(
        "tp_is_one", "", {}, {"placement": Placement(tp=2)}, "engine.no_tensor_parallel", id="layers-only"
    ),
    pytest.param(
        "pp_within_layers",
        "",
        {"placement": Placement(pp=8), "model": replace(MIXTURE, num_layers=8)},
        {"placement": Placement(pp=8), "model": MIXTURE},
        "shape.more_stages_than_layers",
        id="stages",
    ),
    pytest.param("kv_dtype_in", "auto|f16", {}, {"kv_dtype": "fp8"}, "kv.unsupported", id="kv-dtype"),
]


@pytest.mark.parametrize(("name", "argument", "holds", "fails", "code"), CASES)
def test_a_predicate_holds_or_says_why_not(a_load, name, argument, holds, fails, code):
    assert PREDICATES[name](a_load(**holds), argument) is None
    finding = PREDICATES[name](a_load(**fails), argument)
    assert finding is not None
    assert finding.code == code
    assert finding.message


def test_every_predicate_has_a_case():
    assert {case.values[0] for case in CASES} == set(PREDICATES)


def test_every_predicate_is_named_by_a_rule():
    with (DATA / "engine_rules.csv").open(encoding="utf-8", newline="") as file:
        conditions = ";".join(row["conditions"] for row in csv.DictReader(file))
    named = {part.partition("=")[0] for part in conditions.split(";") if part}
    assert named == set(PREDICATES)


def test_groups_of_128_straddle_two_ranks_of_qwen_72b(a_load, qwen72b, tables):
    # 29568 / 2 = 14784 columns a rank; 14784 / 128 = 115.5 groups; the next width that divides is 116 x 256.
    kernel, findings = find_kernel(a_load(model=qwen72b, placement=Placement(tp=2)), tables.rulebook)
    assert kernel is None
    straddling = next(found for found in findings if found.code == "shape.group_not_divisible")
    assert "29568 / 2 = 14784" in straddling.message
    assert "115.5 groups of 128" in straddling.message
    assert straddling.numbers["columns_per_rank"] == 14784
    assert straddling.numbers["groups_per_rank"] == 115.5
    assert straddling.way_out == (
        "group 64 or 32",
        "2 replicas at tensor parallel 1",
        "pipeline parallel 2",
        "a checkpoint padded to intermediate size 29696",
    )
    assert straddling.source


@pytest.mark.parametrize(
    ("fields", "loads"),
    [
        pytest.param({"group_size": 64, "placement": Placement(tp=2)}, True, id="group-64"),  # 231 groups
        pytest.param({"group_size": 32, "placement": Placement(tp=2)}, True, id="group-32"),  # 462 groups
        pytest.param({"placement": Placement(dp=2)}, True, id="replicas"),
        pytest.param({"placement": Placement(pp=2)}, True, id="pipeline"),
        pytest.param({"placement": Placement(tp=2), "intermediate_size": 29696}, True, id="padded"),
        pytest.param({"placement": Placement(tp=2)}, False, id="as-it-is"),
    ],
)
def test_every_way_out_of_it_loads(a_load, qwen72b, tables, fields, loads):
    kernel, findings = find_kernel(
        a_load(**{"model": qwen72b, "intermediate_size": 29568, **fields}), tables.rulebook
    )
    assert (kernel is not None, not findings) == (loads, loads)


@pytest.mark.parametrize(
    ("card", "kernel", "native"),
    [
        # vLLM: FP8 tensor cores from 8.9; below that Marlin dequantizes FP8 weights, from 7.5.
        pytest.param(H100, "cutlass fp8", True, id="hopper"),
        pytest.param(A6000, "marlin fp8 (weights only)", False, id="ampere"),
        pytest.param(T4, "marlin fp8 (weights only)", False, id="turing"),
    ],
)
def test_fp8_computes_in_fp8_only_where_the_card_can(a_load, tables, card, kernel, native):
    found, findings = find_kernel(a_load("FP8_DYNAMIC", card=card, group_size=None), tables.rulebook)
    assert findings == []
    assert (found.name, found.native) == (kernel, native)


def test_fp8_needs_turing_at_least(a_load, tables):
    kernel, findings = find_kernel(a_load("FP8_DYNAMIC", card=V100, group_size=None), tables.rulebook)
    assert kernel is None
    assert findings[0].code == "capability.too_old"
    assert "7.5" in findings[0].message
    assert "7.0" in findings[0].message


def test_the_fastest_kernel_that_holds_is_taken(a_load, tables):
    assert find_kernel(a_load(card=H100), tables.rulebook)[0].name == "machete"
    assert find_kernel(a_load(card=A6000), tables.rulebook)[0].name == "marlin"


def test_vllm_loads_no_gguf_and_says_so(a_load, tables):
    kernel, findings = find_kernel(a_load("Q4_K_M", "gguf", group_size=None), tables.rulebook)
    assert kernel is None
    assert [found.code for found in findings] == ["engine.cannot_load"]


def test_what_no_rule_covers_is_unknown_not_allowed(a_load, tables):
    assert find_kernel(a_load(engine="sglang"), tables.rulebook) == (None, [])


def test_all_failing_rules_are_reported_not_the_first(a_load, qwen72b, tables):
    _, findings = find_kernel(
        a_load(model=qwen72b, placement=Placement(tp=3), group_size=256), tables.rulebook
    )
    codes = {found.code for found in findings}
    assert {"shape.heads_not_divisible", "shape.group_not_divisible"} <= codes
