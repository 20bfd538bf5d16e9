"""Which type llama.cpp gives each tensor for a named mix, and what the file around them weighs.

`Q4_K_M` is no single type: attention values and feed-forward downs of some layers get more bits, the output
matrix gets Q6_K, and a matrix whose row is no multiple of a type's block falls back to another type. The mix
is `data/gguf_mix.csv` (first matching row wins), the block sizes and fallbacks `data/ggml_types.csv`; both
follow llama.cpp's quantizer (src/llama-quant.cpp) and ggml's block structs.

Vectors stay F32. A publisher's own mixes (`UD-Q4_K_XL`) follow no rule: `data/gguf_dynamic.csv` gives their size
beside the nearest mix of rules, with the spread it had among published files. Known error: 104 of 121 files
of evidence/sizes.csv within 0.5 % or their print's rounding (median 0.07 %); the rest are publishers' own mixes,
IQ4_XS and IQ4_NL made without an importance matrix (0.8 % short), and older mixes; header bytes within a few kB.
Files whose label hides a custom mix (several of ik_llama.cpp's) differ by up to 20 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.domain.facts.model import ModelFacts
from planner.domain.facts.tensors import Role, Tensor

F32_ROLES: frozenset[Role] = frozenset({"router", "conv"})
"""Matrices that llama.cpp keeps in 32 bits: routers (ffn_gate_inp) and short convolutions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgmlType:
    """One storage type: `block_bytes` for each `block_elements` weights along a row, and `extra_bytes` a row."""

    name: str
    block_elements: int
    block_bytes: int
    extra_bytes: int = 0
    """A row's own scale, in some of ik_llama.cpp's types."""
    fallback: str | None
    """Type used when a row is no multiple of the block."""

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row of `columns` weights; the block must divide it."""
        return columns // self.block_elements * self.block_bytes + self.extra_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MixRule:
    """For mix `ftype`, tensors of `role` in the layers that `when` names get `type`."""

    ftype: str
    role: str
    when: tuple[str, ...]
    """A condition's name and its number: `("first", "2")`."""
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicMix:
    """A publisher's own mix, chosen tensor by tensor for each model: its size beside a mix of known rules."""

    scheme: str
    base: str
    layers: str
    """Models it speaks of: `experts`, `dense` or `any`."""
    released_from: str
    """Models released on this date or later; empty: any."""
    low: float
    likely: float
    high: float
    """Size over that of the base mix, with its spread among files."""


@dataclass(frozen=True, slots=True, eq=False)
class GgufTables:
    """The three tables, indexed; one data version's tables are one object."""

    types: Mapping[str, GgmlType]
    base_types: Mapping[str, str]
    rules: Mapping[tuple[str, str], Sequence[MixRule]]
    dynamic: Mapping[str, Sequence[DynamicMix]]


def make_tables(
    types: Sequence[GgmlType], rules: Sequence[MixRule], dynamic: Sequence[DynamicMix] = ()
) -> GgufTables:
    """Index the rows; the rule with role `*` names the type a mix starts from."""
    indexed: dict[tuple[str, str], list[MixRule]] = {}
    for rule in rules:
        if rule.role != "*":
            indexed.setdefault((rule.ftype, rule.role), []).append(rule)
    return GgufTables(
        types={row.name: row for row in types},
        base_types={rule.ftype: rule.type for rule in rules if rule.role == "*"},
        rules=indexed,
        dynamic={mix.scheme: [row for row in dynamic if row.scheme == mix.scheme] for mix in dynamic},
    )


def find_dynamic(model: ModelFacts, scheme: str, tables: GgufTables) -> DynamicMix | None:
    """The row that speaks of this model's file of a publisher's own mix; None where rules choose the types."""
    layers = {"any", "experts" if model.num_experts else "dense"}
    for mix in tables.dynamic.get(scheme, ()):
        if mix.layers in layers and model.released >= mix.released_from:
            return mix
    return None


def layer_types(model: ModelFacts, tensor: Tensor, ftype: str, tables: GgufTables) -> list[GgmlType]:
    """The type that a role's tensor gets in each layer that holds one; one entry outside layers."""
    layers = tensor.layers or (0,)
    if tensor.is_vector or tensor.role in F32_ROLES:
        return [tables.types["F32"]] * len(layers)
    role = _mix_role(tensor.role, tie_embeddings=model.tie_embeddings)
    if (ftype, tensor.role) in tables.rules:
        role = tensor.role  # a mix that tells experts from dense layers
    rules = tables.rules.get((ftype, role), ())
    if role != "v" and all(rule.when == ("always",) for rule in rules):
        return [tables.types[_pick_type(model, role, (0, 1), tensor.columns, ftype, tables)]] * len(layers)
    # llama.cpp counts the attn_v tensors themselves, which only attending layers have; all else goes by layer.
    places = (
        [(index, len(layers)) for index in range(len(layers))]
        if role == "v"
        else [(layer, model.num_layers) for layer in layers]
    )
    return [tables.types[_pick_type(model, role, place, tensor.columns, ftype, tables)] for place in places]


def _mix_role(role: Role, *, tie_embeddings: bool) -> str:
    """The role whose rows of the mix apply: llama.cpp looks at parts of names, `ffn_down` also in experts."""
    if role == "head" or (role == "embedding" and tie_embeddings):
        return "output"
    return {"expert_down": "down", "shared_down": "down"}.get(role, role)


def container_bytes(layout: Sequence[Tensor], metadata_bytes: int) -> int:
    """Bytes of a GGUF file besides tensor data: header, key-values, tensor infos, alignment.

    Args:
        layout: the model's tensors.
        metadata_bytes: tokenizer arrays and chat template as GGUF stores them, from the checkpoint's own files.
    """
    count = sum(tensor.count for tensor in layout)
    name_bytes, fixed_bytes, alignment_bytes = 24, 8 + 4 + 2 * 8 + 4 + 8, 16
    scalar_keys_bytes = 1500
    return 24 + scalar_keys_bytes + metadata_bytes + count * (name_bytes + fixed_bytes + alignment_bytes)


def _pick_type(
    model: ModelFacts, role: str, place: tuple[int, int], columns: int, ftype: str, tables: GgufTables
) -> str:
    name = tables.base_types[ftype]
    if role == "output":
        # llama.cpp tests the mix's own block here, before the output type is chosen.
        if columns % tables.types[name].block_elements:
            name = "Q8_0" if tables.types[name].fallback else name
        else:
            name = next((rule.type for rule in tables.rules.get((ftype, role), ())), name)
    else:
        for rule in tables.rules.get((ftype, role), ()):
            if _applies(rule.when, place, model):
                name = rule.type
                break
        if role == "v" and model.num_layers == 80 and name in {"Q3_K", "Q4_K"}:
            # llama.cpp gives the shared values of its 80-layer ("70B") models at least five bits.
            name = "Q5_K"
    return _fall_back(name, columns, tables)


def _fall_back(name: str, columns: int, tables: GgufTables) -> str:
    row = tables.types[name]
    if columns % row.block_elements == 0:
        return name
    if row.fallback and columns % tables.types[row.fallback].block_elements == 0:
        return row.fallback
    return "F16"


def _applies(when: tuple[str, ...], place: tuple[int, int], model: ModelFacts) -> bool:
    layer, layers = place
    name, number = when[0], int(when[1]) if len(when) > 1 else 0
    conditions: dict[str, bool] = {
        "always": True,
        "first": layer < number,
        "first_part": layer < layers // (number or 1),
        "middle": layers // 8 <= layer < 7 * layers // 8,
        "more_bits": layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2,
        "experts_at_least": model.num_experts >= number,
        "experts_are": model.num_experts == number,
        "gqa_at_least": model.num_heads // model.num_kv_heads >= number,
    }
    if name not in conditions:
        raise ValueError(f"data/gguf_mix.csv: unknown condition {name!r}")
    return conditions[name]
