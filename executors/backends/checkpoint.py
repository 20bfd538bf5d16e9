"""Is this folder a whole checkpoint? Asked before anything is loaded, without reading weights.

A missing shard, a cut config.json or a truncated safetensors file otherwise surfaces as a library's
traceback, or, worse, as weights that were silently initialised at random. Headers and file lengths are
checked, tensor values are not.
"""

import json
import struct
from pathlib import Path
from typing import Any

from jobwire import JobError

MAX_HEADER_BYTES = 100 * 1024**2  # the limit of the safetensors library itself


def read_config(model_dir: Path) -> dict[str, Any]:
    """The parsed config.json."""
    path = model_dir / "config.json"
    if not path.is_file():
        raise JobError(
            "backend.no_config", f"{model_dir.name} has no config.json. Download the checkpoint again."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JobError(
            "backend.bad_config",
            f"config.json of {model_dir.name} is cut off or not JSON ({error}). Download it again.",
        ) from None
    if not isinstance(config, dict) or not config.get("architectures"):
        raise JobError(
            "backend.bad_config", f"config.json of {model_dir.name} names no architecture. Download it again."
        )
    return config


def read_shapes(model_dir: Path) -> dict[str, list[int]]:
    """Every tensor's shape, by the headers of safetensors files that are whole."""
    shapes: dict[str, list[int]] = {}
    index_path = model_dir / "model.safetensors.index.json"
    promised: set[str] = set()
    if index_path.is_file():
        try:
            weight_map = json.loads(index_path.read_text(encoding="utf-8"))["weight_map"]
        except (ValueError, KeyError, TypeError):
            raise JobError(
                "backend.bad_index", f"{index_path.name} is cut off. Download the checkpoint again."
            ) from None
        promised = set(weight_map)
        files = [model_dir / name for name in sorted(set(weight_map.values()))]
    else:
        files = [model_dir / "model.safetensors"]
    for path in files:
        if not path.is_file():
            raise JobError(
                "backend.missing_shard",
                f"{path.name} is missing from {model_dir.name}. Download the checkpoint again.",
            )
        shapes.update(_read_header(path))
    if lost := sorted(promised - set(shapes)):
        raise JobError(
            "backend.missing_tensor",
            f"The index promises {lost[0]}, which no shard holds. Download them again.",
        )
    return shapes


def check_tokenizer(model_dir: Path) -> None:
    """Refuse a folder that has no tokenizer in any of the usual forms."""
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "tekken.json")
    if not any((model_dir / name).is_file() for name in names):
        raise JobError(
            "backend.no_tokenizer", f"{model_dir.name} has no tokenizer file ({', '.join(names)})."
        )


def _read_header(path: Path) -> dict[str, list[int]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        if length > min(size - 8, MAX_HEADER_BYTES):
            raise _truncated(path, size, 8 + length)
        try:
            header = json.loads(file.read(length))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            shapes = {name: list(entry["shape"]) for name, entry in tensors.items()}
            end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise JobError(
                "backend.bad_shard", f"The header of {path.name} cannot be read. Download it again."
            ) from None
    if size < 8 + length + end:
        raise _truncated(path, size, 8 + length + end)
    return shapes


def _truncated(path: Path, size: int, needed: int) -> JobError:
    return JobError(
        "backend.truncated_shard",
        f"{path.name} has {size} bytes where its header needs {needed}. Download it again.",
    )
