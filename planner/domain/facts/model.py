"""What a checkpoint is: the architecture facts that sizes and rules are computed from."""

from dataclasses import dataclass


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
    """`mha`, `gqa`, `mqa`, or a kind whose layout is more than these (`mla`, `hybrid-linear`, …)."""
    qkv_bias: bool = False
    qk_norm: bool = False
    num_experts: int = 0
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
    """What to mind: `kv_fields_missing`, `tie_embeddings_missing`, `params_missing` (refuse to size what they
    touch), `padded` (a shape, not a model to ask for), `demo`."""
