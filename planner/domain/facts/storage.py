"""What a scheme stores for each tensor, whole or as one tensor-parallel rank holds it.

Only the seven linears of a layer are quantized; embeddings, head, norms and biases stay in 16 bits, which is
what llm-compressor's recipes (`ignore: lm_head`) and the published GPTQ and AWQ checkpoints do. In GGUF
llama.cpp's mix decides for every matrix (facts/gguf.py).

Split over `tp` ranks: q, k, v, gate, up by output rows (whole KV heads, repeated when there are fewer heads
than ranks), o and down by input columns, embedding and head by vocabulary rows padded to 64 x tp; vectors
are repeated on every rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.domain.facts.gguf import GgufTables, tensor_types
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.tensors import LINEAR_ROLES, ROW_PARALLEL_ROLES, Tensor

BLOCK = 128
VOCAB_PADDING = 64
"""vLLM pads the vocabulary to a multiple of 64 before it is split (vocab_parallel_embedding.py)."""


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes of a checkpoint's tensor data by where they sit; `layers` is the sum over all layers."""

    layers: int
    embedding: int
    head: int
    """0 when the head is tied to the embedding."""
    final_norm: int

    @property
    def total(self) -> int:
        """All tensor data."""
        return self.layers + self.embedding + self.head + self.final_norm


def stored_bytes(
    model: ModelFacts, layout: Sequence[Tensor], scheme: Scheme, group_size: int | None, gguf: GgufTables
) -> StoredBytes:
    """Bytes of tensor data on disk, unsplit."""
    if scheme.is_gguf_mix:
        return _gguf_bytes(model, layout, scheme.name, gguf)
    return rank_bytes(model, layout, scheme, group_size, tp=1)


def rank_bytes(
    model: ModelFacts, layout: Sequence[Tensor], scheme: Scheme, group_size: int | None, *, tp: int
) -> StoredBytes:
    """Bytes that the worst of `tp` ranks holds of a compressed-tensors, GPTQ, AWQ or 16-bit checkpoint."""
    layers = embedding = head = 0
    for tensor in layout:
        shard = _shard(tensor, model, tp)
        if tensor.role in LINEAR_ROLES:
            size = matrix_bytes(shard.rows, shard.columns, scheme, group_size)
        else:
            size = 2 * shard.elements
        if tensor.role == "embedding":
            embedding += size
        elif tensor.role == "head":
            head += size
        else:
            layers += size * tensor.count
    final_norm = 2 * model.hidden_size
    return StoredBytes(layers - final_norm, embedding, head, final_norm)


def matrix_bytes(rows: int, columns: int, scheme: Scheme, group_size: int | None) -> int:
    """Bytes of one quantized matrix of `rows` outputs by `columns` inputs, scales and all."""
    weight_bits = rows * columns * scheme.weight_bits
    match scheme.scales:
        case "none":
            scales = 0
        case "channel":
            scales = rows
        case "group":
            scales = rows * -(-columns // group_size) if group_size else rows
        case "block":
            scales = -(-rows // BLOCK) * -(-columns // BLOCK)
    metadata_bits = scales * (8 * scheme.scale_bytes + scheme.zero_point_bits)
    return int(weight_bits + metadata_bits + 7) // 8 + scheme.matrix_bytes + columns * scheme.index_bytes


def bits_per_weight(stored: StoredBytes, parameters: int) -> float:
    """Stored bits over parameters, everything counted."""
    return 8 * stored.total / parameters


def _shard(tensor: Tensor, model: ModelFacts, tp: int) -> Tensor:
    if tp == 1 or tensor.role in {"norm", "head_norm"}:
        return tensor
    if tensor.role in {"embedding", "head"}:
        padding = VOCAB_PADDING * tp
        padded_rows = -(-tensor.rows // padding) * padding
        return Tensor(tensor.role, padded_rows // tp, tensor.columns, tensor.count)
    if tensor.role in ROW_PARALLEL_ROLES:
        return Tensor(tensor.role, tensor.rows, -(-tensor.columns // tp), tensor.count)
    if tensor.role in {"k", "v", "kv_bias"}:
        width = model.head_dim * max(1, -(-model.num_kv_heads // tp))
        if tensor.role == "kv_bias":
            return Tensor(tensor.role, 1, width, tensor.count)
        return Tensor(tensor.role, width, tensor.columns, tensor.count)
    if tensor.role == "q_bias":
        return Tensor(tensor.role, 1, -(-tensor.columns // tp), tensor.count)
    return Tensor(tensor.role, -(-tensor.rows // tp), tensor.columns, tensor.count)


def _gguf_bytes(model: ModelFacts, layout: Sequence[Tensor], ftype: str, tables: GgufTables) -> StoredBytes:
    layers = embedding = head = 0
    for tensor, ggml_type, count in tensor_types(model, layout, ftype, tables):
        size = tensor.rows * ggml_type.row_bytes(tensor.columns) * count
        if tensor.role == "embedding":
            embedding += size
        elif tensor.role == "head":
            head += size
        else:
            layers += size
    final_norm = 4 * model.hidden_size
    return StoredBytes(layers - final_norm, embedding, head, final_norm)
