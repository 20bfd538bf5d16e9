"""What would load instead of a candidate that does not: its neighbours, each judged by the same rules.

A rule's own finding says what mends that rule; a way out here mends all of them at once and is a candidate that
can be asked for (users of AutoRound want just this: its issue 643). Nearest first: another group size, another
split of the same devices, a padded width, a layer left in 16 bits, another KV type, version or engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from planner.domain.choose.candidates import Candidate, Tables
from planner.domain.choose.legality import judge_load, make_load
from planner.domain.facts.hardware import Target
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.shape_conditions import round_up
from planner.domain.facts.shards import Shard, linear_shards
from planner.domain.units import format_gib

GROUP_SIZES = (128, 64, 32)
"""Group sizes that quantizers offer."""
ENGINES = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "exllamav3", "transformers")
"""Engines that are tried in another's place, most common first."""
SCHEMES = (
    *(("BF16", "safetensors"), ("F16", "safetensors"), ("FP8_DYNAMIC", "compressed-tensors")),
    *(("W8A8", "compressed-tensors"), ("W8A16", "compressed-tensors"), ("W4A16", "compressed-tensors")),
    *(("NVFP4", "compressed-tensors"), ("W4A16", "awq"), ("W4A16", "gptq")),
    *(("BF16", "gguf"), ("Q8_0", "gguf"), ("Q5_K_M", "gguf"), ("Q4_K_M", "gguf")),
)
"""Schemes that are tried in another's place where neither shape nor placement is what stands in the way."""
OTHER_SCHEMES = 2
SIXTEEN = 16
TILE = 128
"""Columns of the widest tile that kernels ask of a rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """One candidate that loads."""

    change: str
    candidate: Candidate
    fields: dict[str, Any] | None
    """What to ask an estimate for to get it; None where it has to be made first."""


def find_ways_out(candidate: Candidate, model: ModelFacts, target: Target, tables: Tables) -> list[WayOut]:
    """Every neighbour of a candidate that loads, nearest first; the candidate itself does not."""

    def loads(way: WayOut) -> bool:
        return judge_load(make_load(way.candidate, model, target), tables).status == "legal"

    ways = [way for way in _neighbours(candidate, model, tables) if loads(way)]
    here = (candidate.rules_of, candidate.engine_version)
    if any((way.candidate.rules_of, way.candidate.engine_version) == here for way in ways):
        return ways
    return [*filter(loads, _other_schemes(candidate, tables))][:OTHER_SCHEMES] + ways


def _neighbours(candidate: Candidate, model: ModelFacts, tables: Tables) -> Iterator[WayOut]:
    for size in GROUP_SIZES:
        if candidate.group_size not in {None, size} and candidate.scheme.fixed_group is None:
            yield WayOut(
                change=f"group {size}",
                candidate=replace(candidate, group_size=size),
                fields={"group_size": size},
            )
    for placement in _placements(candidate.placement):
        yield WayOut(
            change=placement.label,
            candidate=replace(candidate, placement=placement),
            fields={"tp": placement.tp, "pp": placement.pp, "dp": placement.dp},
        )
    yield from _reshaped(candidate, model)
    if candidate.kv_dtype != "auto":
        yield WayOut(
            change="KV cache in 16 bits",
            candidate=replace(candidate, kv_dtype="auto"),
            fields={"kv_dtype": "auto"},
        )
    if candidate.engine_version is not None:
        yield WayOut(
            change=f"the newest {candidate.rules_of or candidate.engine}",
            candidate=replace(candidate, engine_version=None),
            fields={"engine_version": None},
        )
    for engine in ENGINES:
        if engine != (candidate.rules_of or candidate.engine) and engine in tables.rulebook:
            yield WayOut(
                change=engine,
                candidate=replace(candidate, rules_of=engine, engine_version=None),
                fields={"engine": engine, "engine_version": None},
            )


def _other_schemes(candidate: Candidate, tables: Tables) -> Iterator[WayOut]:
    """The same engine with another scheme, nearest in bits first."""
    bits = candidate.scheme.weight_bits
    known = [
        tables.schemes[key] for key in SCHEMES if key in tables.schemes and key[0] != candidate.scheme.name
    ]
    for scheme in sorted(known, key=lambda scheme: abs(scheme.weight_bits - bits)):
        method = "none" if scheme.weight_bits >= SIXTEEN else "rtn"
        group = GROUP_SIZES[0] if scheme.scales == "group" and not scheme.fixed_group else scheme.fixed_group
        yield WayOut(
            change=scheme.name,
            candidate=replace(
                candidate, scheme=scheme, method=method, group_size=group, format_named=None, prebuilt=None
            ),
            fields={"scheme": scheme.name, "method": method, "format": scheme.format, "group_size": group},
        )


def _placements(at: Placement) -> Iterator[Placement]:
    """The same devices with fewer ranks: the rest as stages, or as replicas."""
    for tp in range(at.tp - 1, 0, -1):
        if at.tp % tp == 0:
            yield replace(at, tp=tp, pp=at.pp * at.tp // tp)
    if at.tp > 1:
        yield replace(at, tp=1, dp=at.dp * at.tp)


def _reshaped(candidate: Candidate, model: ModelFacts) -> Iterator[WayOut]:
    """A width padded to whole groups and tiles on every rank, and layers that do not divide left in 16 bits."""
    group, tp = candidate.group_size or TILE, candidate.placement.tp
    width = candidate.intermediate_size
    padded = round_up(width, max(group, TILE) * tp)
    if padded != width and (not model.num_experts or model.dense_layers):
        yield WayOut(
            change=f"intermediate size padded with zeros from {width} to {padded} before quantizing",
            candidate=replace(candidate, intermediate_size=padded),
            fields=None,
        )
    odd = [
        shard
        for shard in linear_shards(model, width, tp)
        if shard.by_columns and (shard.columns % group or shard.full_columns % group)
    ]
    if odd and candidate.scheme.weight_bits < 16:
        names = " and ".join(shard.layer for shard in odd)
        more = sum(_extra_bytes(shard, candidate, model) for shard in odd)
        yield WayOut(
            change=f"{names} left in 16 bits ({format_gib(more)} more over all devices)",
            candidate=replace(candidate, in_16_bits=frozenset(shard.layer for shard in odd)),
            fields=None,
        )


def _extra_bytes(shard: Shard, candidate: Candidate, model: ModelFacts) -> int:
    """Bytes that a layer of this kind takes in 16 bits beyond what the scheme takes, in all layers."""
    holding = model.num_layers - model.dense_layers if shard.is_expert else model.num_layers
    copies = model.num_experts if shard.is_expert else 1
    if shard.layer.startswith("mlp.") and model.num_experts:
        holding = model.dense_layers
    elements = shard.full_columns * model.hidden_size * holding * copies
    return int(elements * (16 - candidate.scheme.weight_bits) / 8)
