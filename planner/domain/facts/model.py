"""What a checkpoint is: the architecture facts that sizes and rules are computed from."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an architecture's layers look like besides their sizes; one row of `data/architectures.csv`."""

    norms: int = 2
    """Norm vectors of a layer, those of queries and keys left out."""
    feed_forward: Literal["gated", "plain"] = "gated"
    """Three matrices (gate, up, down) or two (up, down)."""
    qk_norm: Literal["head", "full", "always"] = "head"
    """Width of query and key norms where the model has them: one head's or all heads'; `always`: has them."""
    query_gate: bool = False
    """Whether the query projection also yields a gate of the same width."""
    output_bias: bool = False
    feed_forward_bias: bool = False
    norm_bias: bool = False
    head_bias: bool = False
    positions: bool = False
    """Whether positions are learned vectors."""
    embedding_norm: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    shared_gate: bool = False
    """Whether a vector decides how much the shared expert counts."""
    sinks: bool = False
    """Whether each head has an attention sink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One architecture, as a catalogue row or a config.json states it. Counts are of the whole model."""

    model_id: str
    family: str
    aliases: tuple[str, ...] = ()
    architecture: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_embeddings: bool
    max_position: int
    attention: str
    """`mha`, `gqa`, `mqa`, each also `+swa`; `mla`; `hybrid-linear`; or a kind that nothing covers yet."""
    traits: Traits | None = Traits()
    """None for an architecture whose layers are not known."""
    qkv_bias: bool = False
    qk_norm: bool = False
    sliding_window: int | None = None
    full_attention_layers: int | None = None
    """Layers that see the whole context; None: all of them."""
    kv_lora_rank: int = 0
    q_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0
    linear_key_heads: int = 0
    linear_value_heads: int = 0
    linear_key_dim: int = 0
    linear_value_dim: int = 0
    linear_conv: int = 0
    """Width of the short convolution of linear-attention layers."""
    num_experts: int = 0
    experts_per_token: int = 0
    moe_intermediate_size: int = 0
    shared_intermediate_size: int = 0
    """Width of the experts that every token passes, together."""
    dense_layers: int = 0
    """First layers of a mixture that have no experts."""
    extra_params: int = 0
    """Parameters that the published count holds beyond the text model: a vision tower, a layer of multi-token
    prediction, a copy of a tied head."""
    extra_holds: str = ""
    params_total: int
    """Parameters as the checkpoint's own headers or its publisher count them."""
    native_dtype: str = "bfloat16"
    released: str = ""
    """ISO date, or empty where unknown."""
    weights_bytes: int | None = None
    """Bytes of the tensors on disk, known for a checkpoint that was looked at."""
    tokenizer_bytes: int | None = None
    """Bytes of tokenizer and configuration files, known for a checkpoint that was looked at."""
    metadata_bytes: int | None = None
    """Bytes of a GGUF header's tokenizer arrays for this vocabulary, known for a checkpoint looked at."""
    path: str | None = None
    """Folder of the checkpoint, when it is on this machine."""
    source: str = ""
    flags: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """By name and size: a few microseconds less at each of the many look-ups of a plan than by every field."""
        return hash((self.model_id, self.params_total, self.intermediate_size))

    @property
    def loaded_extra_params(self) -> int:
        """Extra parameters that engines load beside the text model, in 16 bits: a vision tower."""
        return self.extra_params if "vision" in self.extra_holds else 0
