"""The one candidate that was spelled out: what was left open takes its stated default.

Engine, method and format come from the first recipe that agrees, groups are 128 columns where a scheme has
groups and its rows divide into them, and tensor parallel goes over all devices (layers over all devices in
llama.cpp and transformers).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from planner.domain.choose.candidates import (
    NATIVE_ENGINE,
    Candidate,
    Tables,
    is_released_in_16_bits,
    released_scheme,
)
from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, DeviceKind
from planner.domain.facts.kernels import Placement
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import NativeStorage, Recipe, Scheme, nominal_scheme
from planner.domain.facts.shards import linear_shards
from planner.domain.facts.spellings import GGUF_TYPES
from planner.domain.facts.versions import read_version
from planner.domain.predict.extras import ExtraAsk
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY

USUAL_GROUPS = (128, 64, 32)
MADE_FOR: Mapping[str, str] = {"EXL3_": "exllamav3", "EXL2_": "exllamav2"}
"""How schemes begin that one engine's own tools make and that engine reads."""
MADE_ON_LOADING: Mapping[str, str] = {"NF4": "transformers"}
"""Schemes that an engine with constants of its own makes while it loads 16 bits (bitsandbytes)."""
RELEASED = frozenset({"native", "qat"})
"""Methods that a publisher, and nobody after it, applies: `native`, or training with quantized weights."""
USUALLY_BY_CHANNEL = frozenset({("W8A16", "compressed-tensors")})
"""Schemes with groups that are one a row unless asked for (compressed-tensors, preset W8A16)."""
FORMATS_OF_METHODS = frozenset({"gptq", "awq"})
"""Methods whose own tools write a format of the same name."""
PER_CHANNEL = -1
"""Group size of a scale that covers a whole row, as checkpoints write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateAsk:
    """A candidate as spelled out, in canonical words; None is what was not said."""

    scheme: str
    method: str | None = None
    format: str | None = None
    format_named: str | None = None
    """Format that the scheme's or the method's own words name (`GPTQ-Int4`), where no field says it."""
    group_size: int | None = None
    engine: str | None = None
    engine_version: str | None = None
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    ep: int | None = None
    kv_dtype: str = "auto"
    prompt_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    max_num_batched_tokens: int | None = None
    terms: Mapping[str, float] = field(default_factory=dict)
    """Terms of the engine's constants that its own options set."""
    eager: bool = False
    """Whether the engine captures no graphs."""
    offload: int = 0
    """Layers that stay in host memory with their cache: llama.cpp's -ngl is layers + 1 less these."""
    act_order: bool = False
    """Whether GPTQ took columns in order of their activations (`desc_act`)."""
    symmetric: bool = True
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    is_text_only: bool = False
    """Whether the engine is told that no image will come."""
    chunked: bool | None = None
    """Whether prompts are cut into chunks, where that was said."""
    extras: ExtraAsk = field(default_factory=ExtraAsk)


def place_candidate(ask: EstimateAsk, engine: str, count: int | None, tables: Tables) -> Placement:
    """The placement that was asked for, the rest filled in.

    Raises:
        BadInput: `estimate.placement`, it needs more devices than there are; `estimate.not_modelled`, layers are
            to stay in host memory and the engine is none of llama.cpp's family.
    """
    if ask.offload and engine not in LLAMACPP_FAMILY:
        raise BadInput(
            "estimate.not_modelled",
            f"Layers in host memory are modelled for llama.cpp, not for {engine}: estimate without (offload 0).",
        )
    if ask.tp is None and ask.pp is None:
        each = (count or 1) // (ask.dp or 1) or 1
        by_layer = engine in tables.engines and tables.engines[engine].split == "layer"
        placement = Placement(tp=1 if by_layer else each, pp=each if by_layer else 1, dp=ask.dp or 1)
    else:
        placement = Placement(tp=ask.tp or 1, pp=ask.pp or 1, dp=ask.dp or 1)
    if ask.ep is not None and ask.ep > 1:
        placement = _spread_experts(placement, ask.ep)
    if count is not None and placement.devices > count:
        raise BadInput(
            "estimate.placement",
            f"tp {placement.tp} × pp {placement.pp} × dp {placement.dp} needs {placement.devices} devices, "
            f"the target has {count}. Ask for less, or say a larger count.",
        )
    return replace(placement, offload=ask.offload)


def _spread_experts(placement: Placement, ep: int) -> Placement:
    """The placement with whole experts over `ep` of one stage's ranks.

    Raises:
        BadInput: `estimate.placement`, that is no whole part of its ranks.
    """
    ranks = placement.tp * placement.dp
    if ranks % ep:
        raise BadInput(
            "estimate.placement",
            f"ep {ep} is no divisor of the {ranks} ranks of a stage (tp {placement.tp} × dp {placement.dp}). "
            f"Ask for ep {ranks}, or for a tp that ep divides.",
        )
    return replace(placement, ep=ep)


def make_candidate(
    ask: EstimateAsk, engine: str, model: ModelFacts, tables: Tables, at: Placement
) -> Candidate:
    """The candidate that was asked for.

    Raises:
        BadInput: `scheme.not_modelled`, `method.not_modelled`, its storage or its memory has no table row yet;
            `estimate.bad_field`, more layers are to stay in host memory than there are.
    """
    recipe = _find_recipe(ask, engine, tables)
    scheme = _find_scheme(ask, recipe, engine, tables)
    if at.offload > model.num_layers:
        raise BadInput(
            "estimate.bad_field",
            f"offload keeps {at.offload} layers in host memory, {model.model_id} has {model.num_layers}.",
        )
    released = _find_native(ask, scheme, model, tables)
    if released is not None:
        ask = replace(ask, method="native", group_size=released.group_size)
        scheme = released_scheme(released, tables)
        recipe = None
    return Candidate(
        scheme=scheme,
        method=_method(ask, recipe, scheme),
        engine=engine,
        backend=recipe.backend if recipe else None,
        group_size=_group_size(ask, scheme, model, at.tp),
        placement=at,
        kv_dtype=ask.kv_dtype,
        native_bits=recipe.native_bits if recipe else scheme.weight_bits,
        calibrated=recipe.calibrated if recipe else False,
        prebuilt=None,
        intermediate_size=model.intermediate_size,
        engine_version=read_version(ask.engine_version),
        rules_of=None if ask.engine == engine else ask.engine,
        format_named="gguf" if ask.scheme in GGUF_TYPES else ask.format_named,
        act_order=ask.act_order,
        symmetric=ask.symmetric,
    )


def as_published(candidate: Candidate, words: str, tables: Tables) -> Candidate:
    """The candidate as the published checkpoint that `words` name, where they name one: its shape and groups."""
    name = words.rpartition("/")[2].lower()
    for row in tables.prebuilt:
        if row.repo.rpartition("/")[2].lower() == name and row.scheme == candidate.scheme.name:
            return replace(
                candidate,
                scheme=tables.schemes[row.scheme, row.format],
                method=row.method,
                backend=None,
                prebuilt=row,
                group_size=row.group_size or candidate.group_size,
                intermediate_size=row.intermediate_size or candidate.intermediate_size,
            )
    return candidate


def name_usual_engine(ask: EstimateAsk, model: ModelFacts, device: Device, tables: Tables) -> EstimateAsk:
    """The ask with the engine that its scheme is made for, where none was said and no other format either."""
    if ask.engine is not None or ask.format == "gguf" or ask.method in {"gguf", "imatrix"}:
        return ask
    for start, engine in MADE_FOR.items():
        if ask.scheme.startswith(start):
            return replace(ask, engine=engine)
    native = tables.engines[NATIVE_ENGINE]
    is_able = device.kind in native.kinds and device.vendor in native.vendors
    if not is_able or ask.method not in {None, *RELEASED} or is_released_in_16_bits(model):
        return ask
    is_released = any((row.model_id, row.scheme) == (model.model_id, ask.scheme) for row in tables.native)
    return replace(ask, engine=NATIVE_ENGINE) if is_released else ask


def choose_engine(ask: EstimateAsk, kind: DeviceKind, tables: Tables) -> str:
    """The engine that was asked for or its nearest of kin, or that of the first recipe that runs on such a device.

    Raises:
        BadInput: `engine.not_modelled`.
    """
    modelled = sorted({engine for engine, term in tables.memory if term == "utilisation"})
    if ask.engine is not None:
        if ask.engine in modelled:
            return ask.engine
        if ask.engine in tables.engine_kin:
            return tables.engine_kin[ask.engine].memory_of
        raise BadInput(
            "engine.not_modelled",
            f"Memory of {ask.engine} is not modelled. Modelled engines: "
            f"{', '.join(sorted({*modelled, *tables.engine_kin}))}.",
            choices=[*modelled, *tables.engine_kin],
        )
    if ask.format == "gguf" or ask.method in {"gguf", "imatrix"}:
        return "llama.cpp"
    if ask.scheme in MADE_ON_LOADING:
        return MADE_ON_LOADING[ask.scheme]
    able = [engine for engine in tables.engines.values() if kind in engine.kinds]
    made = {(row.engine, row.scheme) for row in tables.recipes}
    made |= {(row.engine, row.scheme) for row in tables.prebuilt}
    for engine in able:
        if (engine.name, ask.scheme) in made:
            return engine.name
    is_gguf = (ask.scheme, "gguf") in tables.schemes
    return "llama.cpp" if is_gguf or not able else able[0].name


def _find_native(ask: EstimateAsk, scheme: Scheme, model: ModelFacts, tables: Tables) -> NativeStorage | None:
    """How the model was released, where that is what was asked for: by name, or by a width and no other method."""
    is_said = ask.method in RELEASED
    is_only_form = ask.method is None and not is_released_in_16_bits(model)
    if not (is_said or is_only_form) or scheme.is_gguf_mix:
        return None
    for row in tables.native:
        width = tables.schemes[row.scheme, row.format].weight_bits
        if row.model_id == model.model_id and width == scheme.weight_bits:
            return row
    return None


def _find_recipe(ask: EstimateAsk, engine: str, tables: Tables) -> Recipe | None:
    """The first recipe that agrees; method `gguf` says only that llama.cpp made it."""
    methods = {ask.method} if ask.method not in {None, "gguf"} else None
    for recipe in tables.recipes:
        if (
            recipe.scheme == ask.scheme
            and recipe.engine == engine
            and (methods is None or recipe.method in methods)
            and ask.format in {None, recipe.format}
        ):
            return recipe
    return None


def _method(ask: EstimateAsk, recipe: Recipe | None, scheme: Scheme) -> str:
    """The method that was said; `gguf` says one only of a GGUF file."""
    if ask.method is not None and (ask.method != "gguf" or scheme.is_gguf_mix):
        return ask.method
    if recipe is not None:
        return recipe.method
    return "none" if scheme.weight_bits >= 16 else "rtn"


def _find_scheme(ask: EstimateAsk, recipe: Recipe | None, engine: str, tables: Tables) -> Scheme:
    if recipe is not None:
        return tables.schemes[recipe.scheme, recipe.format]
    published = [
        row.format for row in tables.prebuilt if (row.scheme, row.method) == (ask.scheme, ask.method)
    ]
    stored = [form for name, form in tables.schemes if name == ask.scheme]
    usual = [row.format for row in tables.recipes if (row.scheme, row.engine) == (ask.scheme, engine)]
    of_engine = ["gguf"] if engine in LLAMACPP_FAMILY else []
    own = [ask.method] if ask.method in FORMATS_OF_METHODS else []
    wanted = [ask.format] if ask.format else [*published, *usual, *of_engine, *own, *stored]
    for form in wanted:
        if form in stored:
            return tables.schemes[ask.scheme, form]
    is_mix = ask.scheme in GGUF_TYPES and engine in LLAMACPP_FAMILY
    nominal = nominal_scheme(ask.scheme) if ask.format is None and not is_mix else None
    if nominal is not None and not stored:
        return nominal
    as_format = f" as {ask.format}" if ask.format else ""
    known = stored or sorted({name for name, _ in tables.schemes})
    raise BadInput(
        "scheme.not_modelled",
        f"What {ask.scheme}{as_format} stores is not modelled yet. Modelled: {', '.join(known)}.",
        choices=known,
    )


def _group_size(ask: EstimateAsk, scheme: Scheme, model: ModelFacts, tp: int) -> int | None:
    """What was asked for; else 128, or where rows have no whole groups of 128 the largest size that they do have.

    A checkpoint that could not be made with 128 was made with something else, most likely with what its engine
    splits: of the sizes that rows divide into, the first that ranks do as well.
    """
    if scheme.scales != "group" or ask.group_size == PER_CHANNEL:
        return None
    if scheme.fixed_group or ask.group_size:
        return scheme.fixed_group or ask.group_size
    if (scheme.name, scheme.format) in USUALLY_BY_CHANNEL:
        return None
    shards = linear_shards(model, model.intermediate_size, tp)
    whole = [size for size in USUAL_GROUPS if not any(shard.full_columns % size for shard in shards)]
    if USUAL_GROUPS[0] in whole or not whole:
        return USUAL_GROUPS[0]
    split = (size for size in whole if not any(shard.columns % size for shard in shards))
    return next(split, whole[0])
