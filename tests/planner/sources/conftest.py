"""Checkpoints on disk: real config.json and safetensors headers around weights of zeros."""

import json
import struct
from pathlib import Path

import pytest

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 256,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
PARAMETERS = 256 * 64 + 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64) + 64
"""Embedding; two layers of q and o, k and v, three of the MLP, two norms; final norm: 90,432."""


def shapes_of(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden], "model.norm.weight": [hidden]}
    for layer in range(config["num_hidden_layers"]):
        start = f"model.layers.{layer}"
        shapes |= {
            f"{start}.self_attn.q_proj.weight": [hidden, hidden],
            f"{start}.self_attn.k_proj.weight": [kv, hidden],
            f"{start}.self_attn.v_proj.weight": [kv, hidden],
            f"{start}.self_attn.o_proj.weight": [hidden, hidden],
            f"{start}.mlp.gate_proj.weight": [inner, hidden],
            f"{start}.mlp.up_proj.weight": [inner, hidden],
            f"{start}.mlp.down_proj.weight": [hidden, inner],
            f"{start}.input_layernorm.weight": [hidden],
            f"{start}.post_attention_layernorm.weight": [hidden],
        }
    return shapes


def write_safetensors(path: Path, shapes) -> None:
    """A file of zeros in 16 bits with these shapes."""
    header, position = {}, 0
    for name, shape in shapes.items():
        size = 2
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(position))


@pytest.fixture
def a_checkpoint(tmp_path):
    """A folder with a checkpoint of 90,432 parameters, in one file or in shards."""

    def build(name="tiny", *, shards=1, more=None, **config) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        described = {key: value for key, value in {**CONFIG, **config}.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")
        shapes = {**shapes_of(CONFIG), **(more or {})}
        if shards == 1:
            write_safetensors(folder / "model.safetensors", shapes)
            return folder
        names = sorted(shapes)
        weight_map = {}
        for number in range(shards):
            part = f"model-{number + 1:05}-of-{shards:05}.safetensors"
            mine = names[number::shards]
            write_safetensors(folder / part, {key: shapes[key] for key in mine})
            weight_map |= dict.fromkeys(mine, part)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        return folder

    return build
