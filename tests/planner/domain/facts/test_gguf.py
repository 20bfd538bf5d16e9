"""llama.cpp's mixes tensor by tensor, with the fallbacks that the demo model's 576 columns need."""

import pytest

from planner.domain.facts.gguf import container_bytes, find_dynamic, layer_types
from planner.domain.facts.gguf_layout import lay_out_gguf
from planner.domain.facts.storage import stored_bytes
from planner.domain.facts.tensors import tensor_layout

MORE_BITS_OF_30 = {0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29}
"""use_more_bits of src/llama-quant.cpp for 30 layers: below 30/8 = 3, from 7 x 30/8 = 26, and every third of
the rest counted from 3."""


def types_of(model, tables, ftype, role):
    tensor = next(tensor for tensor in tensor_layout(model) if tensor.role == role)
    return [found.name for found in layer_types(model, tensor, ftype, tables.gguf)]


@pytest.mark.parametrize(
    ("ftype", "row_of_256_bytes"),
    [
        # ggml-common.h: bytes of a block struct for 256 weights.
        pytest.param("Q2_K", 84, id="q2_k"),
        pytest.param("Q3_K", 110, id="q3_k"),
        pytest.param("Q4_K", 144, id="q4_k"),
        pytest.param("Q5_K", 176, id="q5_k"),
        pytest.param("Q6_K", 210, id="q6_k"),
        pytest.param("Q8_0", 8 * 34, id="q8_0-blocks-of-32"),
        pytest.param("F16", 512, id="f16"),
    ],
)
def test_a_block_has_the_bytes_of_its_struct(tables, ftype, row_of_256_bytes):
    assert tables.gguf.types[ftype].row_bytes(256) == row_of_256_bytes


def test_attention_rows_of_576_fall_back_and_feed_forward_rows_of_1536_do_not(demo, tables):
    # 576 = 2.25 x 256: Q4_K falls back to Q5_0. 1536 = 6 x 256 holds whole blocks.
    assert set(types_of(demo, tables, "Q4_K_M", "q")) == {"Q5_0"}
    assert set(types_of(demo, tables, "Q4_K_M", "gate")) == {"Q5_0"}
    assert set(types_of(demo, tables, "Q4_K_M", "down")) == {"Q4_K", "Q6_K"}


def test_some_layers_get_more_bits(demo, tables):
    downs = types_of(demo, tables, "Q4_K_M", "down")
    assert {layer for layer, name in enumerate(downs) if name == "Q6_K"} == MORE_BITS_OF_30
    values = types_of(demo, tables, "Q4_K_M", "v")
    assert {layer for layer, name in enumerate(values) if name == "Q8_0"} == MORE_BITS_OF_30


def test_a_tied_embedding_is_stored_as_the_output_matrix(demo, tables, a_model):
    assert types_of(demo, tables, "Q4_K_M", "embedding") == ["Q8_0"]
    assert types_of(a_model(), tables, "Q4_K_M", "head") == ["Q6_K"]
    assert types_of(a_model(), tables, "Q4_K_M", "embedding") == ["Q4_K"]


def test_values_of_an_80_layer_model_have_at_least_five_bits(qwen72b, tables):
    assert set(types_of(qwen72b, tables, "Q4_K_M", "v")) == {"Q5_K", "Q6_K"}


def test_vectors_stay_in_32_bits(demo, tables):
    assert set(types_of(demo, tables, "Q2_K", "norm")) == {"F32"}


def test_a_row_that_nothing_divides_stays_in_16_bits(a_model, tables):
    odd = a_model(hidden_size=1040, head_dim=65, num_heads=16)
    assert set(types_of(odd, tables, "Q4_K_M", "q")) == {"F16"}


def test_the_container_grows_with_its_metadata_alone(demo):
    layout = tensor_layout(demo)
    assert container_bytes(layout, 1000) - container_bytes(layout, 0) == 1000


@pytest.mark.parametrize(
    ("model", "scheme", "printed", "within"),
    [
        # evidence/sizes.csv, llama-bench's model_size: tensor bytes
        pytest.param("openai/gpt-oss-120b", "MXFP4_F16", 65_355_994_368, 0, id="converted-gpt-oss"),
        # llama.cpp issue 15253: 59.02 GiB
        pytest.param("openai/gpt-oss-120b", "MXFP4", 59.02 * 2**30, 0.005 * 2**30, id="mxfp4-moe"),
        # ik_llama.cpp issue 92 and pull 85, llama 8B: 4.14 and 2.30 GiB
        pytest.param("meta-llama/Llama-3.1-8B", "IQ4_KS", 4.14 * 2**30, 0.005 * 2**30, id="row-scales"),
        pytest.param("meta-llama/Llama-3.1-8B", "IQ2_KS", 2.30 * 2**30, 0.005 * 2**30, id="low-bit-branch"),
        # its publisher's file of April 2024, 2,393,231,072 bytes, metadata (under a megabyte) in it
        pytest.param("microsoft/Phi-3-mini-4k-instruct", "Q4_K_M", 2_393_231_072, 1e6, id="fused-attention"),
        # bartowski/phi-4-GGUF, llama.cpp b4456: 9.05 and 10.60 GB
        pytest.param("microsoft/phi-4", "Q4_K_M", 9.05e9, 0.005e9, id="fused-attention-of-phi-4"),
        pytest.param("microsoft/phi-4", "Q5_K_M", 10.60e9, 0.005e9, id="fused-attention-in-five-bits"),
        pytest.param("microsoft/phi-4", "Q6_K", 12.03e9, 0.005e9, id="six-bits"),
        # tools/quantize/README.md: 32.1 GB
        pytest.param("meta-llama/Llama-3.1-8B", "F32", 32.1e9, 0.05e9, id="f32"),
    ],
)
def test_files_weigh_what_was_printed(catalogue_model, tables, model, scheme, printed, within):
    found = stored_bytes(catalogue_model(model), tables.schemes[scheme, "gguf"], None, tables.gguf)
    assert abs(found.total - printed) <= within


def test_a_publishers_own_mix_is_a_range_around_its_nearest_of_rules(catalogue_model, tables):
    model = catalogue_model("Qwen/Qwen3-30B-A3B")
    mix = find_dynamic(model, "UD-Q4_K_XL", tables.gguf)
    near = stored_bytes(model, tables.schemes["Q4_K_S", "gguf"], None, tables.gguf).total
    own = stored_bytes(model, tables.schemes["UD-Q4_K_XL", "gguf"], None, tables.gguf).total
    assert own == pytest.approx(near * mix.likely, rel=1e-6)
    # evidence/sizes.csv: 17,709,692,928 bytes
    assert near * mix.low <= 17_709_692_928 <= near * mix.high
    assert find_dynamic(model, "Q4_K_M", tables.gguf) is None


def test_a_mix_that_was_revised_goes_by_the_models_date(catalogue_model, tables):
    old = find_dynamic(catalogue_model("Qwen/Qwen3-30B-A3B"), "UD-Q4_K_XL", tables.gguf)
    new = find_dynamic(catalogue_model("Qwen/Qwen3.6-35B-A3B"), "UD-Q4_K_XL", tables.gguf)
    dense = find_dynamic(catalogue_model("Qwen/Qwen3-32B"), "UD-Q4_K_XL", tables.gguf)
    assert (old.base, new.base, dense.base) == ("Q4_K_S", "Q4_K_S", "Q4_K_M")
    assert old.likely < new.likely


def test_gated_linear_attention_keeps_its_gate_apart(catalogue_model):
    model = catalogue_model("Qwen/Qwen3.5-27B")
    rows = {
        role: {tensor.rows for tensor in lay_out_gguf(tensor_layout(model), model) if tensor.role == role}
        for role in ("qkv", "linear_in")
    }
    values = model.linear_value_heads * model.linear_value_dim
    keys = model.linear_key_heads * model.linear_key_dim
    assert rows["qkv"] == {2 * keys + values}
    # the gate, and one step and one decay for each head
    assert rows["linear_in"] == {values, 2 * model.linear_value_heads}
