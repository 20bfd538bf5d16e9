"""The tensors that a GGUF file has for those of a checkpoint: some are split there, some fused.

    latent        the up-projection of a latent becomes two, keys transposed (attn_k_b, attn_v_b)
    fused         query, key and value of some architectures are one matrix (attn_qkv), which mixes treat by rules
                  of its own; query, key and value of gated linear attention likewise, their gate apart (attn_gate)
    vision        towers are a projector file of their own

Names follow llama.cpp's converter and src/llama-arch.cpp. Known error: Phi-3-mini-4k's own Q4_K_M file within
0.03 %, ten files of phi-4 (bartowski/phi-4-GGUF) within 0.1 %, its Q4_0 made with an importance matrix 0.4 % short.
"""

from collections.abc import Sequence

from planner.domain.facts.model import ModelFacts
from planner.domain.facts.tensors import Tensor

FUSED_ATTENTION = frozenset(
    {
        *("Phi3ForCausalLM", "Phi3SmallForCausalLM", "GlmForCausalLM", "QWenLMHeadModel"),
        *(
            "BloomForCausalLM",
            "FalconForCausalLM",
            "GPT2LMHeadModel",
            "GPTBigCodeForCausalLM",
            "GPTNeoXForCausalLM",
        ),
    }
)
FUSED_LINEAR_ATTENTION = frozenset({"Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration"})


def lay_out_gguf(layout: Sequence[Tensor], model: ModelFacts) -> list[Tensor]:
    """The tensors of the model's GGUF file, in the checkpoint's order."""
    fused = ("k", "v") if model.architecture in FUSED_ATTENTION else ()
    added = sum(tensor.rows for tensor in layout if tensor.role in fused)
    found: list[Tensor] = []
    for tensor in layout:
        if tensor.role == "vision" or tensor.role in fused:
            continue
        if tensor.role == "q" and fused:
            found.append(Tensor("qkv", tensor.rows + added, tensor.columns, tensor.count, tensor.layers))
        elif tensor.role == "kv_b":
            found += _split_latent(tensor, model)
        elif tensor.role == "linear_in" and model.architecture in FUSED_LINEAR_ATTENTION:
            found += _split_gate(tensor, model)
        else:
            found.append(tensor)
    return found


def _split_latent(tensor: Tensor, model: ModelFacts) -> list[Tensor]:
    key_rows = model.num_heads * model.kv_lora_rank
    value_rows = model.num_heads * model.v_head_dim
    return [
        Tensor("kv_b", key_rows, model.qk_nope_head_dim, tensor.count, tensor.layers),
        Tensor("kv_b", value_rows, model.kv_lora_rank, tensor.count, tensor.layers),
    ]


def _split_gate(tensor: Tensor, model: ModelFacts) -> list[Tensor]:
    """Query, key and value apart from the gate, which is as wide as the values."""
    gate = model.linear_value_heads * model.linear_value_dim
    if tensor.rows <= gate:
        return [tensor]
    return [
        Tensor("qkv", tensor.rows - gate, tensor.columns, tensor.count, tensor.layers),
        Tensor("linear_in", gate, tensor.columns, tensor.count, tensor.layers),
    ]
