"""What a checkpoint is: the architecture facts that sizes and rules are computed from."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Indexer:
    """The small attention that picks which tokens a layer attends to (sparse attention)."""

    heads: int
    dim: int
    shared: int = 0
    """Layers that use another layer's choice and so have no index of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an architecture's layers look like besides their sizes; one row of `data/architectures.csv`."""

    norms: int = 2
    """Norm vectors of a layer, those of queries and keys left out."""
    feed_forward: Literal["gated", "plain"] = "gated"
    """Three matrices (gate, up, down) or two (up, down)."""
    qk_norm: Literal["head", "full", "always", "none"] = "head"
    """Width of query and key norms where the model has them: one head's or all heads'; `always`: has them; `none`:
    they have no weights."""
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
    window_sinks: bool = False
    """Whether only heads of sliding-window layers have one."""
    head_gate: bool = False
    """Whether a gate for each head is computed beside the queries."""
    router_scales: bool = False
    """Whether the router scales its input and each expert's output."""
    index: Indexer | None = None
    """The sparse-attention index that a row's model has unless it says otherwise."""
    tied: bool = False
    """Whether the head is tied when a config does not say so."""
    attention_bias: bool = False
    """Whether queries, keys and values have biases when a config does not say so."""
    has_qk_norm: bool = False
    """Whether queries and keys are normed when a config does not say so."""
    refused: str = ""
    """Why no model of this architecture is laid out; empty where it is."""


@dataclass(frozen=True, slots=True)
class StateSpace:
    """Shape of Mamba layers; the first version has one channel a head and a step rank, the second groups."""

    heads: int
    head_dim: int
    state: int
    conv: int
    groups: int = 1
    rank: int = 0
    """Width of the step's low-rank projection: above 0 in the first version only."""
    is_normed: bool = True

    @property
    def inner(self) -> int:
        """Channels, all heads together."""
        return self.heads * self.head_dim


@dataclass(frozen=True, slots=True)
class PerLayerInput:
    """An embedding that every layer reads a slice of (Gemma 3n and the small Gemma 4)."""

    width: int
    vocab: int
    streams: int = 0
    """Parallel residual streams besides the first; 0: none."""
    rank: int = 0
    """Rank of the low-rank residual beside attention; 0: none."""


@dataclass(frozen=True, slots=True)
class Compression:
    """Attention over compressed keys that are values as well (DeepSeek-V4)."""

    groups: int
    """Groups that the output projection's first half is split into."""
    rank: int
    streams: int
    """Residual streams that are mixed before and after attention and feed-forward."""


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Heads and widths of one kind of attention layer."""

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    keys_are_values: bool


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
    """`mha`, `gqa`, `mqa`, each also `+swa`; `mla`, also `+dsa`; `hybrid-linear`, `hybrid-mamba` …: a name for
    people; what a layer holds is in `mixers` where layers differ."""
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
    """Width of the short convolution of linear-attention layers, or of layers that are nothing else."""
    mixers: str = ""
    """One letter a layer (facts/layers.py); empty: derived from `attention` and `full_attention_layers`."""
    feeds: str = ""
    """One letter a layer (facts/layers.py); empty: derived from the experts and `dense_layers`."""
    window: AttentionShape | None = None
    """Shape of sliding-window layers where it differs from that of the others."""
    keys_are_values: bool = False
    """Whether layers that see the whole context have no value projection."""
    shared_kv_layers: int = 0
    """Last layers that read an earlier layer's keys and values and keep none."""
    state_space: StateSpace | None = None
    index: Indexer | None = None
    per_layer_input: PerLayerInput | None = None
    compression: Compression | None = None
    layer_widths: tuple[int, ...] = ()
    """Dense feed-forward width of each layer, where they differ."""
    expert_latent: int = 0
    """Width that experts work on where it is not the hidden size."""
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
    vision_params: int | None = None
    """Part of `extra_params` that is a tower for vision or sound; None: all of them where they hold one."""
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
    def full(self) -> AttentionShape:
        """Shape of the layers that see the whole context."""
        return AttentionShape(
            heads=self.num_heads,
            kv_heads=self.num_kv_heads,
            head_dim=self.head_dim,
            value_dim=self.v_head_dim or self.head_dim,
            keys_are_values=self.keys_are_values,
        )

    @property
    def loaded_extra_params(self) -> int:
        """Extra parameters that engines load beside the text model, in 16 bits: towers for vision and sound."""
        if self.vision_params is not None:
            return self.vision_params
        return self.extra_params if "vision" in self.extra_holds else 0
