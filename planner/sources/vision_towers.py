"""Parameters of the towers that a config describes beside its language model.

Counted against the same models in transformers 5.17 (Qwen2-VL to Qwen3.5, Gemma 4) or the published count (Pixtral in
Ministral 3, SigLIP in Gemma 3, MoonViT in Kimi-K2.5). A tower of any other kind is named, and its model refused
unless its files say how much it holds.
"""

from collections.abc import Callable, Mapping
from typing import Any

from planner.sources.config_words import count_of

TOWERS = ("vision_config", "visual", "vision_tower_config")
SOUND = ("audio_config", "audio_tower_config")


def count_tower(config: Mapping[str, Any], hidden: int) -> int:
    """Parameters of all towers with their projections into a language model of width `hidden`; 0 without one.

    Raises:
        ValueError: a tower is of a kind that is not counted.
    """
    sound = next((name for name in SOUND if isinstance(config.get(name), dict)), None)
    if sound:
        raise ValueError(f"the size of the tower in {sound} is not known")
    tower = next((config[name] for name in TOWERS if isinstance(config.get(name), dict)), None)
    if tower is None:
        return 0
    kind = str(tower.get("model_type") or config.get("model_type"))
    for word, count in KINDS.items():
        if kind.startswith(word):
            return count(tower, hidden)
    raise ValueError(f"the size of a vision tower of kind {kind} is not known")


def _merged_qwen(tower: Mapping[str, Any], hidden: int) -> int:
    """Qwen3-VL and Qwen3.5: learned positions, plain feed-forwards, a merger, and more of them midway."""
    width, inner, depth = (count_of(tower, name) for name in ("hidden_size", "intermediate_size", "depth"))
    patch = count_of(tower, "in_channels") * count_of(tower, "temporal_patch_size")
    patch *= count_of(tower, "patch_size") ** 2
    merged = width * count_of(tower, "spatial_merge_size") ** 2
    out = count_of(tower, "out_hidden_size") or hidden
    block = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    merger = merged * (merged + 1) + out * (merged + 1)
    midway = len(tower.get("deepstack_visual_indexes") or ())
    return (
        width * (patch + 1)
        + count_of(tower, "num_position_embeddings") * width
        + depth * block
        + merger
        + 2 * width
        + midway * (merger + 2 * merged)
    )


def _gated_qwen(tower: Mapping[str, Any], hidden: int) -> int:
    """Qwen2.5-VL: gated feed-forwards with biases, norms without, no learned positions."""
    width, inner, depth = (count_of(tower, name) for name in ("hidden_size", "intermediate_size", "depth"))
    patch = count_of(tower, "in_channels", "in_chans") or 3
    patch *= count_of(tower, "temporal_patch_size") * count_of(tower, "patch_size") ** 2
    merged = width * count_of(tower, "spatial_merge_size") ** 2
    out = count_of(tower, "out_hidden_size") or hidden
    block = 4 * width * (width + 1) + 3 * width * inner + 2 * inner + width + 2 * width
    return width * patch + depth * block + width + merged * (merged + 1) + out * (merged + 1)


def _plain_qwen(tower: Mapping[str, Any], hidden: int) -> int:
    """Qwen2-VL: plain feed-forwards four times as wide, biases everywhere."""
    width, depth = count_of(tower, "embed_dim"), count_of(tower, "depth")
    patch = count_of(tower, "in_channels", "in_chans") or 3
    patch *= count_of(tower, "temporal_patch_size") * count_of(tower, "patch_size") ** 2
    inner = int(width * float(tower.get("mlp_ratio") or 4))
    merged = width * count_of(tower, "spatial_merge_size") ** 2
    out = count_of(tower, "hidden_size") or hidden
    block = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    return width * patch + depth * block + 2 * width + merged * (merged + 1) + out * (merged + 1)


def _gemma4(tower: Mapping[str, Any], hidden: int) -> int:
    """Gemma 4: gated feed-forwards with four norms, two tables of positions, statistics to standardize by."""
    width, inner = count_of(tower, "hidden_size"), count_of(tower, "intermediate_size")
    heads = count_of(tower, "num_attention_heads") * count_of(tower, "head_dim")
    layer = 4 * width * heads + 3 * width * inner + 4 * width + 2 * count_of(tower, "head_dim")
    patch = 3 * count_of(tower, "patch_size") ** 2 * width
    positions = 2 * count_of(tower, "position_embedding_size") * width
    return patch + positions + count_of(tower, "num_hidden_layers") * layer + width * hidden


def _pixtral(tower: Mapping[str, Any], hidden: int) -> int:
    """Pixtral with Mistral 3's projector: gated feed-forwards without biases; a merger of four patches."""
    width, inner = count_of(tower, "hidden_size"), count_of(tower, "intermediate_size")
    patch = count_of(tower, "num_channels") * count_of(tower, "patch_size") ** 2 * width
    layers = count_of(tower, "num_hidden_layers") * (4 * width**2 + 3 * width * inner + 2 * width)
    merger = MERGED_PATCHES * width**2 + width
    return patch + width + layers + merger + width * hidden + hidden**2


def _siglip(tower: Mapping[str, Any], hidden: int) -> int:
    """SigLIP with Gemma 3's projector: biases everywhere, a position for each patch."""
    width, inner = count_of(tower, "hidden_size"), count_of(tower, "intermediate_size")
    patch = count_of(tower, "patch_size")
    places = (count_of(tower, "image_size") // patch) ** 2
    layer = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    layers = count_of(tower, "num_hidden_layers") * layer
    pixels = 3 * patch**2 + 1 + places
    return pixels * width + layers + 2 * width + width * hidden + width


def _moonvit(tower: Mapping[str, Any], hidden: int) -> int:
    """Kimi's MoonViT: biases everywhere, a table of positions, a projector over four patches."""
    width, inner = count_of(tower, "vt_hidden_size"), count_of(tower, "vt_intermediate_size")
    patch = 3 * count_of(tower, "patch_size") ** 2 + 1
    places = count_of(tower, "init_pos_emb_height") * count_of(tower, "init_pos_emb_width")
    layer = 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width
    merged = MERGED_PATCHES * width
    projector = 2 * width + merged * (merged + 1) + hidden * (merged + 1)
    return (patch + places) * width + count_of(tower, "vt_num_hidden_layers") * layer + 2 * width + projector


MERGED_PATCHES = 4
"""Patches that a projector takes together."""
KINDS: Mapping[str, Callable[[Mapping[str, Any], int], int]] = {
    "qwen2_5_vl": _gated_qwen,
    "qwen2_vl": _plain_qwen,
    "qwen3_vl": _merged_qwen,
    "qwen3_5": _merged_qwen,
    "gemma4": _gemma4,
    "pixtral": _pixtral,
    "siglip": _siglip,
    "kimi_k25": _moonvit,
}
