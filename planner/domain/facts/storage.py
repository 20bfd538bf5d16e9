"""What a scheme stores for each tensor, whole or as one tensor-parallel rank holds it.

Only the linears are quantized, experts and shared experts included; embeddings, head, routers, convolutions,
norms, biases and vision towers stay in 16 bits, which is what llm-compressor's recipes and the published GPTQ
and AWQ checkpoints do; a checkpoint that was released quantized may leave more (`data/native.csv`). In GGUF
llama.cpp's mix decides for every matrix (facts/gguf.py).

Split over `tp` ranks: query, key, value, gate and up by output rows (whole KV heads, repeated when there are fewer
heads than ranks), o and down by input columns, also in experts; latent down-projections, routers and vectors are
repeated on every rank; embedding and head by vocabulary rows padded to 64 x tp.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from planner.domain.facts.gguf import GgufTables, find_dynamic, layer_types
from planner.domain.facts.gguf_layout import lay_out_gguf
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.tensors import EXPERT_ROLES, LINEAR_ROLES, Role, Tensor, lay_out

BLOCK = 128
SPLIT_BY_ROWS: frozenset[Role] = frozenset(
    {
        *("q", "gate", "up", "q_b", "kv_b", "linear_in", "conv"),
        *("expert_gate", "expert_up", "shared_gate", "shared_up"),
    }
)
PLACES = {"embedding": "embedding", "positions": "embedding", "head": "head", "layer_embedding": "lookup"}
VOCAB_PADDING = 64
"""vLLM pads the vocabulary to a multiple of 64 before it is split (vocab_parallel_embedding.py)."""


@dataclass(frozen=True)
class StoredBytes:
    """Bytes of a checkpoint's tensor data by where they sit."""

    by_layer: tuple[int, ...]
    embedding: int
    """Input embedding, and learned positions where there are any."""
    head: int
    """0 when the head is tied to the embedding."""
    other: int
    """Last norm, and a vision tower where there is one."""
    lookup: int = 0
    """A second embedding with a slice for each layer; llama.cpp keeps it in host memory."""
    experts: int = 0
    """Part of the layers that routed experts take: a token reads only some of them."""

    @cached_property
    def layers(self) -> int:
        """All layers together."""
        return sum(self.by_layer)

    @cached_property
    def total(self) -> int:
        """All tensor data."""
        return self.layers + self.embedding + self.lookup + self.head + self.other


@lru_cache(maxsize=4096)
def stored_bytes(model: ModelFacts, scheme: Scheme, group_size: int | None, gguf: GgufTables) -> StoredBytes:
    """Bytes of tensor data on disk, unsplit."""
    if scheme.is_gguf_mix:
        mix = find_dynamic(model, scheme.name, gguf)
        return (
            _scale(_gguf_bytes(model, mix.base, gguf), mix.likely)
            if mix
            else _gguf_bytes(model, scheme.name, gguf)
        )
    return rank_bytes(model, scheme, group_size, tp=1)


@lru_cache(maxsize=4096)
def rank_bytes(model: ModelFacts, scheme: Scheme, group_size: int | None, *, tp: int) -> StoredBytes:
    """Bytes that the worst of `tp` ranks holds of a compressed-tensors, GPTQ, AWQ or 16-bit checkpoint."""

    def sizes(tensor: Tensor) -> list[int]:
        shard = shard_tensor(tensor, tp)
        if tensor.role == "head":
            return [int(shard.elements * scheme.head_bits / 8)]
        quantized = matrix_bytes(shard.rows, shard.columns, scheme, group_size)
        return [
            quantized if is_quantized(tensor.role, layer, scheme, model) else 2 * shard.elements
            for layer in tensor.layers or (None,)
        ]

    return sum_up(model, lay_out(model), sizes)


def is_quantized(role: Role, layer: int | None, scheme: Scheme, model: ModelFacts) -> bool:
    """Whether a format stores a tensor of this role and layer in the scheme's own width."""
    if role not in LINEAR_ROLES or role in scheme.left:
        return False
    return not (scheme.left_ends and layer in {0, model.num_layers - 1})


def sum_up(
    model: ModelFacts, layout: Sequence[Tensor], sizes: Callable[[Tensor], Sequence[int]]
) -> StoredBytes:
    """Add up what each tensor takes, `sizes` giving the bytes of one tensor for each layer that holds it."""
    by_layer = [0] * model.num_layers
    parts = {"embedding": 0, "lookup": 0, "head": 0, "other": 0}
    experts = 0
    for tensor in layout:
        each = sizes(tensor)
        if not tensor.layers:
            parts[PLACES.get(tensor.role, "other")] += tensor.count * each[0]
            continue
        count = tensor.each
        for layer, size in zip(tensor.layers, each, strict=True):
            by_layer[layer] += count * size
        if tensor.role in EXPERT_ROLES:
            experts += count * sum(each)
    return StoredBytes(tuple(by_layer), experts=experts, **parts)


def matrix_bytes(rows: int, columns: int, scheme: Scheme, group_size: int | None) -> int:
    """Bytes of one quantized matrix of `rows` outputs by `columns` inputs, scales and all."""
    weight_bits = rows * columns * scheme.weight_bits
    match scheme.scales:
        case "none":
            scales = 0
        case "channel":
            scales = rows
        case "group":
            group = scheme.fixed_group or group_size
            scales = rows * -(-columns // group) if group else rows
        case "block":
            scales = -(-rows // BLOCK) * -(-columns // BLOCK)
    metadata_bits = scales * (8 * scheme.scale_bytes + scheme.zero_point_bits)
    return int(weight_bits + metadata_bits + 7) // 8 + scheme.matrix_bytes + columns * scheme.index_bytes


def bytes_read_per_step(stored: StoredBytes, model: ModelFacts, sequences: int) -> int:
    """Weights that one decoding step of `sequences` tokens reads: of the experts those that are routed to."""
    looked_up = 0 if model.tie_embeddings else stored.embedding
    if not model.num_experts:
        return stored.total - looked_up
    share = min(1.0, sequences * model.experts_per_token / model.num_experts)
    return int(stored.total - looked_up - stored.experts * (1 - share))


def bits_per_weight(stored: StoredBytes, parameters: int) -> float:
    """Stored bits over parameters, everything counted."""
    return 8 * stored.total / parameters


def shard_tensor(tensor: Tensor, tp: int) -> Tensor:
    """What one of `tp` ranks holds of a tensor."""
    rows, columns = tensor.rows, tensor.columns
    match tensor.role:
        case "embedding" | "layer_embedding" | "head":
            padding = VOCAB_PADDING * tp
            rows = rows if tp == 1 else -(-rows // padding) * padding // tp
        case "o" | "down" | "q_bias" | "linear_out" | "expert_down" | "shared_down":
            columns = -(-columns // tp)
        case "k" | "v":
            rows = rows // tensor.heads * -(-tensor.heads // tp)
        case "kv_bias":
            columns = columns // tensor.heads * -(-tensor.heads // tp)
        case role if role in SPLIT_BY_ROWS:
            rows = -(-rows // tp)
        case _:
            pass
    return Tensor(tensor.role, rows, columns, tensor.count, tensor.layers)


def largest_matrix_bytes(model: ModelFacts, scheme: Scheme, layers: int, tables: GgufTables) -> int:
    """Bytes of the largest matrix of the first layers in a GGUF file, where a layer's experts are one matrix."""
    return max(_largest_by_layer(model, scheme, tables)[:layers], default=0)


@lru_cache(maxsize=512)
def _largest_by_layer(model: ModelFacts, scheme: Scheme, tables: GgufTables) -> tuple[int, ...]:
    mix = find_dynamic(model, scheme.name, tables)
    ftype = mix.base if mix else scheme.name
    largest = [0] * model.num_layers
    for tensor in lay_out(model):
        if tensor.role in LINEAR_ROLES and tensor.layers:
            types = layer_types(model, tensor, ftype, tables)
            for layer, ggml_type in zip(tensor.layers, types, strict=True):
                size = tensor.each * tensor.rows * ggml_type.row_bytes(tensor.columns)
                largest[layer] = max(largest[layer], size)
    return tuple(largest)


def _scale(stored: StoredBytes, factor: float) -> StoredBytes:
    sizes = {
        name: int(getattr(stored, name) * factor)
        for name in ("embedding", "lookup", "head", "other", "experts")
    }
    return StoredBytes(by_layer=tuple(int(size * factor) for size in stored.by_layer), **sizes)


def _gguf_bytes(model: ModelFacts, ftype: str, tables: GgufTables) -> StoredBytes:
    def sizes(tensor: Tensor) -> list[int]:
        types = layer_types(model, tensor, ftype, tables)
        return [tensor.rows * ggml_type.row_bytes(tensor.columns) for ggml_type in types]

    return sum_up(model, lay_out_gguf(lay_out(model), model), sizes)
