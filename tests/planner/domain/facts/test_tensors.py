"""Every tensor counted, and refusal where the layout is not known to be exact."""

from dataclasses import replace

import pytest

from planner.domain.errors import BadInput
from planner.domain.facts.tensors import (
    count_described_parameters,
    count_parameters,
    full_layers,
    tensor_layout,
)


@pytest.mark.parametrize(
    ("model_id", "parameters"),
    [
        # Published counts: the checkpoints' safetensors headers (data/models.csv names the sources).
        pytest.param("Qwen/Qwen2.5-72B", 72_706_203_648, id="untied-with-biases"),
        # By hand: embedding 49152 x 576 = 28,311,552; a layer 2 x 576^2 + 2 x 192 x 576 + 3 x 1536 x 576
        # + 2 x 576 = 3,540,096, times 30; final norm 576.
        pytest.param("local/smollm2-135m-instruct-from-q4_1", 134_515_008, id="tied"),
        pytest.param("Qwen/Qwen3-8B", 8_190_735_360, id="query-and-key-norms"),
        pytest.param("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704, id="mixture"),
        pytest.param("Qwen/Qwen3-30B-A3B", 30_532_122_624, id="fine-grained-mixture"),
        pytest.param("Qwen/Qwen2-57B-A14B", 57_408_658_944, id="shared-expert-with-gate"),
        pytest.param("deepseek-ai/DeepSeek-V2-Lite", 15_706_484_224, id="latent-attention"),
        pytest.param("Qwen/Qwen3-Coder-Next", 79_674_391_296, id="linear-attention"),
        pytest.param("google/gemma-2-9b", 9_241_705_984, id="four-norms-and-windows"),
        pytest.param("openai/gpt-oss-20b", 20_914_757_184, id="sinks-and-biases"),
        pytest.param("bigcode/starcoder2-7b", 7_173_923_840, id="plain-feed-forward-with-biases"),
    ],
)
def test_counts_the_published_parameters(catalogue_model, model_id, parameters):
    assert count_parameters(tensor_layout(catalogue_model(model_id))) == parameters


def test_a_tied_head_is_no_tensor_of_its_own(a_model):
    roles = {tensor.role for tensor in tensor_layout(a_model(tie_embeddings=True))}
    assert "head" not in roles
    assert "head" in {tensor.role for tensor in tensor_layout(a_model())}


def test_biases_and_head_norms_come_with_their_flags(a_model):
    by_role = {tensor.role: tensor for tensor in tensor_layout(a_model(qkv_bias=True, qk_norm=True))}
    # 16 heads x 64 for q; 4 KV heads x 64 for each of k and v; one norm of 64 for q and one for k, 4 layers.
    assert (by_role["q_bias"].columns, by_role["q_bias"].count) == (1024, 4)
    assert (by_role["kv_bias"].columns, by_role["kv_bias"].count) == (256, 8)
    assert (by_role["head_norm"].columns, by_role["head_norm"].count) == (64, 8)


def test_a_padded_layout_widens_the_feed_forward_alone(qwen72b):
    padded = replace(qwen72b, intermediate_size=29696)
    # 80 layers x 3 matrices x 8192 x (29696 - 29568 = 128) = 251,658,240 parameters more.
    assert count_described_parameters(padded) - count_parameters(tensor_layout(qwen72b)) == 251_658_240


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"attention": "hybrid-mamba"}, "attention is hybrid-mamba", id="state-space-layers"),
        pytest.param(
            {"traits": None, "architecture": "MambaForCausalLM"},
            "MambaForCausalLM",
            id="another-architecture",
        ),
        pytest.param({"traits": None, "architecture": ""}, "unknown", id="no-architecture"),
        pytest.param({"flags": ("kv_fields_missing",)}, "are missing", id="missing-facts"),
        pytest.param({"params_total": 7}, "more than 0.1 %", id="count-disagrees"),
    ],
)
def test_refuses_a_layout_that_is_not_known_to_be_exact(a_model, fields, named):
    with pytest.raises(BadInput, match=named) as caught:
        tensor_layout(a_model(**fields))
    assert caught.value.code == "model.layout_not_covered"
    assert "test/model-1b" in caught.value.message


def test_most_of_the_catalogue_is_covered_and_the_rest_refused_by_name(catalogue):
    refused = {}
    for model in catalogue:
        try:
            tensor_layout(model)
        except BadInput as error:
            refused[model.model_id] = error.message
    assert len(catalogue) - len(refused) >= 215
    assert all(model_id in message for model_id, message in refused.items())


def test_experts_stand_in_every_layer_but_the_first_dense_ones(catalogue_model):
    layout = tensor_layout(catalogue_model("deepseek-ai/DeepSeek-V2-Lite"))
    by_role = {tensor.role: tensor for tensor in layout}
    # 27 layers, the first dense, 64 experts in each of the others.
    assert by_role["expert_up"].layers == tuple(range(1, 27))
    assert by_role["expert_up"].count == 26 * 64
    assert by_role["up"].layers == (0,)


def test_attending_layers_of_a_hybrid_end_each_period(catalogue_model):
    # Every fourth of 48 layers attends: the 4th, 8th, ... counted from one.
    assert full_layers(catalogue_model("Qwen/Qwen3-Coder-Next")) == tuple(range(3, 48, 4))
