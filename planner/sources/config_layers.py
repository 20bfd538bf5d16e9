"""Which of a config's layers is what, in the letters of facts/layers.py, and the shapes of the unusual ones.

Families say it as a list (`layer_types`), a pattern string (`hybrid_override_pattern`), indices (`full_attn_idxs`),
a period (`sliding_window_pattern`) or not at all; what no rule below reads is named in the kind of attention, and
the model is refused by it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from planner.domain.facts.model import (
    AttentionShape,
    Compression,
    Indexer,
    PerLayerInput,
    StateSpace,
    Traits,
)
from planner.sources.config_words import count_of, positive_of
from planner.sources.layer_cells import BLOCKS

LAYER_TYPES = {
    "full_attention": "F",
    "global_attention": "F",
    "attention": "F",
    "deepseek_sparse_attention": "F",
    "sparse_attention": "F",
    "sliding_attention": "W",
    "sliding_window_attention": "W",
    "chunked_attention": "W",
    "local_attention": "W",
    "linear_attention": "L",
    "compressed_sparse_attention": "X",
    "heavily_compressed_attention": "Y",
    "mamba": "M",
    "conv": "C",
    "hybrid": "H",
}
BLOCK_WORDS = {
    "mamba": "M",
    "linear_attention": "M",
    "moe": "E",
    "attention": "*",
    "full_attention": "*",
    "mlp": "-",
}
FEED_TYPES = {"dense": "D", "sparse": "E", "moe": "E", "hash_moe": "E"}
STATE_KEYS = ("mamba_d_state", "ssm_state_size", "mamba_n_heads", "mamba_num_heads")
ALTERNATING = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4, "llama4": 4, "llama4_text": 4}
"""Period after which a layer sees everything, in families that did not always state it."""
NUMBERED = {
    "compress_ratios": {0: "W", 4: "X", 128: "Y"},
    "attn_type_list": {1: "F", 0: "N"},
    "hybrid_layer_pattern": {0: "F", 1: "W"},
}
"""Keys that hold a number for each layer."""
INDICES = {"full_attn_idxs": "C", "attn_layer_indices": "M"}
"""Keys that hold the numbers of attending layers, and what the others are."""


def read_layer_fields(
    text: Mapping[str, Any], traits: Traits, attention: Mapping[str, Any]
) -> dict[str, Any]:
    """Letters of mixers and feeds, and the shapes that belong to them.

    Raises:
        ValueError: a key is no count, or a list is not as long as there are layers.
    """
    blocks = _blocks(text)
    layers = len(blocks) or positive_of(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    if blocks:
        mixers, feeds = "".join(BLOCKS[one][0] for one in blocks), "".join(BLOCKS[one][1] for one in blocks)
    else:
        mixers, feeds = _mixers(text, layers), _feeds(text, layers)
    if len(mixers) != layers or len(feeds) != layers:
        raise ValueError(f"a list of layers does not have {layers} entries")
    fields: dict[str, Any] = {
        "num_layers": layers,
        "mixers": "" if set(mixers) == {"F"} else mixers,
        "feeds": "" if set(feeds) == {"D"} else feeds,
        "dense_layers": feeds.count("D") if "E" in feeds else 0,
        "full_attention_layers": mixers.count("F") + mixers.count("H"),
        "sliding_window": _window(text) if "W" in mixers else None,
        "attention": _kind(mixers, attention),
        "shared_kv_layers": count_of(text, "num_kv_shared_layers"),
        **_window_fields(text, attention, mixers),
        **_linear_fields(text, mixers),
        **_space_fields(text, mixers),
        **_index_fields(text, traits, layers),
    }
    if text.get("hidden_size_per_layer_input"):
        fields["per_layer_input"] = _per_layer_input(text)
    widths = text.get("intermediate_size")
    if isinstance(widths, list) and len(set(widths)) > 1:
        fields["layer_widths"] = tuple(widths)
    return fields


def _blocks(text: Mapping[str, Any]) -> list[str]:
    """Letters of a pattern in which a layer holds one thing alone (Nemotron-H)."""
    pattern = text.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return list(pattern)
    words = text.get("layers_block_type")
    if isinstance(words, list) and {"moe", "mlp"} & set(words):
        return [BLOCK_WORDS[word] for word in words]
    return []


def _mixers(text: Mapping[str, Any], layers: int) -> str:
    return next(letters for read in READERS if (letters := read(text, layers)))


def _typed(text: Mapping[str, Any], layers: int) -> str:
    """A word for each layer; newer files call every layer without a growing cache linear."""
    types = text.get("layer_types") or text.get("layers_block_type")
    if not isinstance(types, list):
        return ""
    letters = "".join(LAYER_TYPES.get(str(word), "?") for word in types[:layers])
    kind = str(text.get("model_type"))
    if kind.startswith("minimax"):
        return letters.replace("L", "N")
    if kind.startswith("kimi_linear"):
        return letters.replace("L", "K")
    if any(text.get(name) for name in STATE_KEYS):
        return letters.replace("L", "M")
    return _unwindowed(text, letters)


def _numbered(text: Mapping[str, Any], layers: int) -> str:
    """A number for each layer, or numbers of layers."""
    for name, letters in NUMBERED.items():
        if isinstance(text.get(name), list):
            return "".join(letters.get(number, "?") for number in text[name][:layers])
    for name, other in INDICES.items():
        if isinstance(text.get(name), list):
            return "".join("F" if place in set(text[name]) else other for place in range(layers))
    given = text.get("linear_attn_config")
    if isinstance(given, dict):  # Kimi counts its layers from one
        return "".join("F" if place + 1 in set(given["full_attn_layers"]) else "K" for place in range(layers))
    return ""


def _jamba(text: Mapping[str, Any], layers: int) -> str:
    period, offset = count_of(text, "attn_layer_period"), count_of(text, "attn_layer_offset")
    return "".join("F" if place % period == offset else "S" for place in range(layers)) if period else ""


def _periodic(text: Mapping[str, Any], layers: int) -> str:
    """Letters of families that state a period, or only a window."""
    kind = str(text.get("model_type"))
    if kind.startswith("falcon_h1"):
        return "H" * layers
    if text.get("linear_num_value_heads"):
        period = count_of(text, "full_attention_interval") or 4
        return "".join("F" if (place + 1) % period == 0 else "L" for place in range(layers))
    if text.get("mamba_d_state") or text.get("ssm_state_size") or text.get("state_size"):
        return "?" * layers
    period = count_of(text, "sliding_window_pattern") or ALTERNATING.get(kind, 0)
    if period and _window(text):
        return "".join("F" if (place + 1) % period == 0 else "W" for place in range(layers))
    return _unwindowed(text, ("W" if _window(text) else "F") * layers)


READERS = (_typed, _numbered, _jamba, _periodic)


def _unwindowed(text: Mapping[str, Any], letters: str) -> str:
    """A window that is switched off, or as long as the context, is none."""
    window = _window(text)
    longest = count_of(text, "max_position_embeddings")
    is_off = text.get("use_sliding_window") is False or (window and longest and window >= longest)
    return letters.replace("W", "F") if is_off else letters


def _window(text: Mapping[str, Any]) -> int:
    return count_of(text, "sliding_window", "attention_chunk_size", "sliding_window_size")


def _feeds(text: Mapping[str, Any], layers: int) -> str:
    if text.get("enable_moe_block"):
        return "B" * layers
    if not count_of(text, "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"):
        return "D" * layers
    if text.get("enable_moe_block") is False:
        return "D" * layers
    types = text.get("mlp_layer_types")
    if isinstance(types, list):
        return "".join(FEED_TYPES.get(str(word), "?") for word in types)
    frequency = text.get("moe_layer_freq")
    if isinstance(frequency, list):
        return "".join("E" if one else "D" for one in frequency)
    step = count_of(text, "interleave_moe_layer_step", "decoder_sparse_step", "expert_layer_period") or 1
    offset = text.get("expert_layer_offset", step - 1)
    dense = count_of(text, "first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    alone = set(text.get("mlp_only_layers") or ())
    mixed = _listed(text.get("moe_layers_enum"))
    return "".join(
        "E"
        if (place in mixed if mixed else place % step == offset and place >= dense and place not in alone)
        else "D"
        for place in range(layers)
    )


def _listed(value: Any) -> set[int]:
    return {int(part) for part in value.split(",")} if isinstance(value, str) and value else set()


def _kind(mixers: str, attention: Mapping[str, Any]) -> str:
    """The kind of attention as the catalogue names it."""
    latent, heads = attention.get("kv_lora_rank"), attention["num_kv_heads"]
    kind = "mla" if latent else "mqa" if heads == 1 else "mha" if heads == attention["num_heads"] else "gqa"
    if "?" in mixers:
        return "of a kind that its config names and no rule reads"
    for letters, name in (("XY", "hybrid-compressed"), ("MSH", "hybrid-mamba"), ("C", "hybrid-conv")):
        if set(letters) & set(mixers):
            return name
    if set("LKN") & set(mixers):
        return "hybrid-linear" + ("+mla" if latent else "")
    return kind + ("+swa" if "W" in mixers else "")


def _window_fields(text: Mapping[str, Any], attention: Mapping[str, Any], mixers: str) -> dict[str, Any]:
    """Windowed layers' own shape, or the full layers' where theirs has names of its own (Gemma 4)."""
    if "W" not in mixers or text.get("compress_ratios"):
        return {}
    heads, kv_heads = count_of(text, "num_attention_heads"), int(attention["num_kv_heads"])
    head_dim = int(attention["head_dim"])
    if text.get("global_head_dim"):
        window = AttentionShape(heads, kv_heads, head_dim, head_dim, keys_are_values=False)
        return {
            "window": window,
            "head_dim": count_of(text, "global_head_dim"),
            "num_kv_heads": count_of(text, "num_global_key_value_heads") or kv_heads,
            "keys_are_values": bool(text.get("attention_k_eq_v")),
        }
    other = text.get("attention_other_setting")
    if isinstance(other, dict):
        groups = count_of(other, "num_attention_groups") or kv_heads
        return {
            "window": AttentionShape(
                count_of(other, "num_attention_heads") or heads,
                groups,
                head_dim,
                head_dim,
                keys_are_values=False,
            )
        }
    if not text.get("swa_num_attention_heads"):
        return {}
    own = count_of(text, "swa_head_dim") or head_dim
    window = AttentionShape(
        count_of(text, "swa_num_attention_heads"),
        count_of(text, "swa_num_key_value_heads") or kv_heads,
        own,
        count_of(text, "swa_v_head_dim") or own,
        keys_are_values=False,
    )
    return {"window": window}


def _linear_fields(text: Mapping[str, Any], mixers: str) -> dict[str, Any]:
    names = ("linear_key_heads", "linear_value_heads", "linear_key_dim", "linear_value_dim", "linear_conv")
    shape: tuple[int, ...]
    if "K" in mixers:
        given = text.get("linear_attn_config") or text
        heads, dim = (
            count_of(given, "linear_num_heads", "num_heads"),
            count_of(given, "linear_head_dim", "head_dim"),
        )
        conv = count_of(given, "linear_conv_kernel_dim", "short_conv_kernel_size")
        shape = (heads, heads, dim, dim, conv)
    elif "N" in mixers:
        heads = count_of(text, "num_attention_heads")
        dim = count_of(text, "head_dim") or count_of(text, "hidden_size") // heads
        shape = (heads, heads, dim, dim, 0)
    elif "L" in mixers:
        keys = ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim")
        shape = tuple(
            count_of(text, name) for name in (*keys, "linear_value_head_dim", "linear_conv_kernel_dim")
        )
    elif "C" in mixers:
        return {"linear_conv": count_of(text, "conv_L_cache")}
    else:
        return {}
    return dict(zip(names, shape, strict=True))


def _space_fields(text: Mapping[str, Any], mixers: str) -> dict[str, Any]:
    if "S" in mixers:
        inner = (count_of(text, "mamba_expand") or 2) * count_of(text, "hidden_size")
        rank = text.get("mamba_dt_rank")
        rank = rank if isinstance(rank, int) else -(-count_of(text, "hidden_size") // 16)
        state, conv = count_of(text, "mamba_d_state"), count_of(text, "mamba_d_conv")
        return {"state_space": StateSpace(heads=inner, head_dim=1, state=state, conv=conv, rank=rank)}
    if not set("MH") & set(mixers):
        return {}
    space = StateSpace(
        heads=positive_of(text, "mamba_num_heads", "mamba_n_heads"),
        head_dim=positive_of(text, "mamba_head_dim", "mamba_d_head"),
        state=positive_of(text, "ssm_state_size", "mamba_d_state"),
        conv=positive_of(text, "conv_kernel", "mamba_d_conv"),
        groups=count_of(text, "n_groups", "mamba_n_groups") or 1,
        is_normed=bool(text.get("mamba_rms_norm", "H" not in mixers)),
    )
    return {"state_space": space}


def _index_fields(text: Mapping[str, Any], traits: Traits, layers: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if text.get("o_groups"):
        fields["compression"] = Compression(
            count_of(text, "o_groups"), count_of(text, "o_lora_rank"), count_of(text, "hc_mult")
        )
    if text.get("index_n_heads"):
        types = text.get("indexer_types") or ()
        shared = sum(word == "shared" for word in types) if isinstance(types, Sequence) else 0
        fields["index"] = Indexer(count_of(text, "index_n_heads"), count_of(text, "index_head_dim"), shared)
    sparse = text.get("sparse_attention_config")
    if isinstance(sparse, dict) and sparse.get("sparse_num_index_heads"):
        on = sparse.get("sparse_attention_freq") or [1] * layers
        fields["index"] = Indexer(
            count_of(sparse, "sparse_num_index_heads"), count_of(sparse, "sparse_index_dim"), on.count(0)
        )
    elif traits.index and "index" not in fields:
        fields["index"] = traits.index
    return fields


def _per_layer_input(text: Mapping[str, Any]) -> PerLayerInput:
    streams = count_of(text, "altup_num_inputs")
    return PerLayerInput(
        width=count_of(text, "hidden_size_per_layer_input"),
        vocab=count_of(text, "vocab_size_per_layer_input", "vocab_size"),
        streams=max(0, streams - 1),
        rank=count_of(text, "laurel_rank"),
    )
