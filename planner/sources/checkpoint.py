"""A checkpoint in a local folder: its config and safetensors headers, never its weights.

The config's fields and the headers must tell the same story; when they do not, the checkpoint is refused with
what disagrees, because a size computed from a config that lies is worth nothing.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.domain.errors import UnknownModel
from planner.domain.facts.model import ModelFacts, Traits
from planner.domain.facts.tensors import count_described_parameters

CONFIG_LIMIT_BYTES = 4 << 20
HEADER_LENGTH_BYTES = 8
HEADER_LIMIT_BYTES = 100 << 20
"""safetensors itself refuses headers above 100 MB."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
)


def read_checkpoint(folder: Path, traits: Mapping[str, Traits], model_id: str | None = None) -> ModelFacts:
    """Facts of the checkpoint in `folder`.

    Args:
        folder: holds config.json and safetensors files.
        traits: what is known of architectures, by name.
        model_id: name to give it; the folder's absolute path otherwise, so that no other folder shares it.

    Raises:
        UnknownModel: `model.no_folder`, `model.no_config`, `model.config_unreadable`, `model.config_lies`,
            `model.shard_missing`, `model.shard_unreadable`, `model.no_safetensors`, `model.tokenizer_unreadable`.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise UnknownModel(
            "model.no_folder", f"There is no folder {folder}. Name a model id or an existing folder."
        )
    config = _read_json(folder / "config.json", "model.no_config")
    shapes, weights_bytes = _read_headers(folder)
    elements = sum(_elements(shape) for shape in shapes.values())
    facts = _facts_from_config(config, folder, model_id, elements, weights_bytes)
    facts = replace(
        facts,
        traits=traits.get(facts.architecture),
        qkv_bias=any(name.endswith("q_proj.bias") for name in shapes),
        qk_norm=any(name.endswith("q_norm.weight") for name in shapes),
    )
    _check_agreement(facts, elements)
    return facts


def gguf_metadata_bytes(folder: Path) -> int | None:
    """Bytes that the tokenizer's arrays take in a GGUF header: tokens, types and merges, 8-byte lengths.

    None where the folder has no tokenizer.json.

    Raises:
        UnknownModel: `model.tokenizer_unreadable`.
    """
    if not (folder / "tokenizer.json").is_file():
        return None
    try:
        return _count_tokenizer_bytes(folder)
    except (ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError) as error:
        raise UnknownModel(
            "model.tokenizer_unreadable",
            f"tokenizer.json or tokenizer_config.json in {folder} is cut off or no tokenizer "
            f"({error}). Fetch it again.",
        ) from error


def _count_tokenizer_bytes(folder: Path) -> int:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = tokenizer.get("model", {})
    vocabulary = model.get("vocab") or {}
    tokens = vocabulary if isinstance(vocabulary, dict) else {entry[0]: 0 for entry in vocabulary}
    added = {entry["content"] for entry in tokenizer.get("added_tokens", ())}
    total = sum(8 + len(token.encode()) + 4 for token in {*tokens, *added})
    for merge in model.get("merges") or ():
        pair = merge if isinstance(merge, str) else " ".join(merge)
        total += 8 + len(pair.encode())
    template = folder / "chat_template.jinja"
    if template.is_file():
        return total + template.stat().st_size
    configured = folder / "tokenizer_config.json"
    if configured.is_file():
        total += len(json.loads(configured.read_text(encoding="utf-8")).get("chat_template") or "")
    return total


def _read_json(path: Path, missing_code: str) -> dict[str, Any]:
    if not path.is_file():
        raise UnknownModel(missing_code, f"{path.parent} has no {path.name}: it is not a checkpoint folder.")
    if path.stat().st_size > CONFIG_LIMIT_BYTES:
        raise UnknownModel(
            "model.config_unreadable", f"{path} is larger than any {path.name}: it is not read."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UnknownModel(
            "model.config_unreadable", f"{path} is cut off or not JSON ({error}). Fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise UnknownModel("model.config_unreadable", f"{path} does not hold a JSON object.")
    return content


def _read_headers(folder: Path) -> tuple[dict[str, tuple[int, ...]], int]:
    if (folder / INDEX).is_file():
        names = _list_shards(_read_json(folder / INDEX, "model.no_safetensors"), folder / INDEX)
    else:
        names = (
            [SINGLE]
            if (folder / SINGLE).is_file()
            else sorted(path.name for path in folder.glob("*.safetensors"))
        )
    if not names:
        raise UnknownModel(
            "model.no_safetensors",
            f"{folder} has no safetensors files. Pickled weights are not read: convert them first.",
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UnknownModel(
            "model.shard_missing",
            f"{folder} lacks {len(missing)} of {len(names)} shards: {', '.join(missing[:3])}. Fetch them again.",
        )
    shapes: dict[str, tuple[int, ...]] = {}
    weights_bytes = 0
    for name in names:
        header, data_bytes = _read_header(folder / name)
        weights_bytes += data_bytes
        shapes.update({key: tuple(entry["shape"]) for key, entry in header.items() if key != "__metadata__"})
    return shapes, weights_bytes


def _list_shards(index: dict[str, Any], path: Path) -> list[str]:
    weight_map = index.get("weight_map") or {}
    found = list(weight_map.values()) if isinstance(weight_map, dict) else [None]
    names = {name for name in found if isinstance(name, str) and name == Path(name).name}
    if len(names) < len(set(map(str, found))):
        raise UnknownModel(
            "model.config_unreadable", f"{path} does not list shards beside it by name. Fetch it again."
        )
    return sorted(names)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            if size < HEADER_LENGTH_BYTES:
                raise ValueError("it is empty" if size == 0 else f"it has {size} bytes")
            (length,) = struct.unpack("<Q", file.read(HEADER_LENGTH_BYTES))
            if length > min(HEADER_LIMIT_BYTES, size):
                raise ValueError(f"its header claims {length:,} bytes")
            header = json.loads(file.read(length))
        entries = [entry for key, entry in header.items() if key != "__metadata__"]
        if not all(isinstance(extent, int) and extent >= 0 for entry in entries for extent in entry["shape"]):
            raise ValueError("a shape in its header is no list of counts")
        data_bytes = max((int(entry["data_offsets"][1]) for entry in entries), default=0)
        if size != 8 + length + data_bytes:
            raise ValueError(f"it has {size:,} bytes where its header says {8 + length + data_bytes:,}")
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OSError,
        RecursionError,
        struct.error,
    ) as error:
        raise UnknownModel(
            "model.shard_unreadable", f"{path} is cut off or no safetensors file: {error}. Fetch it again."
        ) from error
    return header, data_bytes


def _facts_from_config(
    config: dict[str, Any], folder: Path, model_id: str | None, elements: int, weights_bytes: int
) -> ModelFacts:
    try:
        heads = _positive(config, "num_attention_heads")
        hidden = _positive(config, "hidden_size")
        kv_heads = _positive(config, "num_key_value_heads", heads)
        architectures = config.get("architectures") or [""]
        facts = ModelFacts(
            model_id=model_id or str(folder.resolve()),
            family=str(config.get("model_type") or "unknown"),
            architecture=str(architectures[0]),
            hidden_size=hidden,
            num_layers=_positive(config, "num_hidden_layers"),
            num_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=_positive(config, "head_dim", hidden // heads),
            intermediate_size=_positive(config, "intermediate_size"),
            vocab_size=_positive(config, "vocab_size"),
            tie_embeddings=bool(config.get("tie_word_embeddings", False)),
            max_position=_positive(config, "max_position_embeddings"),
            attention=_attention_kind(config, heads, kv_heads),
            sliding_window=_optional(config, "sliding_window"),
            kv_lora_rank=_optional(config, "kv_lora_rank") or 0,
            q_lora_rank=_optional(config, "q_lora_rank") or 0,
            qk_nope_head_dim=_optional(config, "qk_nope_head_dim") or 0,
            qk_rope_head_dim=_optional(config, "qk_rope_head_dim") or 0,
            v_head_dim=_optional(config, "v_head_dim") or 0,
            **_experts(config),
            params_total=elements,
            native_dtype=str(config.get("dtype") or config.get("torch_dtype") or "bfloat16"),
            weights_bytes=weights_bytes,
            tokenizer_bytes=sum(
                (folder / name).stat().st_size for name in TOKENIZER_FILES if (folder / name).is_file()
            ),
            metadata_bytes=gguf_metadata_bytes(folder),
            path=str(folder.resolve()),
            source=f"config.json and safetensors headers of {folder.name}",
        )
    except (TypeError, ValueError, LookupError) as error:
        raise UnknownModel(
            "model.config_unreadable", f"{folder / 'config.json'} cannot be used: {error}."
        ) from error
    return facts


def _attention_kind(config: dict[str, Any], heads: int, kv_heads: int) -> str:
    """The kind as the catalogue names it; a kind this does not know is named, and then refused by name."""
    if config.get("kv_lora_rank"):
        return "mla"
    for unknown in ("linear_num_value_heads", "mamba_d_state", "ssm_state_size", "index_topk"):
        if config.get(unknown):
            return f"of a kind with {unknown}, which is read from the catalogue only"
    if config.get("sliding_window") and config.get("use_sliding_window", True):
        return "with a sliding window, which is read from the catalogue only"
    return "mha" if heads == kv_heads else "gqa"


def _experts(config: dict[str, Any]) -> dict[str, Any]:
    experts = next(
        (
            int(config[name])
            for name in ("num_local_experts", "num_experts", "n_routed_experts")
            if config.get(name)
        ),
        0,
    )
    if not experts:
        return {}
    width = _positive(config, "moe_intermediate_size", _positive(config, "intermediate_size"))
    shared = _optional(config, "shared_expert_intermediate_size")
    return {
        "num_experts": experts,
        "experts_per_token": _positive(config, "num_experts_per_tok"),
        "moe_intermediate_size": width,
        "shared_intermediate_size": shared or width * (_optional(config, "n_shared_experts") or 0),
        "dense_layers": _optional(config, "first_k_dense_replace") or 0,
    }


def _optional(config: dict[str, Any], name: str) -> int | None:
    return _positive(config, name) if config.get(name) else None


def _positive(config: dict[str, Any], name: str, default: int | None = None) -> int:
    value = config.get(name, default)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"{name} is {value!r}, a positive whole number is needed")
    return value


def _check_agreement(facts: ModelFacts, elements: int) -> None:
    """A dense model's fields and headers must agree to the parameter; for others the layout's own check decides."""
    if facts.traits is None or facts.num_experts or facts.attention not in {"mha", "gqa"}:
        return
    claimed = count_described_parameters(facts)
    if claimed != elements:
        raise UnknownModel(
            "model.config_lies",
            f"config.json in {facts.path} describes {claimed:,} parameters, its safetensors headers hold "
            f"{elements:,}. One of them is of another model: fetch the checkpoint again.",
        )


def _elements(shape: tuple[int, ...]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product
