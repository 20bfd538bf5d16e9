"""Every condition has a load that it holds for and one that it does not, with its arithmetic and a way out."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from planner.domain.facts.conditions import PREDICATES
from planner.domain.facts.kernels import OTHER_KERNEL, OTHER_VENDOR, Placement
from planner.domain.facts.model import StateSpace

DATA = Path(__file__).parents[4] / "data"
H100, A6000, MI300X = "NVIDIA H100 80GB SXM5", "NVIDIA RTX A6000", "AMD Instinct MI300X"
TP2, TP64 = {"placement": Placement(tp=2)}, {"placement": Placement(tp=64)}
MIXTURE = {"mixture": True}
"""Stands for the fixture of that name, which a table cannot hold."""
LINEAR = {"linear_key_heads": 16, "linear_value_heads": 32, "linear_value_dim": 128, "linear_key_dim": 128}
MAMBA = {"state_space": StateSpace(heads=64, head_dim=64, state=128, conv=4, groups=8)}
"""Fields of models with layers of another kind."""

CASES = [
    # condition, argument, fields that it holds for, fields that it does not, code, a part of the sentence
    ("vendor_in", "nvidia", {}, {"card": MI300X}, OTHER_VENDOR, "is amd"),
    ("vendor_not_in", "amd|cpu", {}, {"card": MI300X}, "capability.other_device", "amd devices"),
    ("architecture_has", "CDNA 3", {"card": MI300X}, {}, OTHER_VENDOR, "Ampere"),
    ("min_sm", "89", {"card": H100}, {"card": A6000}, "capability.too_old", "needs compute capability 8.9"),
    ("sm_in", "90|100-103", {"card": H100}, {"card": A6000}, "capability.too_old", "9.0 or 10.0 to 10.3"),
    (
        "kv_min_sm",
        "fp8:89",
        {"kv_dtype": "auto"},
        {"kv_dtype": "fp8"},
        "kv.too_old",
        "from compute capability 8.9",
    ),
    ("group_in", "64|128", {}, {"group_size": 32}, "shape.group_size_unsupported", "64, 128"),
    ("group_multiple", "32", {}, {"group_size": 48}, "shape.group_size_unsupported", "48 / 32 = 1.5"),
    ("has_groups", "", {}, {"group_size": None}, "shape.group_size_unsupported", "not one scale a row"),
    (
        "group_within_rank",
        "",
        TP2,
        TP64,
        "shape.group_not_divisible",
        "4096 / 64 = 64 columns a rank is 0.5 groups",
    ),
    (
        "group_divides_columns",
        "",
        {},
        {"intermediate_size": 4160},
        "shape.group_not_divisible",
        "32.5 groups of 128",
    ),
    (
        "rank_columns_multiple",
        "128",
        TP2,
        TP64,
        "shape.not_multiple",
        "4096 / 64: 64 columns on a rank / 128 = 0.5",
    ),
    # gate and up together: 2 x 4112 = 8224 rows
    (
        "rank_rows_multiple",
        "64",
        TP2,
        {"intermediate_size": 4112},
        "shape.not_multiple",
        "8224 rows on a rank / 64",
    ),
    ("row_multiple", "32", TP64, {"intermediate_size": 4112}, "shape.not_multiple", "4112 / 32 = 128.5"),
    ("hidden_multiple", "128", {}, MIXTURE, "shape.not_multiple", "1088 / 128 = 8.5"),
    (
        "expert_columns_multiple",
        "64",
        {},
        MIXTURE,
        "shape.not_multiple",
        "4128 columns on a rank / 64 = 64.5",
    ),
    (
        "block_within_rank",
        "128",
        TP2,
        TP64,
        "shape.block_not_divisible",
        "4096 / 64 = 64 is 0.5 blocks of 128",
    ),
    (
        "experts_divide_ep",
        "",
        {**MIXTURE, "placement": Placement(tp=4, ep=4)},
        {**MIXTURE, "placement": Placement(tp=3, ep=3)},
        "shape.experts_not_divisible",
        "8 / 3 = 2.66667",
    ),
    (
        "heads_divide_tp",
        "",
        TP2,
        {"placement": Placement(tp=3)},
        "shape.heads_not_divisible",
        "16 / 3 = 5.33",
    ),
    (
        "kv_heads_fit_tp",
        "",
        TP2,
        {"placement": Placement(tp=6)},
        "shape.kv_heads_not_divisible",
        "6 / 4 = 1.5",
    ),
    ("pp_within_layers", "", {}, {"placement": Placement(pp=8)}, "shape.more_stages_than_layers", "4 layers"),
    ("is_dense", "", {}, MIXTURE, OTHER_KERNEL, "8 experts"),
    ("is_mixture", "", MIXTURE, {}, OTHER_KERNEL, "mixtures"),
    ("architecture_in", "LlamaForCausalLM", {}, MIXTURE, OTHER_KERNEL, "LlamaForCausalLM"),
    ("is_symmetric", "", {}, {"symmetric": False}, "scheme.asymmetric", "zero points"),
    ("no_act_order", "", {}, {"act_order": True}, "scheme.act_order", "desc_act"),
    ("act_order_is_on", "", {"act_order": True}, {}, OTHER_KERNEL, "with groups"),
    (
        "no_grouped_act_order",
        "",
        {"act_order": True, "group_size": None},
        {"act_order": True},
        "scheme.act_order",
        "groups of 128",
    ),
    (
        "linear_heads_divide_tp",
        "",
        {"of": LINEAR, **TP2},
        {"of": LINEAR, "placement": Placement(tp=3)},
        "shape.heads_not_divisible",
        "16 key heads of linear attention do not divide over tensor parallel 3",
    ),
    (
        "state_space_divides_tp",
        "",
        {"of": MAMBA, **TP2},
        {"of": MAMBA, "placement": Placement(tp=16)},
        "shape.heads_not_divisible",
        "8 groups of state-space layers do not divide over tensor parallel 16 (8 / 16 = 0.5)",
    ),
    (
        "no_act_order_over_ranks",
        "",
        {"act_order": True},
        {"act_order": True, **TP2},
        "scheme.act_order_over_ranks",
        "groups of 128 and tensor parallel 2",
    ),
    ("kv_dtype_in", "auto|f16", {}, {"kv_dtype": "fp8"}, "kv.unsupported", "fp8"),
    ("is_latent", "", {"of": {"kv_lora_rank": 512}}, {}, OTHER_KERNEL, "latent attention"),
    ("tp_is_one", "", {}, TP2, "engine.no_tensor_parallel", "tensor parallel 2"),
    (
        "pp_architecture_in",
        "LlamaForCausalLM|GPT2LMHeadModel",
        {"placement": Placement(pp=2)},
        {**MIXTURE, "placement": Placement(pp=2)},
        "engine.no_pipeline_parallel",
        "MixtralForCausalLM by no layer",
    ),
    ("tp_is_split", "", TP2, {}, OTHER_KERNEL, "tensor parallelism"),
    (
        "pp_is_one",
        "",
        {},
        {"placement": Placement(pp=2)},
        "engine.no_pipeline_parallel",
        "pipeline parallel 2",
    ),
]


@pytest.fixture(scope="session")
def build(a_load, a_model, mixture):
    def with_model(fields):
        named = {name: value for name, value in fields.items() if name not in {"mixture", "of"}}
        model = a_model(params_total=1, **fields["of"]) if "of" in fields else None
        return a_load(model=mixture if "mixture" in fields else model, **named)

    return with_model


@pytest.mark.parametrize(
    ("name", "argument", "holds", "fails", "code", "part"), CASES, ids=[c[0] for c in CASES]
)
def test_a_condition_holds_or_says_why_not(build, name, argument, holds, fails, code, part):
    assert PREDICATES[name](build(holds), argument) is None
    finding = PREDICATES[name](build(fails), argument)
    assert finding is not None
    assert finding.code == code
    assert part in finding.message


def test_ranks_that_split_no_whole_columns_are_told_so(build, a_model):
    load = build({"of": {"hidden_size": 8192, "num_heads": 64, "head_dim": 128, "num_kv_heads": 8}})
    finding = PREDICATES["rank_rows_multiple"](replace(load, placement=Placement(tp=3)), "1")
    assert finding is not None
    assert "no whole number" in finding.message
    assert "multiple of 1" not in finding.message


def test_every_condition_has_a_case():
    assert {case[0] for case in CASES} == set(PREDICATES)


def test_every_condition_is_named_by_a_row():
    with (DATA / "engine_rules.csv").open(encoding="utf-8", newline="") as file:
        conditions = ";".join(row["conditions"] for row in csv.DictReader(file))
    named = {part.partition("=")[0] for part in conditions.split(";") if part}
    assert named == set(PREDICATES)


def test_a_refusal_of_shape_has_a_way_out(build):
    for name, argument, _, fails, code, _ in CASES:
        if code.startswith("shape.") and name != "hidden_multiple":
            assert PREDICATES[name](build(fails), argument).way_out, name


def test_layers_left_in_16_bits_are_not_looked_at(build):
    odd = build({"intermediate_size": 4160})
    assert PREDICATES["group_divides_columns"](odd, "").numbers["columns"] == 4160
    assert (
        PREDICATES["group_divides_columns"](replace(odd, in_16_bits=frozenset({"mlp.down_proj"})), "") is None
    )


def test_other_makers_cards_have_no_compute_capability(build):
    assert PREDICATES["min_sm"](build({"card": MI300X}), "89") is None


def test_a_card_of_unknown_capability_is_unknown(build):
    load = build({})
    unknown = replace(load, device=replace(load.device, sm=None))
    assert PREDICATES["min_sm"](unknown, "80").is_unknown


def test_latent_projections_are_on_every_rank_and_not_split(build, a_model):
    # DeepSeek-V3's latent 512 + 64 = 576 is no multiple of 128, and loads: it is no tensor-parallel layer.
    latent = a_model(
        attention="mla",
        kv_lora_rank=512,
        q_lora_rank=1536,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        params_total=1,
    )
    load = replace(build({}), model=latent, placement=Placement(tp=2))
    assert PREDICATES["block_within_rank"](load, "128") is None


@pytest.mark.parametrize(("tp", "width"), [(2, 160), (4, 80), (8, 40)])
def test_narrow_experts_in_blocks_of_128_load_on_no_number_of_ranks(build, a_model, tp, width):
    # Qwen3.8-Flash-Next: experts of 320 columns, reported at tensor parallel 2, 4 and 8.
    model = a_model(
        num_experts=8, experts_per_token=2, moe_intermediate_size=320, num_kv_heads=16, params_total=1
    )
    load = replace(build({}), model=model, placement=Placement(tp=tp))
    finding = PREDICATES["block_within_rank"](load, "128")
    assert f"320 / {tp} = {width}" in finding.message
    assert "expert parallel" in finding.way_out
