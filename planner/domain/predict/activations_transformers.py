"""What a transformers model holds at its worst moment beside weights and the finished cache, on one device.

The peak of torch's allocator is the largest of four moments, each exact arithmetic but for a few copies:

    loading     weights, and an AWQ checkpoint's own copy of a head that is tied to the embedding afterwards
    prompt      weights + cache of the prompt + a feed-forward of all its tokens (gate, up and their product, and
                four hidden widths: the embeddings, the layer's input, its residual and its normed input)
    next step   until 4.45, prompts' logits in 32 bits were still held while the cache was copied to grow
    end         weights + the finished cache, twice while all layers' caches were copied in one go (until 4.45)

Until 4.45 the head was computed for every position of the prompt, in 16 and then in 32 bits, and every layer
kept rotary tables of the model's whole length. Beside all of it stand cuBLAS's workspace, the buffer in which
exllama unpacks the widest 4-bit matrix, the head that FP8 checkpoints of tied models keep apart, and AutoAWQ's
rotary tables. The rests that the allocator does not split off count as weights (torch_allocator.py).

exllamav2 and exllamav3 cut prompts into chunks beside a cache that is whole from the start.

AutoAWQ's own benchmark prints what torch has reserved, which nothing gives back: the feed-forward or the parts
that were joined, whichever is more, and then the prompt's logits beside it.

Figures printed for 4.50 and later (Qwen3's) hold no prompt moment: they are what is held, and a prompt's peak is
only the high end. Known error on hf-peak rows of `evidence/memory_truth.csv` stands in `data/engine_memory.csv`.
"""

from dataclasses import dataclass

from planner.domain.facts.hardware import Device
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.tensors import LINEAR_ROLES, lay_out, mixers_of, widest_feed_forward
from planner.domain.predict.constants import Constant, MemoryConstants
from planner.domain.predict.kv_cache import kv_bytes_by_layer
from planner.domain.units import MIB

ENGINE = "transformers"
HOPPER = 90
"""Compute capability from which cuBLAS asks for 32 MiB instead of 8.1."""
WORKSPACE = {False: 8.125 * MIB, True: 32 * MIB}
JOINED_IN_FILE = frozenset({"FalconForCausalLM", "MptForCausalLM", "BloomForCausalLM", "Phi3ForCausalLM"})
"""Architectures whose queries, keys and values are one matrix in the checkpoint already."""
TABLE_BYTES = 4
"""Cosine and sine of one rotary angle in 16 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a device has of a model: some of its layers, the ends, and the sequences that it serves."""

    model: ModelFacts
    scheme: Scheme
    device: Device
    first: int
    layers: int
    is_first: bool
    is_last: bool
    devices: int
    sequences: int
    context_tokens: int
    kv_dtype: str

    def cache_bytes(self, tokens: int) -> float:
        """The cache of all sequences at a length, in the layers that the device has."""
        by_layer = kv_bytes_by_layer(self.model, self.kv_dtype, tokens, engine=ENGINE, tp=1)
        return self.sequences * sum(by_layer[self.first : self.first + self.layers])


def predict_torch_peak(share: Share, constants: MemoryConstants) -> Constant:
    """Bytes beside the device's weights and its finished cache when most is allocated."""
    asked = share.context_tokens * share.sequences
    prompt = int(min(constants[ENGINE, "batched_tokens"].likely or asked, asked))
    finished = share.cache_bytes(share.context_tokens)
    is_whole = constants[ENGINE, "preallocated"].likely
    at_prompt = finished if is_whole else share.cache_bytes(-(-prompt // share.sequences))
    copies = constants[ENGINE, "cache_copies"].likely
    carried = constants[ENGINE, "carried_head"]
    moments = [
        copies * finished,
        carried.likely * _head_bytes(share),
        copies * at_prompt + _kept_logits(share, prompt, constants),
    ]
    worst = at_prompt + _prompt_bytes(share, prompt, constants)
    counted = constants[ENGINE, "prompt_peak"]
    scale = constants[ENGINE, "activation_scale"]
    held = _held_bytes(share, constants)
    likely = max(*moments, worst if counted.likely else 0.0)
    high = max(*moments, carried.high * _head_bytes(share), at_prompt + (worst - at_prompt) * scale.high)
    low = max(*moments, at_prompt + (worst - at_prompt) * scale.low if counted.low else 0.0)
    spread = constants[ENGINE, "unexplained"]
    return Constant(
        max(0.0, low - finished + held + spread.low * MIB),
        likely - finished + held + spread.likely * MIB,
        high - finished + held + spread.high * MIB,
        counted.source,
    )


def _prompt_bytes(share: Share, prompt: int, constants: MemoryConstants) -> float:
    """A feed-forward of all prompt tokens, or where the head sees all of them, their logits."""
    model = share.model
    hidden, inner = constants[ENGINE, "hidden_copies"].likely, constants[ENGINE, "inner_copies"].likely
    feed = 2 * prompt * (hidden * model.hidden_size + inner * widest_feed_forward(model))
    last = share.sequences * model.vocab_size * constants[ENGINE, "sampler_bytes"].likely
    logits = prompt * model.vocab_size * constants[ENGINE, "prompt_logit_bytes"].likely
    if constants[ENGINE, "reserved"].likely:
        return max(feed, _fused_bytes(share)) + (logits if share.is_last else 0.0)
    if not share.is_last:
        return feed
    return max(feed, logits + 2 * prompt * model.hidden_size if logits else 0.0) + last


def _fused_bytes(share: Share) -> float:
    """Queries, keys and values that were loaded apart and then joined: freed, and still reserved."""
    model = share.model
    if model.architecture in JOINED_IN_FILE:
        return 0.0
    bits = share.scheme.weight_bits
    own = range(share.first, share.first + share.layers)
    parts = (part for part in lay_out(model) if part.role in {"q", "k", "v"})
    return sum(part.elements * bits / 8 for part in parts for layer in part.layers if layer in own)


def _kept_logits(share: Share, prompt: int, constants: MemoryConstants) -> float:
    """Prompts' logits in 32 bits while the next token is computed, on the device that they are handed back on."""
    if not constants[ENGINE, "prompt_logit_bytes"].likely or not (share.is_last or share.is_first):
        return 0.0
    return 4.0 * prompt * share.model.vocab_size


def _head_bytes(share: Share) -> float:
    """The copy of a tied head that an AWQ checkpoint carries and that is loaded before it is tied."""
    model = share.model
    if share.scheme.format != "awq" or not model.tie_embeddings or not share.is_last:
        return 0.0
    return 2.0 * model.vocab_size * model.hidden_size


def _held_bytes(share: Share, constants: MemoryConstants) -> float:
    """What is held all the time beside weights and cache."""
    model, scheme = share.model, share.scheme
    if share.device.kind == "cpu":
        return 0.0
    held = WORKSPACE[(share.device.sm or 0) >= HOPPER]
    if scheme.format == "gptq" and scheme.weight_bits == 4:
        widest = max(2 * part.elements for part in lay_out(model) if part.role in LINEAR_ROLES)
        held += constants[ENGINE, "unpacked_matrices"].likely * widest
    if scheme.name.startswith("FP8") and model.tie_embeddings and share.is_last:
        held += constants[ENGINE, "kept_head"].likely * 2 * model.vocab_size * model.hidden_size
    return held + _table_bytes(share, constants)


def _table_bytes(share: Share, constants: MemoryConstants) -> float:
    """Rotary tables: a layer's own until 4.45, later only those of AutoAWQ's fused attention (complex, 8 bytes)."""
    letters = mixers_of(share.model)[share.first : share.first + share.layers]
    attending = sum(letter in "FWH" for letter in letters)
    positions = min(share.model.max_position, constants[ENGINE, "table_positions"].likely)
    own = positions * share.model.head_dim * TABLE_BYTES
    fused = 0.0
    if share.scheme.format == "awq":
        fused = constants[ENGINE, "fused_tables"].likely * share.context_tokens * share.model.head_dim * 4
    return attending * (own + fused)
