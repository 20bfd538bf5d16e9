"""From `data/*.csv` to facts: one reader a table, and an error that names file and line.

A blank cell is unknown. Where a fact has no value for unknown (a count that is added up), the row carries a
flag that says so, `tie_embeddings_missing` or `params_missing`, and whoever sizes the model must refuse.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.hardware_rented import RentedMachine
from planner.domain.facts.model import Indexer, ModelFacts, Traits
from planner.domain.facts.spellings import Spelling
from planner.domain.units import MIB
from planner.sources.layer_cells import read_layers

Row = dict[str, str]
T = TypeVar("T")

LINEAR_FIELDS = {
    "nk": "linear_key_heads",
    "nv": "linear_value_heads",
    "dk": "linear_key_dim",
    "dv": "linear_value_dim",
    "conv": "linear_conv",
}
TRAIT_FLAGS = (
    *("query_gate", "output_bias", "feed_forward_bias", "norm_bias", "head_bias", "positions"),
    *("embedding_norm", "router_bias", "expert_bias", "shared_gate", "sinks"),
    *("window_sinks", "head_gate", "router_scales", "tied", "attention_bias", "has_qk_norm"),
)
GIGA = 10**9  # vendors' bandwidths are decimal
TERA = 10**12


def read_accelerators(path: Path) -> list[Accelerator]:
    """Every row of `accelerators.csv`.

    Raises:
        BadInput: the file lacks a column or a cell cannot be read.
    """
    return list(read_rows(path, make_accelerator))


def read_traits(path: Path) -> dict[str, Traits]:
    """Every row of `architectures.csv`, by architecture.

    Raises:
        BadInput: the file lacks a column or a cell cannot be read.
    """
    return dict(read_rows(path, lambda row: (row["architecture"], make_traits(row))))


def read_models(path: Path) -> list[ModelFacts]:
    """Every row of `models.csv`, with the traits that stand beside it in `architectures.csv`.

    Raises:
        BadInput: the file lacks a column or a cell cannot be read.
    """
    traits = read_traits(path.with_name("architectures.csv"))
    return list(read_rows(path, lambda row: make_model(row, traits)))


def read_spellings(path: Path) -> list[Spelling]:
    """Every row of `spellings.csv`.

    Raises:
        BadInput: the file lacks a column or a cell cannot be read.
    """
    return list(read_rows(path, make_spelling))


def read_rows(path: Path, make: Callable[[Row], T]) -> Iterator[T]:
    """What `make` builds from each row of a CSV file with a header.

    Raises:
        BadInput: `data.row`, with file and line, for a row that cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                yield make(row)
        except KeyError as error:
            message = f"{path.name} has no column {error}."
            raise BadInput("data.row", message) from error
        except (ValueError, AttributeError, csv.Error) as error:
            message = f"{path.name}, line {reader.line_num}: {error}."
            raise BadInput("data.row", message) from error


def make_accelerator(row: Row) -> Accelerator:
    """One accelerator from its row: decimal GB/s and TFLOP/s become bytes and operations a second."""
    compute_capability = row["compute_capability"]
    return Accelerator(
        name=row["name"],
        vendor=row["vendor"],
        nvml_names=split(row["nvml_names"]),
        aliases=split(row["aliases"]),
        memory_gib=to_float(row["memory_gib_advertised"]),
        visible_bytes=to_int(row["memory_bytes_visible"]),
        bandwidth_bytes_per_s=scale(row["memory_bandwidth_gb_s"], GIGA),
        sm=int(compute_capability.replace(".", "")) if compute_capability else None,
        architecture=row["architecture"],
        # The bf16 column holds the rate with FP32 accumulation, half of fp16's on GeForce cards.
        fp16_flops=scale(row["bf16_tflops_dense"] or row["fp16_tflops_dense"], TERA),
        fp8_flops=scale(row["fp8_tflops_dense"], TERA),
        int8_ops=scale(row["int8_tops_dense"], TERA),
        nvlink_bytes_per_s=scale(row["nvlink_gb_s"], GIGA),
        form=row["form"],
        source=row["source_ref"],
        reserved_bytes=None if not row["reserved_mib"] else int(row["reserved_mib"]) * MIB,
        ecc_default=row["ecc_default"],
        pcie_generation=to_float(row["pcie_gen"]),
        mig_slices=to_int(row["mig_slices"]),
        devices_per_card=to_int(row["devices_per_card"]) or 1,
        model_pattern=row["model_pattern"],
    )


def make_rented_machine(row: Row) -> RentedMachine:
    """One machine of a cloud from its row."""
    return RentedMachine(
        pattern=row["pattern"], device=row["device"], count=int(row["count"]), source=row["source"]
    )


def make_model(row: Row, traits: Mapping[str, Traits]) -> ModelFacts:
    """One architecture from its row and the traits of its architecture's row."""
    params = to_int(row["params_total"]) or to_int(row["params_recomputed"])
    flags = list(split(row["flags"]))
    if not row["tie_embeddings"]:
        flags.append("tie_embeddings_missing")
    if params is None:
        flags.append("params_missing")
    moe_width = to_int(row["moe_intermediate_size"]) or 0
    return ModelFacts(
        model_id=row["repo"],
        family=row["family"],
        aliases=split(row["aliases"]),
        architecture=row["architecture"],
        hidden_size=int(row["hidden_size"]),
        num_layers=int(row["num_layers"]),
        num_heads=int(row["num_heads"]),
        sliding_window=to_int(row["sliding_window"]),
        intermediate_size=to_int(row["intermediate_size"]) or 0,
        vocab_size=int(row["vocab_size"]),
        tie_embeddings=row["tie_embeddings"] == "true",
        max_position=int(row["max_position"]),
        attention=row["attention"],
        traits=traits.get(row["architecture"]),
        qkv_bias=row["qkv_bias"] == "true",
        qk_norm=row["qk_norm"] == "true",
        full_attention_layers=count_full_layers(row),
        kv_lora_rank=to_int(row["kv_lora_rank"]) or 0,
        q_lora_rank=to_int(row["q_lora_rank"]) or 0,
        qk_nope_head_dim=to_int(row["qk_nope_head_dim"]) or 0,
        qk_rope_head_dim=to_int(row["qk_rope_head_dim"]) or 0,
        v_head_dim=to_int(row["v_head_dim"]) or 0,
        **read_linear_shapes(row["linear_state_fields"]),
        **read_layers(row, int(row["num_heads"]), int(row["num_kv_heads"]), int(row["head_dim"])),
        num_experts=to_int(row["num_experts"]) or 0,
        experts_per_token=to_int(row["experts_per_token"]) or 0,
        moe_intermediate_size=moe_width,
        shared_intermediate_size=to_int(row["shared_intermediate_size"])
        or (to_int(row["shared_experts"]) or 0) * moe_width,
        dense_layers=to_int(row["dense_layers"]) or 0,
        extra_params=to_int(row["extra_params"]) or 0,
        extra_holds=row["extra_holds"],
        vision_params=to_int(row.get("vision_params", "")),
        params_total=params or 0,
        native_dtype=row["native_dtype"] or "bfloat16",
        released=row["released"],
        source=row["source_ref"],
        flags=tuple(flags),
    )


def count_full_layers(row: Row) -> int | None:
    """Layers that see the whole context, from their number or the pattern `5 sliding : 1 full`."""
    if row["full_attention_layers"]:
        return int(row["full_attention_layers"])
    if row["attention"].endswith("(all)"):
        return 0
    pattern = re.match(r"(\d+) (?:sliding|chunked) : (\d+) full", row["sliding_pattern"])
    if pattern is None:
        return None
    windowed, full = int(pattern[1]), int(pattern[2])
    return int(row["num_layers"]) * full // (windowed + full)


def read_linear_shapes(cell: str) -> dict[str, Any]:
    """Shapes of gated-delta layers from `nk=16 nv=32 dk=128 dv=128 conv=4`; empty for any other kind."""
    found = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", cell)}
    if set(found) != set(LINEAR_FIELDS):
        return {}
    return {field: found[name] for name, field in LINEAR_FIELDS.items()}


def make_traits(row: Row) -> Traits:
    """One architecture's traits from its row."""
    return Traits(
        norms=int(row["norms"]),
        feed_forward="plain" if row["feed_forward"] == "plain" else "gated",
        qk_norm=cast("Literal['head', 'full', 'always', 'none']", row["qk_norm"]),
        **{name: row[name] == "yes" for name in TRAIT_FLAGS},
        index=Indexer(*map(int, row["index"].split("x"))) if row["index"] else None,
        refused=row["refused"],
    )


def make_spelling(row: Row) -> Spelling:
    """One spelling from its row; a blank canonical word is a spelling that nobody can read."""
    return Spelling(
        kind=row["kind"], text=row["spelling"], canonical=row["canonical"] or None, note=row["note"]
    )


def split(cell: str) -> tuple[str, ...]:
    """The parts of a cell that holds several, separated by bars."""
    return tuple(part for part in cell.split("|") if part)


def to_int(cell: str) -> int | None:
    """A whole number, or None for a blank cell."""
    return int(cell) if cell else None


def to_float(cell: str) -> float | None:
    """A number, or None for a blank cell."""
    return float(cell) if cell else None


def scale(cell: str, factor: int) -> float | None:
    """A number in base units, or None for a blank cell."""
    return float(cell) * factor if cell else None
