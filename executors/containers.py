"""Where an artifact's bytes are: tensor data, tokenizer, and the rest, by the files' own headers.

GGUF: header, key-value pairs, tensor table, padding, then tensor data with each tensor padded to the
alignment; the tokenizer is the pairs named `tokenizer.*`. Safetensors: eight bytes, a JSON header, then data;
the tokenizer is files of its own.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from executors.errors import ArtifactRejected

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
    "tekken.json",
)  # fmt: skip
# GGUF value types by number; 8 is a string, 9 an array.
SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9
DEFAULT_ALIGNMENT = 32
LONGEST_NAME = 65_535  # the format's own limit for keys


@dataclass(frozen=True, kw_only=True)
class ContentBytes:
    """Bytes of one artifact by what they hold; together, all of it but the manifest."""

    tensor_data: int
    tokenizer: int
    metadata: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.tensor_data + self.tokenizer + self.metadata


def count_content(artifact: Path) -> ContentBytes:
    """Count an artifact's bytes by kind.

    Raises:
        ArtifactRejected: `artifact.unreadable`, where a header makes no sense, and `artifact.no_weights`.
    """
    tensor_data = tokenizer = metadata = 0
    for path in sorted(
        path for path in artifact.rglob("*") if path.is_file() and path.name != "manifest.json"
    ):
        size = path.stat().st_size
        try:
            if path.suffix == ".gguf":
                tokens, head = read_gguf_sizes(path)
            elif path.suffix == ".safetensors":
                tokens, head = 0, read_safetensors_head_bytes(path)
            else:
                tokens = size if path.name in TOKENIZER_FILES else 0
                head = size
        except (struct.error, ValueError, KeyError, OverflowError) as error:
            raise ArtifactRejected(
                "artifact.unreadable",
                f"The header of {path.name} makes no sense ({error}); nothing was published.",
            ) from None
        tokenizer += tokens
        metadata += head - tokens
        tensor_data += size - head
    if tensor_data <= 0:
        raise ArtifactRejected("artifact.no_weights", "The backend wrote no weights; nothing was published.")
    return ContentBytes(tensor_data=tensor_data, tokenizer=tokenizer, metadata=metadata)


def read_safetensors_head_bytes(path: Path) -> int:
    """Bytes before the tensor data."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        json.loads(file.read(length))
    return 8 + int(length)


def read_gguf_sizes(path: Path) -> tuple[int, int]:
    """Bytes of the tokenizer's key-value pairs, and all bytes before the tensor data."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError("it is no GGUF")
        _version, tensor_count, pair_count = struct.unpack("<IQQ", file.read(20))
        tokenizer, alignment = 0, DEFAULT_ALIGNMENT
        for _ in range(pair_count):
            start = file.tell()
            key = _read_string(file)
            (kind,) = struct.unpack("<I", file.read(4))
            if key == "general.alignment":
                (alignment,) = struct.unpack("<I", file.read(4))
            else:
                _skip_value(file, kind)
            if key.startswith("tokenizer."):
                tokenizer += file.tell() - start
        for _ in range(tensor_count):
            _read_string(file)
            (axes,) = struct.unpack("<I", file.read(4))
            file.seek(8 * axes + 4 + 8, 1)  # sizes, type, offset
        head = file.tell()
    return tokenizer, head + -head % alignment


def _read_string(file: IO[bytes]) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST_NAME:
        raise ValueError(f"a name of {length} bytes")
    content = file.read(length)
    if len(content) != length:
        raise ValueError("it is cut off")
    return content.decode("utf-8")


def _skip_value(file: IO[bytes], kind: int) -> None:
    if kind == STRING:
        (length,) = struct.unpack("<Q", file.read(8))
        file.seek(length, 1)
    elif kind == ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if inner in SCALAR_BYTES:
            file.seek(SCALAR_BYTES[inner] * count, 1)
            return
        for _ in range(count):
            _skip_value(file, inner)
    else:
        file.seek(SCALAR_BYTES[kind], 1)
