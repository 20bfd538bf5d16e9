"""A config.json's architecture keys → the facts of a model, whatever its family calls them.

A config of a model with towers keeps its language model under `text_config`; what stands there counts before what
stands outside. Keys that a family leaves out come from the architecture's row (`data/architectures.csv`), never
from a guess: a width that nothing states is an error that names the key.
"""

from collections.abc import Mapping
from typing import Any

from planner.domain.facts.model import Traits
from planner.sources.config_layers import read_layer_fields
from planner.sources.config_words import count_of, first_of, positive_of
from planner.sources.vision_towers import count_tower

NESTED = ("text_config", "llm_config", "language_config")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
EXPERTS_EACH = (
    *("num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_k", "moe_topk", "moe_top_k"),
    *("experts_per_token", "num_selected_experts"),
)
EXPERT_WIDTH = ("moe_intermediate_size", "expert_intermediate_size")
SHARED_WIDTH = (
    *("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"),
    *("share_expert_dim", "share_expert_dims"),
)
SHARED_COUNT = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
BIAS = ("attention_bias", "qkv_bias", "use_qkv_bias", "add_qkv_bias", "use_bias", "bias")
QK_NORM = ("use_qk_norm", "qk_layernorm", "qk_norm", "use_qk_layernorm")
UNSTATED_LENGTH = 2048
"""Longest sequence of the early families (Falcon, BLOOM, GPT-NeoX) whose configs state none."""
PLAIN_WIDTH = 4
"""Feed-forward width over hidden size where a plain feed-forward's config states none."""


def architecture_of(config: Mapping[str, Any], traits: Mapping[str, Traits]) -> str:
    """The architecture that a config names, or the one its model type belongs to."""
    named = config.get("architectures") or []
    if isinstance(named, list) and named:
        return str(named[0])
    kind = str(config.get("model_type") or "").replace("_", "").lower()
    return next((name for name in traits if name.partition("For")[0].lower() == kind), "")


def read_architecture(config: Mapping[str, Any], traits: Traits | None) -> dict[str, Any]:
    """Fields of ModelFacts that a config states of its language model, and its towers' parameters.

    Raises:
        ValueError: a key is missing or no count.
    """
    text = _language_part(config)
    known = traits or Traits()
    hidden = positive_of(text, "hidden_size", "n_embd", "d_model", "model_dim")
    heads = positive_of(text, "num_attention_heads", "n_head", "n_heads")
    attention = _attention(text, hidden, heads, known)
    layers = read_layer_fields(text, known, attention)
    experts = _experts(text)
    fields = {
        "hidden_size": hidden,
        "vocab_size": positive_of(text, "vocab_size", "padded_vocab_size"),
        "tie_embeddings": bool(
            first_of([config, text], "tie_word_embeddings", "tie_embedding", default=known.tied)
        ),
        "max_position": count_of(
            text,
            *("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length"),
            *("model_max_length", "n_ctx"),
        )
        or UNSTATED_LENGTH,
        "intermediate_size": _dense_width(text, hidden, known, experts),
        **attention,
        **experts,
        **layers,
    }
    tower = count_tower(config, hidden)
    if tower:
        fields |= {"extra_params": tower, "vision_params": tower, "extra_holds": "vision tower"}
    return fields


def _language_part(config: Mapping[str, Any]) -> dict[str, Any]:
    inner = next((config[name] for name in NESTED if isinstance(config.get(name), dict)), None)
    if inner is None:
        return dict(config)
    outer = {key: value for key, value in config.items() if key not in NESTED and key != "architectures"}
    return {**outer, **{key: value for key, value in inner.items() if value is not None}}


def _attention(text: Mapping[str, Any], hidden: int, heads: int, known: Traits) -> dict[str, Any]:
    kv_heads = count_of(text, "num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups")
    if text.get("multi_query") and not text.get("new_decoder_architecture"):
        kv_heads = 1
    kv_heads = kv_heads or heads
    head_dim = count_of(text, "head_dim", "attention_head_dim", "kv_channels") or hidden // heads
    latent = count_of(text, "kv_lora_rank")
    fields: dict[str, Any] = {
        "num_heads": heads,
        "num_kv_heads": kv_heads,
        "head_dim": head_dim,
        "qkv_bias": bool(first_of([text], *BIAS, default=known.attention_bias)),
        "qk_norm": bool(first_of([text], *QK_NORM, default=known.has_qk_norm)),
        "v_head_dim": count_of(text, "v_head_dim"),
        "q_lora_rank": count_of(text, "q_lora_rank"),
    }
    if latent:
        fields |= {
            name: count_of(text, name) for name in ("q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim")
        }
        fields["kv_lora_rank"] = latent
        fields["head_dim"] = fields["qk_nope_head_dim"] + fields["qk_rope_head_dim"]
    elif fields["v_head_dim"] == head_dim:
        fields["v_head_dim"] = 0
    return fields


def _dense_width(text: Mapping[str, Any], hidden: int, known: Traits, experts: Mapping[str, Any]) -> int:
    names = ["dense_intermediate_size", "intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_dim"]
    names += ["ffn_hidden_size", "moe_dense_intermediate_size"]
    stated = count_of(text, *names)
    if not experts and count_of(text, "shared_intermediate_size") and "num_local_experts" in text:
        return count_of(
            text, "shared_intermediate_size"
        )  # Granite without experts keeps the shared part alone
    if text.get("block_auto_adjust_ff_dim"):
        return _adjusted(text, stated or count_of(text, "block_ff_dim"))
    if stated:
        return stated
    if known.feed_forward == "plain":
        return PLAIN_WIDTH * hidden
    if experts:
        return int(experts["moe_intermediate_size"])
    raise ValueError("intermediate_size is not stated")


def _adjusted(text: Mapping[str, Any], width: int) -> int:
    """LFM2 states a width of which it takes two thirds, rounded up to a multiple."""
    width = int(2 * width / 3)
    width = int(width * float(text.get("block_ffn_dim_multiplier") or 1))
    step = count_of(text, "block_multiple_of") or 1
    return -(-width // step) * step


def _experts(text: Mapping[str, Any]) -> dict[str, Any]:
    experts = count_of(text, *EXPERTS)
    if not experts or text.get("enable_moe_block") is False:
        return {}
    width = count_of(text, *EXPERT_WIDTH) or positive_of(text, "intermediate_size", "ffn_hidden_size")
    shared = count_of(text, *SHARED_WIDTH) or width * count_of(text, *SHARED_COUNT)
    if "llama4" in str(text.get("model_type")):
        shared = width  # one shared expert, which its config does not count
    return {
        "num_experts": experts,
        "experts_per_token": count_of(text, *EXPERTS_EACH) or 1,
        "moe_intermediate_size": width,
        "shared_intermediate_size": shared,
        "expert_latent": count_of(text, "moe_latent_size"),
    }
