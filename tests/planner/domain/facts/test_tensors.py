"""Every tensor counted, and refusal where the layout is not known to be exact."""

from dataclasses import replace

import pytest

from planner.domain.errors import BadInput
from planner.domain.facts.tensors import (
    count_described_parameters,
    count_parameters,
    full_layers,
    tensor_layout,
    widest_feed_forward,
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


def test_all_of_the_catalogue_is_covered_but_one_model_which_says_why(catalogue):
    """Its layers' widths stand in block_configs, which no source at hand prints."""
    refused = {}
    for model in catalogue:
        try:
            tensor_layout(model)
        except BadInput as error:
            refused[model.model_id] = error.message
    assert list(refused) == ["nvidia/Llama-3_3-Nemotron-Super-49B-v1"]
    assert "block_configs" in refused["nvidia/Llama-3_3-Nemotron-Super-49B-v1"]


@pytest.mark.parametrize(
    ("model_id", "parameters"),
    [
        # Text parameters as transformers 5.17 builds the model from its config (no weights), or, where it does
        # not model a part, the published count; extra_holds names what a checkpoint carries besides.
        pytest.param(
            "deepseek-ai/DeepSeek-V3.2", 671_877_929_216 + 58 * 256, id="sparse-index-and-router-bias"
        ),
        pytest.param("zai-org/GLM-5", 743_911_199_232 + 75 * 256, id="sparse-index"),
        pytest.param("deepseek-ai/DeepSeek-V4-Flash", 284_332_230_231, id="compressed-attention"),
        pytest.param("deepseek-ai/DeepSeek-V4-Pro", 1_572_997_179_491, id="compressed-attention-larger"),
        pytest.param("google/gemma-4-31B-it", 31_273_086_512 - 575_741_232, id="two-attention-shapes"),
        pytest.param("XiaomiMiMo/MiMo-V2-Flash", 308_778_768_832 + 47 * 256, id="other-window-heads"),
        pytest.param(
            "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8", 120_668_687_360, id="experts-in-a-latent"
        ),
        pytest.param("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 8_888_227_328, id="mamba-2"),
        pytest.param("ibm-granite/granite-4.0-h-tiny", 6_939_037_248, id="mamba-2-with-experts"),
        pytest.param("tiiuae/Falcon-H1-7B-Instruct", 7_585_654_880, id="mamba-2-beside-attention"),
        pytest.param("ai21labs/AI21-Jamba-Mini-1.5", 51_570_323_328, id="mamba-1"),
        pytest.param("moonshotai/Kimi-Linear-48B-A3B-Instruct", 49_122_681_728, id="kimi-delta-and-latent"),
        pytest.param("MiniMaxAI/MiniMax-Text-01", 456_089_655_296, id="lightning"),
        pytest.param("LiquidAI/LFM2-1.2B", 1_170_340_608, id="short-convolutions"),
        pytest.param("EleutherAI/pythia-12b", 11_846_072_320, id="gpt-neox"),
        pytest.param("google/gemma-3n-E2B-it", 5_439_438_272 - 983_281_504, id="per-layer-input"),
        pytest.param("google/gemma-3n-E4B-it", 7_849_978_192 - 983_281_504, id="per-layer-input-larger"),
    ],
)
def test_counts_layers_that_differ_from_one_another(catalogue_model, model_id, parameters):
    text = [tensor for tensor in tensor_layout(catalogue_model(model_id)) if tensor.role != "vision"]
    assert count_parameters(tuple(text)) == parameters


def test_a_tower_is_loaded_and_a_layer_of_multi_token_prediction_is_not(catalogue_model):
    """Qwen3.5-27B: 460,730,096 parameters of vision in transformers; 424,699,392 more are prediction."""
    model = catalogue_model("Qwen/Qwen3.5-27B")
    vision = [tensor.elements for tensor in tensor_layout(model) if tensor.role == "vision"]
    assert vision == [460_730_096]
    assert model.extra_params - vision[0] == 424_699_392


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


@pytest.mark.parametrize(
    ("model_id", "width"),
    [
        pytest.param("Qwen/Qwen2.5-7B", 18944, id="dense"),
        pytest.param("Qwen/Qwen3-30B-A3B", 8 * 768, id="routed-alone"),
        # Six experts of 1408 and two shared ones are wider than its first layer's 10944.
        pytest.param("deepseek-ai/DeepSeek-V2-Lite", 8 * 1408, id="first-layer-dense"),
        pytest.param("ai21labs/AI21-Jamba-Mini-1.5", 2 * 14336, id="every-second-layer-routed"),
        pytest.param("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 15680, id="half-of-the-layers"),
    ],
)
def test_the_widest_feed_forward_is_of_the_layers_that_have_one(catalogue_model, model_id, width):
    assert widest_feed_forward(catalogue_model(model_id)) == width
