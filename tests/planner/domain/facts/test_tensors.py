"""Every tensor counted, and refusal where the layout is not known to be exact."""

import pytest

from planner.domain.errors import BadInput
from planner.domain.facts.tensors import count_parameters, padded_layout, tensor_layout


@pytest.mark.parametrize(
    ("model_id", "parameters"),
    [
        # Published counts: the checkpoints' safetensors headers (data/models.csv names the sources).
        pytest.param("Qwen/Qwen2.5-72B", 72_706_203_648, id="untied-with-biases"),
        # By hand: embedding 49152 x 576 = 28,311,552; a layer 2 x 576^2 + 2 x 192 x 576 + 3 x 1536 x 576
        # + 2 x 576 = 3,540,096, times 30; final norm 576.
        pytest.param("local/smollm2-135m-instruct-from-q4_1", 134_515_008, id="tied"),
        pytest.param("Qwen/Qwen3-8B", 8_190_735_360, id="query-and-key-norms"),
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
    padded, layout = padded_layout(qwen72b, 29696)
    # 80 layers x 3 matrices x 8192 x (29696 - 29568 = 128) = 251,658,240 parameters more.
    assert count_parameters(layout) - count_parameters(tensor_layout(qwen72b)) == 251_658_240
    assert padded.hidden_size == qwen72b.hidden_size


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"num_experts": 8}, "mixture of 8 experts", id="experts"),
        pytest.param({"attention": "mla"}, "attention is mla", id="latent-attention"),
        pytest.param({"architecture": "MambaForCausalLM"}, "MambaForCausalLM", id="another-architecture"),
        pytest.param({"architecture": ""}, "unknown", id="no-architecture"),
        pytest.param({"params_total": 7}, "more than 0.1 %", id="count-disagrees"),
    ],
)
def test_refuses_a_layout_that_is_not_known_to_be_exact(a_model, fields, named):
    with pytest.raises(BadInput, match=named) as caught:
        tensor_layout(a_model(**fields))
    assert caught.value.code == "model.layout_not_covered"
    assert "test/model-1b" in caught.value.message
