"""Cells of `models.csv` that tell one layer from another → fields of the facts.

`layers` holds words of the form name=value: `mixers` and `feeds` (a letter a layer, facts/layers.py; `4x(3W1F)`
repeats) and shapes whose parts stand between slashes. Older cells say the same in prose:
`mamba2 layers=23 heads=64 … ; pattern MEM*E`, `full layers: head_dim 512, kv heads 2, k_eq_v True`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from planner.domain.facts.model import AttentionShape, Compression, Indexer, PerLayerInput, StateSpace

BLOCKS = {"M": "M-", "E": "-E", "*": "F-", "-": "-D"}
"""Letters of a block pattern, in which a layer holds one thing alone: its mixer and feed."""
REPEATED = re.compile(r"(\d+)x?\(([^()]*)\)|(\d+)([A-Z-])")
SPACE = re.compile(r"heads=(\d+) head_dim=(\d+) groups=(\d+) state=(\d+) conv=(\d+)")
FULL_LAYERS = re.compile(r"full layers: head_dim (\d+), kv heads (\d+), k_eq_v (True|False)")


def read_layers(row: Mapping[str, str], heads: int, kv_heads: int, head_dim: int) -> dict[str, Any]:
    """Fields that a row's cells about layers give; KV heads and head width of its full layers always."""
    fields: dict[str, Any] = {"num_kv_heads": kv_heads, "head_dim": head_dim}
    prose = row["linear_state_fields"]
    if full := FULL_LAYERS.search(prose):
        fields["window"] = AttentionShape(heads, kv_heads, head_dim, head_dim, keys_are_values=False)
        fields |= {"head_dim": int(full[1]), "num_kv_heads": int(full[2])}
        fields["keys_are_values"] = full[3] == "True"
    if space := SPACE.search(prose):
        fields["state_space"] = read_space([space[1], space[2], space[4], space[5], space[3]])
        fields |= read_blocks(prose.partition("pattern ")[2])
    for word in row.get("layers", "").split():
        name, _, value = word.partition("=")
        fields |= read_word(name, value)
    return fields


def read_word(name: str, value: str) -> dict[str, Any]:
    """Fields of one word of the cell `layers`.

    Raises:
        ValueError: the word is none of those known.
    """
    if name not in WORDS:
        raise ValueError(f"layers: unknown word {name!r}")
    return WORDS[name](value)


def read_blocks(pattern: str) -> dict[str, str]:
    """Mixers and feeds of a block pattern such as `MEM*E`."""
    pairs = [BLOCKS[letter] for letter in pattern.strip()]
    return {"mixers": "".join(pair[0] for pair in pairs), "feeds": "".join(pair[1] for pair in pairs)}


def read_space(parts: list[str]) -> StateSpace:
    """A state space from heads, head width, state, convolution, groups, rank; `unnormed` at the end."""
    names = ("heads", "head_dim", "state", "conv", "groups", "rank")
    numbers = [int(part) for part in parts if part.isdigit()]
    return StateSpace(**dict(zip(names, numbers, strict=False)), is_normed="unnormed" not in parts)


def repeat(text: str) -> str:
    """Letters with their counts written out: `2x(3W1F)` is WWWFWWWF."""
    while found := REPEATED.search(text):
        count, letters = (found[1], found[2]) if found[1] else (found[3], found[4])
        inner = repeat(letters) if found[1] else letters
        text = text[: found.start()] + inner * int(count) + text[found.end() :]
    return text


def _numbers(value: str) -> list[int]:
    return [int(part) for part in value.split("/")]


def _read_shape(heads: int, kv_heads: int, head_dim: int, value_dim: int) -> AttentionShape:
    return AttentionShape(heads, kv_heads, head_dim, value_dim, keys_are_values=False)


DELTA = ("linear_key_heads", "linear_value_heads", "linear_key_dim", "linear_value_dim", "linear_conv")
WORDS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "mixers": lambda value: {"mixers": repeat(value)},
    "feeds": lambda value: {"feeds": repeat(value)},
    "blocks": read_blocks,
    "window": lambda value: {"window": _read_shape(*_numbers(value))},
    "space": lambda value: {"state_space": read_space(value.split("/"))},
    "delta": lambda value: dict(zip(DELTA, _numbers(value), strict=True)),
    "index": lambda value: {"index": Indexer(*_numbers(value))},
    "per_layer": lambda value: {"per_layer_input": PerLayerInput(*_numbers(value))},
    "compression": lambda value: {"compression": Compression(*_numbers(value))},
    "conv": lambda value: {"linear_conv": int(value)},
    "expert_latent": lambda value: {"expert_latent": int(value)},
    "shared_kv_layers": lambda value: {"shared_kv_layers": int(value)},
}
