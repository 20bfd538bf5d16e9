"""A checkpoint in a local folder: its config and safetensors headers, never its weights.

The config's fields (config_fields.py) and the headers must tell the same story; when they do not, the checkpoint
is refused with what disagrees, because a size computed from a config that lies is worth nothing. A folder with a
config and no weights at all is sized from its fields.
"""

import json
import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.domain.errors import UnknownModel
from planner.domain.facts.model import ModelFacts, Traits
from planner.domain.facts.tensors import count_described_parameters
from planner.sources.config_fields import NESTED, architecture_of, read_architecture
from planner.sources.config_words import first_of

CONFIG_LIMIT_BYTES = 4 << 20
HEADER_LENGTH_BYTES = 8
HEADER_LIMIT_BYTES = 100 << 20
"""safetensors itself refuses headers above 100 MB."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
WEIGHT_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack"})
TOWER_NAMES = re.compile(
    r"(?:^|\.)(?:visual|vision\w*|multi_modal_projector|mm_projector|audio\w*|embed_vision)\."
)
LAYER_NUMBER = re.compile(r"\blayers\.(\d+)\.")
QUERY_BIAS = re.compile(r"(?:q_proj|query_key_value|c_attn|Wqkv)\.bias$")
QUERY_NORM = re.compile(r"(?:q_norm|q_layernorm|query_layernorm)\.weight$")
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
    if not any(path.suffix in WEIGHT_SUFFIXES for path in folder.iterdir()):
        facts = _facts_from_config(config, folder, model_id, traits)
        return replace(facts, source=f"config.json of {folder.name}, which holds no weights")
    shapes, weights_bytes = _read_headers(folder)
    described = _facts_from_config(config, folder, model_id, traits)
    facts = _with_headers(described, shapes, weights_bytes)
    if _quantized_by(config):  # packed weights and scales are not counted as parameters are
        whole = count_described_parameters(facts) + facts.extra_params - facts.loaded_extra_params
        return replace(facts, params_total=whole)
    _check_agreement(facts)
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
    config: dict[str, Any], folder: Path, model_id: str | None, traits: Mapping[str, Traits]
) -> ModelFacts:
    """Facts as the config tells them, with the parameters that it describes."""
    architecture = architecture_of(config, traits)
    known = traits.get(architecture)
    if known is not None and known.refused:
        raise UnknownModel(
            "model.layout_not_covered", f"{architecture} in {folder} cannot be sized: {known.refused}."
        )
    try:
        facts = ModelFacts(
            model_id=model_id or str(folder.resolve()),
            family=str(config.get("model_type") or "unknown"),
            architecture=architecture,
            traits=known,
            params_total=0,
            native_dtype=_native_dtype(config),
            tokenizer_bytes=sum(
                (folder / name).stat().st_size for name in TOKENIZER_FILES if (folder / name).is_file()
            ),
            metadata_bytes=gguf_metadata_bytes(folder),
            path=str(folder.resolve()),
            **read_architecture(config, known),
        )
    except (TypeError, ValueError, LookupError) as error:
        raise UnknownModel(
            "model.config_unreadable", f"{folder / 'config.json'} cannot be used: {error}."
        ) from error
    return replace(
        facts, params_total=count_described_parameters(facts) + facts.extra_params - facts.loaded_extra_params
    )


def _native_dtype(config: dict[str, Any]) -> str:
    """The released type as the catalogue names it; the method where the checkpoint was never in 16 bits."""
    method = _quantized_by(config)
    return method or str(first_of([config, _inner(config)], "dtype", "torch_dtype", default="bfloat16"))


def _quantized_by(config: dict[str, Any]) -> str | None:
    """The method that a quantized checkpoint's config names."""
    found = first_of([config, _inner(config)], "quantization_config", "compression_config")
    return str(found.get("quant_method") or "quantized") if isinstance(found, dict) else None


def _inner(config: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = next((config[name] for name in NESTED if isinstance(config.get(name), dict)), {})
    return inner


def _with_headers(facts: ModelFacts, shapes: Mapping[str, tuple[int, ...]], weights_bytes: int) -> ModelFacts:
    """Facts with what the safetensors headers say more surely: biases, norms, a tied head, towers, prediction."""
    counts = {name: _elements(shape) for name, shape in shapes.items()}
    towers = sum(count for name, count in counts.items() if TOWER_NAMES.search(name))
    predicted = sum(
        count
        for name, count in counts.items()
        if _is_prediction(name, facts.num_layers) and not TOWER_NAMES.search(name)
    )
    return replace(
        facts,
        qkv_bias=any(QUERY_BIAS.search(name) for name in shapes)
        or (facts.qkv_bias and not _has_query(shapes)),
        qk_norm=any(QUERY_NORM.search(name) for name in shapes) or (facts.qk_norm and not _has_query(shapes)),
        extra_params=towers + predicted,
        vision_params=towers,
        extra_holds=" and ".join(
            name
            for name, count in (("vision tower", towers), ("layers of multi-token prediction", predicted))
            if count
        ),
        params_total=sum(counts.values()),
        weights_bytes=weights_bytes,
        source=f"config.json and safetensors headers of {Path(facts.path or '').name}",
    )


def _has_query(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether queries stand under the usual name, so that what is absent beside them is absent."""
    return any(name.endswith("q_proj.weight") for name in shapes)


def _is_prediction(name: str, layers: int) -> bool:
    found = LAYER_NUMBER.search(name)
    return name.startswith(("mtp.", "model.mtp")) or (found is not None and int(found[1]) >= layers)


def _check_agreement(facts: ModelFacts) -> None:
    """A dense model's fields and headers must agree to the parameter; for others the layout's own check decides."""
    is_plain = not facts.num_experts and not facts.mixers and not facts.extra_params
    if facts.traits is None or not is_plain or facts.attention not in {"mha", "gqa", "mqa"}:
        return
    claimed = count_described_parameters(facts)
    if claimed != facts.params_total:
        raise UnknownModel(
            "model.config_lies",
            f"config.json in {facts.path} describes {claimed:,} parameters, its safetensors headers hold "
            f"{facts.params_total:,}. One of them is of another model: fetch the checkpoint again.",
        )


def _elements(shape: tuple[int, ...]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product
