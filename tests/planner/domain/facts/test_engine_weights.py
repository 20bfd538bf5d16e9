"""What one rank's allocator holds: printed figures of vLLM, and each cause by hand."""

from dataclasses import replace

import pytest

from planner.domain.facts.engine_weights import engine_rank_bytes, is_repacked
from planner.domain.facts.scheme import nominal_scheme
from planner.domain.facts.storage import rank_bytes
from planner.domain.units import GIB, MIB


@pytest.fixture(scope="session")
def rank_of(tables, catalogue_model):
    """Bytes of one rank of a catalogue model."""

    def build(model_id, scheme="BF16", form="safetensors", group_size=None, *, tp=1, ep=1):
        row = tables.schemes[scheme, form]
        for native in tables.native:
            if (native.model_id, native.scheme, native.format) == (model_id, scheme, form):
                row = replace(row, left=native.left, left_ends=native.left_ends)
        return engine_rank_bytes(catalogue_model(model_id), row, group_size, tp=tp, ep=ep)

    return build


@pytest.mark.parametrize(
    ("asked", "printed_gib"),
    [
        # evidence/memory_truth.csv, kind vllm-weights, each with its engine's version
        pytest.param({"model_id": "Qwen/Qwen2-7B"}, 14.2488, id="Qwen2-7B-0.10.1.1"),
        pytest.param({"model_id": "Qwen/Qwen2-7B", "tp": 2}, 7.1217, id="Qwen2-7B-over-two-0.10.1.1"),
        pytest.param({"model_id": "meta-llama/Llama-3.1-8B"}, 14.9888, id="Llama-3.1-8B-0.6"),
        pytest.param(
            {"model_id": "Qwen/Qwen3-30B-A3B", "tp": 4}, 14.2474, id="Qwen3-30B-A3B-over-four-0.8.5"
        ),
        pytest.param(
            {"model_id": "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "tp": 2}, 30.73, id="R1-Distill-32B"
        ),
        pytest.param(
            {"model_id": "meta-llama/Llama-3.1-70B", "scheme": "W8A8", "form": "compressed-tensors"},
            67.7229,
            id="Llama-3.1-70B-int8-0.7",
        ),
        pytest.param(
            {"model_id": "Qwen/Qwen3-14B", "scheme": "W4A16", "form": "awq", "group_size": 128},
            9.44,
            id="Qwen3-14B-AWQ-0.28",
        ),
        pytest.param(
            {"model_id": "openai/gpt-oss-20b", "scheme": "MXFP4", "form": "compressed-tensors"},
            13.47,
            id="gpt-oss-20b-0.11",
        ),
        pytest.param(
            {"model_id": "openai/gpt-oss-120b", "scheme": "MXFP4", "form": "compressed-tensors"},
            64.38,
            id="gpt-oss-120b-0.14",
        ),
        pytest.param(
            {
                "model_id": "MiniMaxAI/MiniMax-M2.5",
                "scheme": "FP8_BLOCK",
                "form": "compressed-tensors",
                "tp": 4,
            },
            53.75,
            id="MiniMax-M2.5-0.19",
        ),
    ],
)
def test_a_rank_takes_what_vllm_printed(rank_of, asked, printed_gib):
    assert rank_of(**asked).total / GIB == pytest.approx(printed_gib, rel=0.005)


def test_cards_without_the_arithmetic_turn_the_weights_over(tables, catalogue_model):
    row = replace(tables.schemes["MXFP4", "compressed-tensors"], left=frozenset({"q", "k", "v", "o"}))
    model = catalogue_model("openai/gpt-oss-20b")
    ampere, hopper = (
        engine_rank_bytes(model, row, 32, tp=1, repacks=is_repacked(row, sm)).total / GIB for sm in (80, 90)
    )
    assert ampere == pytest.approx(
        13.72, rel=0.005
    )  # a startup log of vLLM 0.19.0 on an A100 (myoceane.fr, 2026-04)
    assert hopper == pytest.approx(13.47, rel=0.005)  # evidence/memory_truth.csv, vLLM 0.11.0 on an H100
    assert is_repacked(tables.schemes["FP8_DYNAMIC", "compressed-tensors"], 86)
    assert not is_repacked(tables.schemes["BF16", "safetensors"], 70)


def test_the_rest_of_a_segment_is_lost_when_it_is_small(rank_of, catalogue_model, tables):
    model = catalogue_model("Qwen/Qwen2-7B")
    stored = rank_bytes(model, tables.schemes["BF16", "safetensors"], None, tp=1)
    # Of segments of 2 MiB: gate and up 259 MiB lose 1, down 129.5 loses 0.5, query, key and value 31.5 lose 0.5;
    # output's 24.5 MiB leave 1.5 MiB, which is split off and used.
    assert rank_of("Qwen/Qwen2-7B").by_layer[0] - stored.by_layer[0] == 2 * MIB


def test_the_rotary_table_is_on_every_rank(rank_of):
    # 131,072 positions x 128 x 2 bytes, and the last norm
    one, four = (rank_of("meta-llama/Llama-3.1-8B", tp=tp).other for tp in (1, 4))
    assert one == four == 32 * MIB + 2 * 4096


def test_an_attention_latent_is_unpacked_a_second_time(rank_of, catalogue_model, tables):
    plain = tables.schemes["BF16", "safetensors"]
    stored = rank_bytes(catalogue_model("deepseek-ai/DeepSeek-V2-Lite"), plain, None, tp=1)
    held = rank_of("deepseek-ai/DeepSeek-V2-Lite")
    # 16 heads x (128 + 128) x 512 x 2 bytes; allocator segments add less than 2 MiB
    again = 16 * 256 * 512 * 2
    assert again <= held.by_layer[0] - stored.by_layer[0] < again + 2 * MIB


def test_whole_experts_are_spread_over_expert_parallel_ranks(rank_of):
    # 128 experts over 8 ranks are 16 each, as many bytes as shards of all of them (no padding in 16 bits)
    shards, whole = (rank_of("Qwen/Qwen3-30B-A3B", tp=8, ep=ep).experts for ep in (1, 8))
    assert shards == whole
    # over 3 ranks the fullest holds 43 of 128
    uneven = rank_of("Qwen/Qwen3-30B-A3B", tp=1, ep=3).experts
    assert uneven == pytest.approx(43 / 128 * rank_of("Qwen/Qwen3-30B-A3B").experts, rel=1e-9)


def test_mxfp4_experts_are_padded_to_256(rank_of, catalogue_model, tables):
    model = catalogue_model("openai/gpt-oss-20b")
    row = replace(tables.schemes["MXFP4", "compressed-tensors"], left=frozenset({"q", "k", "v", "o"}))
    stored = rank_bytes(model, row, 32, tp=1).experts
    held = rank_of("openai/gpt-oss-20b", "MXFP4", "compressed-tensors", 32).experts
    assert held / stored == pytest.approx(3072 / 2880, rel=0.01)  # inner width 2880 padded to 12 x 256


def test_a_released_checkpoint_leaves_what_its_config_says(rank_of, catalogue_model, tables):
    model = catalogue_model("openai/gpt-oss-20b")
    every = tables.schemes["MXFP4", "compressed-tensors"]
    attention = frozenset({"q", "k", "v", "o"})
    less = rank_bytes(model, every, 32, tp=1).total
    more = rank_bytes(model, replace(every, left=attention), 32, tp=1).total
    # 24 layers x (4096 + 4096 + 2 x 512) x 2880 weights in 16 bits instead of 4.25
    assert more - less == pytest.approx(24 * 9216 * 2880 * (16 - 4.25) / 8, rel=1e-6)
    # openai/gpt-oss-20b: 13.76 GB of safetensors on the hub
    assert more == pytest.approx(13.76e9, rel=0.005)


def test_an_exl_head_has_six_bits(a_model, tables):
    model = a_model()
    plain = rank_bytes(model, tables.schemes["BF16", "safetensors"], None, tp=1)
    exl = rank_bytes(model, nominal_scheme("EXL2_4.0bpw"), None, tp=1)
    assert exl.head == plain.head * 6 // 16
    assert exl.embedding == plain.embedding
