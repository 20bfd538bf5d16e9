"""A config.json of any family is read from its own keys; counts are those of transformers' own instances."""

from pathlib import Path

import pytest

from planner.domain.facts.layers import mixers_of
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.tensors import count_described_parameters
from planner.sources.config_fields import architecture_of, read_architecture
from planner.sources.tables import read_traits

DATA = Path(__file__).parents[3] / "data"
SMALL = {"hidden_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 8, "vocab_size": 32000}
FEED = {"intermediate_size": 4096, "max_position_embeddings": 4096}


@pytest.fixture(scope="session")
def traits():
    return read_traits(DATA / "architectures.csv")


@pytest.fixture
def read(traits):
    """Facts of a config."""

    def build(config) -> ModelFacts:
        name = architecture_of(config, traits)
        fields = read_architecture(config, traits.get(name))
        return ModelFacts(
            model_id="test",
            family="test",
            architecture=name,
            traits=traits.get(name),
            params_total=0,
            **fields,
        )

    return build


PHI_2 = {
    "architectures": ["PhiForCausalLM"],
    "model_type": "phi-msft",
    "n_embd": 2560,
    "n_head": 32,
    "n_head_kv": None,
    "n_inner": None,
    "n_layer": 32,
    "n_positions": 2048,
    "tie_word_embeddings": False,
    "vocab_size": 51200,
}
QWEN3_VL_2B = {
    "architectures": ["Qwen3VLForConditionalGeneration"],
    "model_type": "qwen3_vl",
    "tie_word_embeddings": True,
    "text_config": {
        "head_dim": 128,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "max_position_embeddings": 262144,
        "model_type": "qwen3_vl_text",
        "num_attention_heads": 16,
        "num_hidden_layers": 28,
        "num_key_value_heads": 8,
        "vocab_size": 151936,
    },
    "vision_config": {
        "deepstack_visual_indexes": [5, 11, 17],
        "depth": 24,
        "hidden_size": 1024,
        "in_channels": 3,
        "intermediate_size": 4096,
        "model_type": "qwen3_vl",
        "num_position_embeddings": 2304,
        "out_hidden_size": 2048,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
GEMMA_2_2B = {
    "architectures": ["Gemma2ForCausalLM"],
    "model_type": "gemma2",
    "head_dim": 256,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "max_position_embeddings": 8192,
    "num_attention_heads": 8,
    "num_hidden_layers": 26,
    "num_key_value_heads": 4,
    "sliding_window": 4096,
    "vocab_size": 256000,
}
MINISTRAL_3_3B = {
    "architectures": ["Mistral3ForConditionalGeneration"],
    "model_type": "ministral3",
    "text_config": {
        "head_dim": 128,
        "hidden_size": 3072,
        "intermediate_size": 9216,
        "max_position_embeddings": 262144,
        "num_attention_heads": 32,
        "num_hidden_layers": 26,
        "num_key_value_heads": 8,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "vocab_size": 131072,
    },
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "model_type": "pixtral",
        "num_channels": 3,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
}
NEMOTRON_3_NANO = {
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "conv_kernel": 4,
    "head_dim": 128,
    "hidden_size": 2688,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "intermediate_size": 1856,
    "mamba_head_dim": 64,
    "mamba_num_heads": 64,
    "max_position_embeddings": 262144,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "n_groups": 8,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_attention_heads": 32,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 52,
    "num_key_value_heads": 2,
    "ssm_state_size": 128,
    "tie_word_embeddings": False,
    "vocab_size": 131072,
}
MIMO_V2 = {
    "architectures": ["MiMoV2FlashForCausalLM"],
    "model_type": "mimo_v2_flash",
    "num_hidden_layers": 48,
    "hidden_size": 4096,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "head_dim": 192,
    "v_head_dim": 128,
    "intermediate_size": 16384,
    "vocab_size": 152576,
    "max_position_embeddings": 262144,
    "sliding_window": 128,
    "swa_num_attention_heads": 64,
    "swa_num_key_value_heads": 8,
    "swa_head_dim": 192,
    "swa_v_head_dim": 128,
    "hybrid_layer_pattern": [0, 1, 1, 1, 1, *([0, 1, 1, 1, 1, 1] * 7), 0],
    "moe_layer_freq": [0] + [1] * 47,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "tie_word_embeddings": False,
}
LFM2 = {
    "model_type": "lfm2",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 65536,
    "block_ff_dim": 12288,
    "block_multiple_of": 256,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": True,
    "conv_L_cache": 3,
    "full_attn_idxs": [2, 5, 8, 10, 12, 14],
    "max_position_embeddings": 128000,
}

# Defaults of these families' configuration classes in transformers 5.17, and the parameters of such a model.
AFMOE = {
    "model_type": "afmoe",
    "vocab_size": 200192,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 1408,
    "num_hidden_layers": 32,
    "num_dense_layers": 1,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 128,
    "max_position_embeddings": 16384,
    "num_experts": 64,
    "num_experts_per_tok": 6,
    "num_shared_experts": 2,
    "tie_word_embeddings": False,
}
MPT = {
    "model_type": "mpt",
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "max_seq_len": 2048,
    "vocab_size": 50368,
}
JAIS_2 = {
    "model_type": "jais2",
    "vocab_size": 150272,
    "hidden_size": 3328,
    "intermediate_size": 26624,
    "num_hidden_layers": 32,
    "num_attention_heads": 26,
    "head_dim": 128,
    "max_position_embeddings": 8192,
    "attention_bias": True,
}
YOUTU = {
    "model_type": "youtu",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "qk_nope_head_dim": 128,
    "max_position_embeddings": 131072,
}


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        pytest.param(PHI_2, 2_779_683_840, id="older-names"),  # published
        pytest.param(QWEN3_VL_2B, 2_127_532_032, id="towers-and-nesting"),
        pytest.param(GEMMA_2_2B, 2_614_341_888, id="tied-by-family"),
        pytest.param(MINISTRAL_3_3B, 3_849_090_048, id="pixtral"),  # published
        pytest.param(NEMOTRON_3_NANO, 31_577_937_344, id="one-part-a-layer"),
        pytest.param(MIMO_V2, 308_778_768_832 + 47 * 256, id="lists-of-numbers"),
        pytest.param(LFM2, 1_170_340_608, id="no-architecture-named"),
        pytest.param(AFMOE, 19_232_600_000, id="gated-queries-and-shared-experts"),
        pytest.param(MPT, 1_311_213_568, id="width-not-stated"),
        pytest.param(JAIS_2, 8_090_401_280, id="biases-everywhere"),
        pytest.param(YOUTU, 1_961_560_064, id="dense-and-latent"),
    ],
)
def test_counts_what_a_config_describes(read, config, parameters):
    assert count_described_parameters(read(config)) == parameters


@pytest.mark.parametrize(
    ("keys", "letters"),
    [
        pytest.param({"model_type": "gemma3_text", "sliding_window": 512}, "WWWWWF", id="family-period"),
        pytest.param({"sliding_window": 512, "sliding_window_pattern": 2}, "WFWFWF", id="stated-period"),
        pytest.param({"sliding_window": 4096, "use_sliding_window": False}, "FFFFFF", id="switched-off"),
        pytest.param({"sliding_window": 4096}, "FFFFFF", id="as-long-as-the-context"),
        pytest.param({"sliding_window": 512}, "WWWWWW", id="everywhere"),
        pytest.param(
            {"model_type": "jamba", "attn_layer_period": 3, "attn_layer_offset": 1}, "SFSSFS", id="jamba"
        ),
        pytest.param({"layer_types": ["mamba", "attention"] * 3}, "MFMFMF", id="words"),
        pytest.param(
            {"layer_types": ["linear_attention", "attention"] * 3, "mamba_n_heads": 8},
            "MFMFMF",
            id="newer-word",
        ),
        pytest.param({"layer_types": ["full_attention", "retention"] * 3}, "F?F?F?", id="unknown-word"),
        pytest.param({"mamba_d_state": 16}, "??????", id="unstated-state-space"),
    ],
)
def test_reads_which_layer_is_what(read, keys, letters):
    spaces = {"mamba_n_heads": 8, "mamba_d_head": 64, "mamba_d_state": 16, "mamba_d_conv": 4}
    is_mixed = "M" in letters or "S" in letters
    model = read({**SMALL, **FEED, **(spaces if is_mixed else {}), **keys})
    assert mixers_of(model) == letters


@pytest.mark.parametrize(
    ("keys", "letters"),
    [
        pytest.param({"first_k_dense_replace": 2}, "DDEEEE", id="first-dense"),
        pytest.param({"decoder_sparse_step": 2}, "DEDEDE", id="every-second"),
        pytest.param({"mlp_only_layers": [0, 3]}, "DEEDEE", id="named"),
        pytest.param({"moe_layers_enum": "1,2,5"}, "DEEDDE", id="enumerated"),
        pytest.param({"mlp_layer_types": ["dense"] + ["sparse"] * 5}, "DEEEEE", id="words"),
    ],
)
def test_reads_which_layers_have_experts(read, keys, letters):
    experts = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 512}
    assert read({**SMALL, **FEED, **experts, **keys}).feeds == letters


@pytest.mark.parametrize(
    ("config", "named"),
    [
        pytest.param({**SMALL, **FEED, "num_attention_heads": None}, "num_attention_heads", id="no-heads"),
        pytest.param({**SMALL, **FEED, "hidden_size": "wide"}, "hidden_size is 'wide'", id="no-number"),
        pytest.param({**SMALL, "max_position_embeddings": 512}, "intermediate_size", id="no-width"),
        pytest.param(
            {**SMALL, **FEED, "vision_config": {"model_type": "eva"}}, "kind eva", id="unknown-tower"
        ),
        pytest.param({**SMALL, **FEED, "audio_config": {"depth": 3}}, "audio_config", id="sound"),
        pytest.param({**SMALL, **FEED, "layer_types": ["full_attention"]}, "6 entries", id="short-list"),
    ],
)
def test_names_the_key_that_it_cannot_use(read, config, named):
    with pytest.raises(ValueError, match=named):
        read(config)
