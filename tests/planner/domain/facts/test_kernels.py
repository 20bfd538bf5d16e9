"""Which kernel, by engine and version, and why none."""

import pytest

from planner.domain.facts.kernels import Placement, Rulebook, find_kernel
from planner.domain.facts.versions import read_version

A6000, H100, T4, V100 = (
    "NVIDIA RTX A6000",
    "NVIDIA H100 80GB SXM5",
    "NVIDIA T4",
    "NVIDIA V100 32GB PCIe",
)


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
        "mlp.down_proj left in 16 bits",
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
    assert find_kernel(a_load(engine="notepad"), tables.rulebook) == (None, [])


def test_all_failing_rules_are_reported_not_the_first(a_load, qwen72b, tables):
    _, findings = find_kernel(
        a_load(model=qwen72b, placement=Placement(tp=3), group_size=256), tables.rulebook
    )
    codes = {found.code for found in findings}
    assert {"shape.heads_not_divisible", "shape.group_not_divisible"} <= codes


TURING, ADA, BLACKWELL, B200 = (
    "NVIDIA GeForce RTX 2080 Ti",
    "NVIDIA GeForce RTX 4090",
    "NVIDIA GeForce RTX 5090",
    "NVIDIA B200 SXM",
)


@pytest.mark.parametrize(
    ("scheme", "form", "card", "version", "outcome"),
    [
        # FP8: arithmetic from 8.9; weights only by Marlin from 0.5.1 on, which took Turing in with 0.16.
        pytest.param("FP8_DYNAMIC", "compressed-tensors", A6000, "0.5.0", "capability.too_old", id="fp8-050"),
        pytest.param(
            "FP8_DYNAMIC", "compressed-tensors", A6000, "0.5.1", "marlin fp8 (weights only)", id="fp8-051"
        ),
        pytest.param(
            "FP8_DYNAMIC", "compressed-tensors", T4, "0.14.1", "capability.too_old", id="fp8-turing-014"
        ),
        pytest.param(
            "FP8_DYNAMIC", "compressed-tensors", T4, "0.16.0", "marlin fp8 (weights only)", id="fp8-turing"
        ),
        # Block scales: Marlin takes them since 0.9.0.
        pytest.param("FP8_BLOCK", "compressed-tensors", A6000, "0.8.5", "capability.too_old", id="block-085"),
        pytest.param(
            "FP8_BLOCK", "compressed-tensors", A6000, "0.9.0", "marlin fp8 (weights only)", id="block-090"
        ),
        # 4-bit integers on Turing: compressed-tensors since 0.12.0; GPTQ by exllama before, AWQ always.
        pytest.param(
            "W4A16", "compressed-tensors", TURING, "0.11.2", "capability.too_old", id="ct-turing-011"
        ),
        pytest.param("W4A16", "compressed-tensors", TURING, "0.12.0", "marlin", id="ct-turing-012"),
        pytest.param("W4A16", "gptq", TURING, "0.5.3", "exllama gptq_gemm", id="gptq-turing-053"),
        pytest.param("W4A16", "gptq", TURING, "0.5.4", "capability.too_old", id="gptq-turing-054"),
        pytest.param("W4A16", "gptq", V100, "0.19.1", "exllama", id="gptq-volta-019"),
        pytest.param("W4A16", "gptq", V100, "", "capability.too_old", id="gptq-volta-now"),
        pytest.param("W4A16", "awq", TURING, "0.4.2", "awq gemm", id="awq-turing"),
        pytest.param("W4A16", "awq", V100, "0.4.2", "capability.too_old", id="awq-volta"),
        # 3 and 2 bits: GPTQ before 0.22; what came after needs a package of its own.
        pytest.param("W3A16", "gptq", A6000, "0.21.0", "exllama gptq_gemm", id="3-bit-gptq-021"),
        pytest.param("W3A16", "gptq", A6000, "0.22.0", "engine.cannot_load", id="3-bit-gptq-022"),
        pytest.param("W3A16", "compressed-tensors", A6000, "", "unknown.optional_kernel", id="3-bit-humming"),
        # GGUF came with 0.5.5 and went with 0.24; bitsandbytes with 0.5.0 and 0.28.
        pytest.param("Q4_K_M", "gguf", A6000, "0.5.4", "engine.version", id="gguf-054"),
        pytest.param("Q4_K_M", "gguf", A6000, "0.5.5", "ggml mmq", id="gguf-055"),
        pytest.param("Q4_K_M", "gguf", A6000, "0.24.0", "engine.cannot_load", id="gguf-024"),
        pytest.param("NF4", "bitsandbytes", A6000, "0.27.0", "bitsandbytes", id="bnb-027"),
        pytest.param("NF4", "bitsandbytes", A6000, "0.28.0", "engine.cannot_load", id="bnb-028"),
        # NVFP4 computes on Blackwell alone; sm 12.0 had no kernel before 0.10.1; other cards dequantize.
        pytest.param("NVFP4", "compressed-tensors", B200, "0.9.2", "cutlass nvfp4", id="nvfp4-b200"),
        pytest.param(
            "NVFP4", "compressed-tensors", BLACKWELL, "0.9.2", "capability.other_card", id="nvfp4-5090"
        ),
        pytest.param("NVFP4", "compressed-tensors", BLACKWELL, "", "cutlass nvfp4", id="nvfp4-5090-now"),
        pytest.param(
            "NVFP4", "compressed-tensors", H100, "0.9.2", "marlin fp4 (weights only)", id="nvfp4-hopper"
        ),
        pytest.param("NVFP4", "compressed-tensors", A6000, "0.8.5", "capability.too_old", id="nvfp4-before"),
        pytest.param(
            "NVFP4", "compressed-tensors", T4, "0.14.1", "capability.too_old", id="nvfp4-turing-014"
        ),
        pytest.param(
            "NVFP4", "compressed-tensors", T4, "", "marlin fp4 (weights only)", id="nvfp4-turing-now"
        ),
    ],
)
def test_what_vllm_loads_by_version(a_load, tables, scheme, form, card, version, outcome):
    group = 128 if scheme.startswith("W") else None
    load = a_load(scheme, form, card=card, group_size=group, version=read_version(version))
    kernel, findings = find_kernel(load, tables.rulebook)
    assert outcome in {finding.code for finding in findings} | {kernel.name if kernel else ""}
    refused = [finding for finding in findings if not finding.is_unknown]
    assert bool(refused) == ("." in outcome and not outcome.startswith("unknown."))
    assert all(finding.way_out for finding in refused)


@pytest.mark.parametrize(
    ("engine", "version", "loads"),
    [
        # 4160 / 1 = 32.5 tiles of 128 columns: padded by vLLM since 0.24, refused by SGLang and by Marlin before.
        pytest.param("vllm", "", True, id="vllm-now"),
        pytest.param("vllm", "0.24.0", True, id="vllm-024"),
        pytest.param("vllm", "0.6.3", False, id="vllm-063"),
        pytest.param("sglang", "", False, id="sglang"),
    ],
)
def test_tiles_are_padded_by_new_vllm_alone(a_load, tables, engine, version, loads):
    load = a_load(engine=engine, intermediate_size=4160, group_size=64, version=read_version(version))
    kernel, findings = find_kernel(load, tables.rulebook)
    assert (kernel is not None) == loads
    if not loads:
        assert [finding.code for finding in findings] == ["shape.not_multiple"]
        assert "4160 columns on a rank / 128 = 32.5" in findings[0].message


@pytest.mark.parametrize(
    ("card", "version", "loads"),
    [
        pytest.param("NVIDIA P100 16GB PCIe", "0.6.3", False, id="pascal"),
        pytest.param(V100, "0.19.1", True, id="volta-019"),
        pytest.param(V100, "0.21.0", False, id="volta-021"),
        pytest.param(T4, "", True, id="turing"),
    ],
)
def test_vllm_itself_asks_for_a_capability(a_load, tables, card, version, loads):
    load = a_load("F16", "safetensors", card=card, group_size=None, version=read_version(version))
    kernel, findings = find_kernel(load, tables.rulebook)
    assert (kernel is not None, not findings) == (loads, loads)


def test_a_refused_version_names_the_versions_that_load(a_load, tables):
    load = a_load("FP8_DYNAMIC", group_size=None, card=A6000, version=(0, 4, 2))
    _, findings = find_kernel(load, tables.rulebook)
    assert "vllm from 0.5.1 on" in findings[0].way_out


@pytest.mark.parametrize(
    ("version", "code"),
    [
        pytest.param("0.6.3", "engine.unknown_model", id="before"),
        pytest.param("0.8.2", "unknown.model_support", id="by-way-of-transformers"),
        pytest.param("0.8.5", None, id="known"),
        pytest.param("", None, id="now"),
    ],
)
def test_models_that_a_version_does_not_know(a_load, a_model, tables, version, code):
    model = a_model(architecture="Qwen3ForCausalLM")
    load = a_load("BF16", "safetensors", model=model, group_size=None, version=read_version(version))
    _, findings = find_kernel(load, tables.rulebook)
    assert [finding.code for finding in findings] == ([code] if code else [])


@pytest.mark.parametrize(
    ("architecture", "version", "code"),
    [
        pytest.param("QWenLMHeadModel", "0.23.0", None, id="its-last"),
        pytest.param("QWenLMHeadModel", "0.24.0", "engine.unknown_model", id="dropped"),
        pytest.param("QWenLMHeadModel", "", "engine.unknown_model", id="dropped-now"),
        pytest.param("MadeUpForCausalLM", "", "unknown.model_support", id="named-nowhere"),
    ],
)
def test_models_that_an_engine_dropped_or_never_knew(a_load, a_model, tables, architecture, version, code):
    model = a_model(architecture=architecture)
    load = a_load("F16", "safetensors", model=model, group_size=None, version=read_version(version))
    _, findings = find_kernel(load, tables.rulebook)
    assert [finding.code for finding in findings] == ([code] if code else [])


def test_a_fork_without_rules_is_not_judged_by_its_parent(a_load, tables):
    assert find_kernel(a_load(engine="vllm-ascend"), tables.rulebook)[0] is None


def test_rows_that_are_facts_judge_nothing(tables):
    assert "gptqmodel" in tables.rulebook
    assert all(rule.role != "fact" for rule in tables.rulebook.rules_of("gptqmodel"))
    assert "notepad" not in Rulebook(())


@pytest.mark.parametrize(
    ("version", "group", "codes"),
    [
        pytest.param("0.28.0", 128, [], id="taken"),
        pytest.param("0.29.0", 128, ["unknown.engine_rule"], id="not-read"),
        pytest.param("0.30.0", 128, ["scheme.act_order"], id="refused"),
        pytest.param("", None, [], id="one-scale-a-row"),
    ],
)
def test_act_order_with_groups_went_from_vllm(a_load, tables, version, group, codes):
    load = a_load(form="gptq", act_order=True, group_size=group, version=read_version(version))
    assert [finding.code for finding in find_kernel(load, tables.rulebook)[1]] == codes


def test_act_order_is_not_split_over_ranks_by_exllama(a_load, tables):
    one, two = (
        a_load(form="gptq", engine="tgi", card=T4, act_order=True, placement=Placement(tp=tp))
        for tp in (1, 2)
    )
    assert find_kernel(one, tables.rulebook)[0].name == "exllama or triton"
    kernel, findings = find_kernel(two, tables.rulebook)
    assert kernel is None
    assert "scheme.act_order_over_ranks" in {finding.code for finding in findings}


@pytest.mark.parametrize(
    ("scheme", "version", "outcome"),
    [
        pytest.param("W8A8", "0.8.5", "engine.cannot_load", id="integers-before"),
        pytest.param("W8A8", "0.9.0", "cutlass int8", id="integers"),
        pytest.param("FP8_DYNAMIC", "0.8.5", "capability.too_old", id="fp8-on-ampere-before"),
        pytest.param("FP8_DYNAMIC", "0.9.0", "marlin moe fp8 (weights only)", id="fp8-on-ampere"),
        pytest.param("W4A16", "0.6.1", "engine.cannot_load", id="4-bit-before"),
        pytest.param("W4A16", "0.6.3", "marlin moe", id="4-bit"),
    ],
)
def test_kernels_for_experts_came_scheme_by_scheme(a_load, a_model, tables, scheme, version, outcome):
    experts = {"num_experts": 8, "experts_per_token": 2, "moe_intermediate_size": 4096}
    model = a_model(architecture="MixtralForCausalLM", params_total=1, **experts)
    load = a_load(
        scheme, model=model, group_size=128 if scheme == "W4A16" else None, version=read_version(version)
    )
    kernel, findings = find_kernel(load, tables.rulebook)
    assert outcome in {finding.code for finding in findings} | {kernel.name if kernel else ""}


def test_a_package_mends_nothing_that_is_refused(a_load, qwen72b, tables):
    load = a_load("W3A16", model=qwen72b, placement=Placement(tp=2))
    assert {finding.code for finding in find_kernel(load, tables.rulebook)[1]} == {
        "shape.group_not_divisible"
    }
