"""What one tensor-parallel rank holds of each linear layer, as engines fuse and split them.

Queries, keys and values are one layer, gate and up another: both are split by outputs (rows). Attention's
output and the feed-forward's down projection are split by inputs (columns). The two latent projections of MLA
that every rank needs whole are not split at all.
"""

from dataclasses import dataclass
from functools import lru_cache

from planner.domain.facts.layers import feeds_of, layers_with
from planner.domain.facts.model import ModelFacts

DENSE_FEEDS = "DB"
"""Letters of layers that feed each token through a dense part (facts/layers.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One linear layer's part on a rank: `rows` outputs by `columns` inputs."""

    name: str
    """What its split width is called in a sentence."""
    layer: str
    """Its name in checkpoints: `down_proj`, `qkv_proj`."""
    whole: int
    """The width that is split over the ranks, before the split."""
    columns: float
    """Inputs of a rank's part; a fraction where the ranks do not divide it."""
    full_columns: int
    parts: tuple[float, ...]
    """Outputs of a rank's part, one entry a fused matrix."""
    by_columns: bool
    """Whether ranks split its inputs (row parallel) instead of its outputs."""
    is_expert: bool = False
    is_split: bool = True
    """False for the latent projections of MLA, which every rank holds whole."""

    @property
    def rows(self) -> float:
        """Outputs of a rank's part, fused matrices together."""
        return sum(self.parts)


@lru_cache(maxsize=512)
def linear_shards(model: ModelFacts, intermediate_size: int, tp: int, *, ep: int = 1) -> tuple[Shard, ...]:
    """All kinds of linear layers of a model, as one of `tp` ranks holds them.

    Args:
        model: whose layers.
        intermediate_size: the dense feed-forward width, which a padded checkpoint has changed.
        tp: ranks of tensor parallelism.
        ep: ranks over which whole experts are spread; above 1 no expert is split.
    """
    shards = []
    if layers_with(feeds_of(model), DENSE_FEEDS):
        shards += _feed_forward(model, intermediate_size, tp, "intermediate size", "mlp")
    if model.num_experts:
        name = "expert intermediate size"
        ranks = tp if ep == 1 else 1
        shards += _feed_forward(model, model.moe_intermediate_size, ranks, name, "experts", is_expert=True)
    if model.shared_intermediate_size:
        name = "shared expert's intermediate size"
        shards += _feed_forward(model, model.shared_intermediate_size, tp, name, "shared_expert")
    shards += _latent(model, tp) if model.attention == "mla" else _attention(model, tp)
    if model.linear_value_heads:
        shards += _linear_attention(model, tp)
    if model.state_space:
        inner = model.state_space.inner
        shards.append(_by_columns("state-space width", "mixer.out_proj", inner, model.hidden_size, tp))
    return tuple(shards)


def _by_columns(name: str, layer: str, whole: int, rows: int, tp: int, *, is_expert: bool = False) -> Shard:
    return Shard(
        name=name,
        layer=layer,
        whole=whole,
        columns=whole / tp,
        full_columns=whole,
        parts=(rows,),
        by_columns=True,
        is_expert=is_expert,
    )


def _by_rows(
    name: str,
    layer: str,
    whole: int,
    columns: int,
    parts: tuple[float, ...],
    *,
    is_expert: bool = False,
    is_split: bool = True,
) -> Shard:
    return Shard(
        name=name,
        layer=layer,
        whole=whole,
        columns=columns,
        full_columns=columns,
        parts=parts,
        by_columns=False,
        is_expert=is_expert,
        is_split=is_split,
    )


def _feed_forward(
    model: ModelFacts, inner: int, tp: int, name: str, layer: str, *, is_expert: bool = False
) -> list[Shard]:
    if not inner:  # widths that differ from layer to layer stand in no single field
        return []
    gated = model.traits is None or model.traits.feed_forward == "gated"
    up, into = ("gate_up_proj", (inner / tp,) * 2) if gated else ("up_proj", (inner / tp,))
    return [
        _by_columns(name, f"{layer}.down_proj", inner, model.hidden_size, tp, is_expert=is_expert),
        _by_rows(name, f"{layer}.{up}", inner, model.hidden_size, into, is_expert=is_expert),
    ]


def _attention(model: ModelFacts, tp: int) -> list[Shard]:
    width = model.num_heads * model.head_dim
    gate = 2 if model.traits is not None and model.traits.query_gate else 1
    kv_rows = max(1.0, model.num_kv_heads / tp) * model.head_dim
    parts = (width * gate / tp, kv_rows, kv_rows)
    return [
        _by_columns("attention width", "o_proj", width, model.hidden_size, tp),
        _by_rows("attention width", "qkv_proj", width, model.hidden_size, parts),
    ]


def _latent(model: ModelFacts, tp: int) -> list[Shard]:
    hidden, heads = model.hidden_size, model.num_heads
    query = heads * (model.qk_nope_head_dim + model.qk_rope_head_dim)
    values = heads * (model.qk_nope_head_dim + model.v_head_dim)
    latent = model.kv_lora_rank + model.qk_rope_head_dim
    out = heads * (model.v_head_dim or model.head_dim)
    shards = [
        _by_columns("attention width", "o_proj", out, hidden, tp),
        _by_rows("latent key-value width", "kv_a_proj", latent, hidden, (latent,), is_split=False),
        _by_rows("key and value width", "kv_b_proj", values, model.kv_lora_rank, (values / tp,)),
    ]
    if not model.q_lora_rank:
        return [*shards, _by_rows("query width", "q_proj", query, hidden, (query / tp,))]
    return [
        *shards,
        _by_rows(
            "latent query width", "q_a_proj", model.q_lora_rank, hidden, (model.q_lora_rank,), is_split=False
        ),
        _by_rows("query width", "q_b_proj", query, model.q_lora_rank, (query / tp,)),
    ]


def _linear_attention(model: ModelFacts, tp: int) -> list[Shard]:
    keys = model.linear_key_heads * model.linear_key_dim
    values = model.linear_value_heads * model.linear_value_dim
    name = "linear-attention width"
    parts = (keys / tp, keys / tp, values / tp, values / tp)
    return [
        _by_columns(name, "linear_attn.out_proj", values, model.hidden_size, tp),
        _by_rows(name, "linear_attn.in_proj", values, model.hidden_size, parts),
    ]
