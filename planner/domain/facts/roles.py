"""What a tensor is for: its role decides whether it is quantized and how ranks split it."""

from dataclasses import dataclass
from typing import Literal

Role = Literal[
    "embedding",
    "layer_embedding",
    "positions",
    "head",
    "q",
    "k",
    "v",
    "o",
    "gate",
    "up",
    "down",
    "q_a",
    "q_b",
    "kv_a",
    "kv_b",
    "qkv",
    "linear_in",
    "linear_out",
    "replicated",
    "expert_gate",
    "expert_up",
    "expert_down",
    "shared_gate",
    "shared_up",
    "shared_down",
    "router",
    "conv",
    "norm",
    "head_norm",
    "q_bias",
    "kv_bias",
    "vector",
    "vision",
]

LINEAR_ROLES: frozenset[Role] = frozenset(
    {
        *("q", "k", "v", "o", "gate", "up", "down", "q_a", "q_b", "kv_a", "kv_b", "linear_in", "linear_out"),
        *("expert_gate", "expert_up", "expert_down", "shared_gate", "shared_up", "shared_down", "replicated"),
    }
)
"""Matrices that quantization changes; routers, convolutions, embeddings and head stay in 16 bits.
`replicated` is a small matrix that every rank holds whole: of a sparse index, or a low-rank gate."""
EXPERT_ROLES: frozenset[Role] = frozenset({"expert_gate", "expert_up", "expert_down"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """One role: `count` tensors in all of `rows` outputs by `columns` inputs (a vector has one row)."""

    role: Role
    rows: int
    columns: int
    count: int
    layers: tuple[int, ...] = ()
    """Layers that hold it, an equal number each; empty: no layer's (embedding, head, last norm)."""
    heads: int = 0
    """KV heads that keys, values and their biases are made of: ranks split by whole heads; 0 for any other."""

    @property
    def elements(self) -> int:
        """Elements of one tensor."""
        return self.rows * self.columns

    @property
    def each(self) -> int:
        """How many one of its layers holds."""
        return self.count // len(self.layers) if self.layers else self.count

    @property
    def is_vector(self) -> bool:
        """Norms and biases, which every format keeps unquantized."""
        return self.rows == 1
