"""What schemes store: the demo model's bytes to the byte, and shards that add up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.domain.facts.storage import matrix_bytes, rank_bytes, stored_bytes


@pytest.mark.parametrize(
    ("scheme", "form", "group_size", "measured"),
    [
        # Measured: total of the real file less its header, as the backends wrote it.
        pytest.param("Q8_0", "gguf", None, 143_025_408, id="q8_0"),
        pytest.param("Q6_K", "gguf", None, 136_597_248, id="q6_k"),
        pytest.param("Q5_K_M", "gguf", None, 110_317_824, id="q5_k_m"),
        pytest.param("Q4_K_M", "gguf", None, 103_668_480, id="q4_k_m"),
        pytest.param("Q3_K_M", "gguf", None, 91_724_544, id="q3_k_m"),
        pytest.param("Q2_K", "gguf", None, 86_416_128, id="q2_k"),
        pytest.param("FP8_DYNAMIC", "compressed-tensors", None, 163_172_736, id="fp8"),
        # By hand: linears 106,168,320 at half a byte = 53,084,160; 2 bytes for each 64 = 3,317,760; 16 bytes of
        # shape for each of 210 matrices = 3,360; embedding 56,623,104 and norms 70,272 in 16 bits.
        pytest.param("W4A16", "compressed-tensors", 64, 113_098_656, id="w4a16-group-64"),
    ],
)
def test_the_demo_model_takes_the_bytes_that_were_measured(demo, tables, scheme, form, group_size, measured):
    stored = stored_bytes(demo, tables.schemes[scheme, form], group_size, tables.gguf)
    assert stored.total == measured


@pytest.mark.parametrize(
    ("scheme", "form", "group_size", "expected"),
    [
        # A 4096 x 4096 matrix has 16,777,216 weights.
        pytest.param("BF16", "safetensors", None, 33_554_432, id="16-bits"),
        # + a 2-byte scale for each row
        pytest.param("FP8_DYNAMIC", "compressed-tensors", None, 16_777_216 + 8192, id="fp8"),
        # 8,388,608 + 4096 rows x 32 groups x 2 bytes + the shape
        pytest.param("W4A16", "compressed-tensors", 128, 8_388_608 + 262_144 + 16, id="packed"),
        # the same scales + half a byte of zero point for each + 4 bytes of g_idx for each column
        pytest.param("W4A16", "gptq", 128, 8_388_608 + 262_144 + 65_536 + 16_384, id="gptq"),
        pytest.param("W4A16", "awq", 128, 8_388_608 + 262_144 + 65_536, id="awq"),
        # one scale a row
        pytest.param("W4A16", "compressed-tensors", None, 8_388_608 + 8192 + 16, id="per-channel"),
    ],
)
def test_a_matrix_is_weights_scales_and_what_goes_with_them(tables, scheme, form, group_size, expected):
    assert matrix_bytes(4096, 4096, tables.schemes[scheme, form], group_size) == expected


def test_a_group_that_does_not_fill_up_still_has_a_scale(tables):
    # 100 columns are two groups of 64: 2 rows x 2 groups x 2 bytes of scales beside 100 bytes of weights.
    assert matrix_bytes(2, 100, tables.schemes["W4A16", "compressed-tensors"], 64) == 100 + 8 + 16


def test_the_vocabulary_is_padded_before_it_is_split(a_model, tables):
    model = a_model(vocab_size=32_001)
    shard = rank_bytes(model, tables.schemes["BF16", "safetensors"], None, tp=2)
    # 32001 rows padded to 251 x 128 = 32128, of which a rank holds 16064 of 1024 columns in 2 bytes.
    assert shard.embedding == 16_064 * 1024 * 2


def test_kv_heads_are_repeated_when_there_are_fewer_than_ranks(a_model, tables):
    few, many = a_model(num_kv_heads=2), a_model(num_kv_heads=4)
    plain = tables.schemes["BF16", "safetensors"]
    shards = [rank_bytes(model, plain, None, tp=4) for model in (few, many)]
    assert shards[0].layers == shards[1].layers


def test_shards_add_up_to_at_least_the_whole(a_model, tables):
    @settings(max_examples=60, deadline=None)
    @given(
        tp=st.sampled_from([1, 2, 4, 8]),
        layers=st.integers(1, 6),
        inner=st.integers(8, 200),
        vocab=st.integers(100, 5000),
        scheme=st.sampled_from(["BF16", "FP8_DYNAMIC", "W4A16", "W8A16"]),
    )
    def check(tp, layers, inner, vocab, scheme):
        model = a_model(layers, intermediate_size=inner * 16, vocab_size=vocab)
        form = "safetensors" if scheme == "BF16" else "compressed-tensors"
        row = tables.schemes[scheme, form]
        whole = rank_bytes(model, row, 32, tp=1)
        assert tp * rank_bytes(model, row, 32, tp=tp).total >= whole.total

    check()


def test_linears_that_divide_add_up_exactly(a_model, tables):
    @settings(max_examples=40, deadline=None)
    @given(tp=st.sampled_from([2, 4]), layers=st.integers(1, 6), inner=st.integers(1, 60))
    def check(tp, layers, inner):
        model = a_model(layers, intermediate_size=128 * inner)
        plain = tables.schemes["BF16", "safetensors"]
        whole, shard = (rank_bytes(model, plain, None, tp=parts) for parts in (1, tp))
        norms = 2 * 2 * model.hidden_size * layers  # two norms a layer in 2 bytes, repeated on every rank
        assert tp * (shard.layers - norms) == whole.layers - norms

    check()


def test_a_model_of_one_layer_counts_its_final_norm_once(a_model, tables):
    one, two = (a_model(layers) for layers in (1, 2))
    plain = tables.schemes["BF16", "safetensors"]
    sizes = [rank_bytes(model, plain, None, tp=1) for model in (one, two)]
    assert sizes[1].layers == 2 * sizes[0].layers
    assert sizes[0].total == 2 * one.params_total
