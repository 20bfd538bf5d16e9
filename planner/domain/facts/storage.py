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

from planner.domain.facts.gguf import GgufTables, layer_types
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.tensors import LINEAR_ROLES, Tensor

BLOCK = 128
VOCAB_PADDING = 64
"""vLLM pads the vocabulary to a multiple of 64 before it is split (vocab_parallel_embedding.py)."""


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes of a checkpoint's tensor data by where they sit."""

    by_layer: tuple[int, ...]
    embedding: int
    head: int
    """0 when the head is tied to the embedding."""
    final_norm: int

    @property
    def layers(self) -> int:
        """All layers together."""
        return sum(self.by_layer)

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
    layer = embedding = head = 0
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
            layer += size * _count_in_layer(tensor, model)
    return StoredBytes((layer,) * model.num_layers, embedding, head, 2 * model.hidden_size)


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


def _count_in_layer(tensor: Tensor, model: ModelFacts) -> int:
    """How many a layer holds; the final norm among the norms belongs to none."""
    return (tensor.count - (tensor.role == "norm")) // model.num_layers


def _shard(tensor: Tensor, model: ModelFacts, tp: int) -> Tensor:
    """What one of `tp` ranks holds of a tensor."""
    rows, columns = tensor.rows, tensor.columns
    match tensor.role:
        case "norm" | "head_norm":
            pass
        case "embedding" | "head":
            padding = VOCAB_PADDING * tp
            rows = rows if tp == 1 else -(-rows // padding) * padding // tp
        case "o" | "down" | "q_bias":
            columns = -(-columns // tp)
        case "k" | "v":
            rows = model.head_dim * -(-model.num_kv_heads // tp)
        case "kv_bias":
            columns = model.head_dim * -(-model.num_kv_heads // tp)
        case _:
            rows = -(-rows // tp)
    return Tensor(tensor.role, rows, columns, tensor.count)


def _gguf_bytes(model: ModelFacts, layout: Sequence[Tensor], ftype: str, tables: GgufTables) -> StoredBytes:
    by_layer = [0] * model.num_layers
    embedding = head = 0
    for tensor in layout:
        types = layer_types(model, tensor, ftype, tables)
        sizes = [tensor.rows * ggml_type.row_bytes(tensor.columns) for ggml_type in types]
        if tensor.role == "embedding":
            embedding += sizes[0]
        elif tensor.role == "head":
            head += sizes[0]
        else:
            each = _count_in_layer(tensor, model)
            for layer in range(model.num_layers):
                by_layer[layer] += each * sizes[layer]
    return StoredBytes(tuple(by_layer), embedding, head, 4 * model.hidden_size)
