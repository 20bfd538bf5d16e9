"""Everything worth weighing: scheme x method x format x engine x placement x KV dtype over a target.

Recipes, engines and published checkpoints are tables; this module multiplies them out. Nothing is judged here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.domain.choose.drivers import DriverNeed
from planner.domain.choose.placements import find_placements
from planner.domain.errors import BadInput
from planner.domain.facts.engine_options import EngineOption
from planner.domain.facts.gguf import GgufTables
from planner.domain.facts.hardware import DeviceKind, Target
from planner.domain.facts.kernels import Placement, Rulebook
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request
from planner.domain.facts.scheme import NativeStorage, Prebuilt, Recipe, Scheme
from planner.domain.facts.versions import Version
from planner.domain.predict.constants import MemoryConstants
from planner.domain.predict.engine_defaults import EngineDefault
from planner.domain.predict.job_cost import JobConstants
from planner.domain.predict.links import LinkConstants

SIXTEEN_BITS = ("bfloat16", "float16", "float32")
NATIVE_ENGINE = "vllm"
"""Engine that a checkpoint is weighed for as it was released; llama.cpp reads its own conversions alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One row of `data/engines.csv`."""

    name: str
    kinds: tuple[DeviceKind, ...]
    """Device kinds on which it is weighed without being asked for."""
    vendors: tuple[str, ...]
    """Vendors on which it is weighed; empty: any."""
    split: str
    """`tensor` or `layer`: how one replica spreads over devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKin:
    """One row of `data/engine_kin.csv`: whose memory an engine's resembles most, and why."""

    memory_of: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """The tables that planning stands on, parsed, all of one data version. Told apart by identity."""

    schemes: Mapping[tuple[str, str], Scheme]
    """By (scheme, format)."""
    recipes: Sequence[Recipe]
    prebuilt: Sequence[Prebuilt]
    engines: Mapping[str, Engine]
    rulebook: Rulebook
    gguf: GgufTables
    memory: MemoryConstants
    engine_kin: Mapping[str, EngineKin]
    """By engine, for those whose memory has no constants of its own."""
    defaults: Sequence[EngineDefault]
    """What `memory` becomes by version and card."""
    options: Sequence[EngineOption]
    native: Sequence[NativeStorage]
    jobs: JobConstants
    benchmarks: Mapping[str, tuple[str, ...]]
    """By task: the benchmark that quality is judged on, then its relatives."""
    links: LinkConstants
    drivers: Sequence[DriverNeed]
    reference_targets: Sequence[Target]
    """Targets that are tried, smallest first, to say what would do when nothing fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One complete choice, before any judgement."""

    scheme: Scheme
    method: str
    engine: str
    backend: str | None
    group_size: int | None
    placement: Placement
    kv_dtype: str
    native_bits: float
    calibrated: bool
    prebuilt: Prebuilt | None
    intermediate_size: int
    engine_version: Version | None = None
    """None: the newest known."""
    rules_of: str | None = None
    """Engine whose rules judge, where `engine` only lends it its memory."""
    format_named: str | None = None
    """Format that the words named, where storage is reckoned as another format's of the same scheme."""
    act_order: bool = False
    symmetric: bool = True
    in_16_bits: frozenset[str] = frozenset()
    """Layers left unquantized, as `facts/shards.py` names them; their memory is not counted in."""

    def __hash__(self) -> int:
        """By what tells most candidates of a plan apart."""
        return hash((self.scheme.name, self.method, self.engine, self.group_size, self.placement))

    @property
    def label(self) -> str:
        """In words: `W4A16 group 64 by gptq, vllm, TP 2`."""
        group = f" group {self.group_size}" if self.group_size else ""
        method = "" if self.method in {"none", "rtn"} and self.scheme.is_gguf_mix else f" by {self.method}"
        return f"{self.scheme.name}{group}{'' if self.method == 'none' else method}, {self.engine}"


def enumerate_candidates(
    request: Request, model: ModelFacts, target: Target, tables: Tables
) -> list[Candidate]:
    """All candidates for this request on this target, in table order.

    Raises:
        BadInput: an engine or a scheme was asked for by name and no recipe has it.
    """
    engines = _engines(request, target, tables)
    recipes = [
        recipe
        for recipe in tables.recipes
        if recipe.engine in engines
        and _is_asked_for(request, recipe.scheme, recipe.method)
        and not (request.must_quantize and recipe.method == "none")
        and _is_for_these_cards(recipe, target)
    ]
    prebuilt = [
        row
        for row in tables.prebuilt
        if row.model_id == model.model_id
        and row.engine in engines
        and _is_asked_for(request, row.scheme, row.method)
        and not request.must_quantize
    ]
    released = _released(request, model, engines, tables)
    if not recipes and not prebuilt and not released:
        raise _nothing_to_weigh(request, target, tables)
    splits = {engine.split for engine in tables.engines.values()}
    places = {split: find_placements(target.devices, split, model.num_experts) for split in splits}
    candidates = [
        Candidate(
            scheme=tables.schemes[recipe.scheme, recipe.format],
            method=recipe.method,
            engine=recipe.engine,
            backend=recipe.backend,
            group_size=group_size,
            placement=placement,
            kv_dtype=request.kv_dtype or "auto",
            native_bits=recipe.native_bits,
            calibrated=recipe.calibrated,
            prebuilt=None,
            intermediate_size=model.intermediate_size,
        )
        for recipe in recipes
        for group_size in recipe.group_sizes
        if request.group_size is None or group_size == request.group_size
        for placement in places[tables.engines[recipe.engine].split]
    ]
    candidates += [
        Candidate(
            scheme=tables.schemes[row.scheme, row.format],
            method=row.method,
            engine=row.engine,
            backend=None,
            group_size=row.group_size,
            placement=placement,
            kv_dtype=request.kv_dtype or "auto",
            native_bits=tables.schemes[row.scheme, row.format].weight_bits,
            calibrated=False,
            prebuilt=row,
            intermediate_size=row.intermediate_size or model.intermediate_size,
        )
        for row in prebuilt
        if request.group_size is None or row.group_size == request.group_size
        for placement in places[tables.engines[row.engine].split]
    ]
    candidates += [
        Candidate(
            scheme=released_scheme(row, tables),
            method="native",
            engine=NATIVE_ENGINE,
            backend=None,
            group_size=row.group_size,
            placement=placement,
            kv_dtype=request.kv_dtype or "auto",
            native_bits=tables.schemes[row.scheme, row.format].weight_bits,
            calibrated=False,
            prebuilt=None,
            intermediate_size=model.intermediate_size,
        )
        for row in released
        if request.group_size is None or row.group_size == request.group_size
        for placement in places[tables.engines[NATIVE_ENGINE].split]
    ]
    if not candidates:
        raise BadInput(
            "scheme.no_recipe",
            f"No recipe makes group size {request.group_size}; recipes have 128, 64 and 32.",
        )
    return candidates


def released_scheme(row: NativeStorage, tables: Tables) -> Scheme:
    """What a released checkpoint stores: its scheme, less the matrices that it leaves in 16 bits."""
    return replace(tables.schemes[row.scheme, row.format], left=row.left, left_ends=row.left_ends)


def is_released_in_16_bits(model: ModelFacts) -> bool:
    """Whether the model's own checkpoint holds 16 or 32 bits a weight."""
    return model.native_dtype.startswith(SIXTEEN_BITS)


def _released(request: Request, model: ModelFacts, engines: set[str], tables: Tables) -> list[NativeStorage]:
    """How the model itself was released, where that is not in 16 bits and was not asked away."""
    if NATIVE_ENGINE not in engines or request.must_quantize or is_released_in_16_bits(model):
        return []
    return [
        row
        for row in tables.native
        if row.model_id == model.model_id and _is_asked_for(request, row.scheme, "native")
    ]


def _is_for_these_cards(recipe: Recipe, target: Target) -> bool:
    if recipe.below_sm is None:
        return True
    known = [device.sm for device in target.devices if device.sm is not None]
    return bool(known) and min(known) < recipe.below_sm


def _is_asked_for(request: Request, scheme: str, method: str) -> bool:
    if request.schemes and scheme not in request.schemes:
        return False
    return request.method is None or method == request.method


def _engines(request: Request, target: Target, tables: Tables) -> set[str]:
    if request.engine:
        return {request.engine}
    first = target.devices[0]
    return {
        engine.name
        for engine in tables.engines.values()
        if first.kind in engine.kinds and (not engine.vendors or first.vendor in engine.vendors)
    }


def _nothing_to_weigh(request: Request, target: Target, tables: Tables) -> BadInput:
    if request.engine and not any(recipe.engine == request.engine for recipe in tables.recipes):
        known = sorted({recipe.engine for recipe in tables.recipes})
        return BadInput(
            "engine.no_recipe",
            f'There is no recipe for engine "{request.engine}" yet. Plannable engines: {", ".join(known)}.',
            choices=known,
        )
    if not _engines(request, target, tables):
        return BadInput(
            "engine.none_for_device",
            f"No engine that is weighed here serves on {target.label}. Say another card, a Mac or a processor.",
        )
    schemes = sorted({recipe.scheme for recipe in tables.recipes})
    asked = " ".join(filter(None, (", ".join(request.schemes), request.method and f"by {request.method}")))
    where = f"engine {request.engine}" if request.engine else target.label
    return BadInput(
        "scheme.no_recipe",
        f"No recipe makes {asked} for {where}. Schemes with recipes: {', '.join(schemes)}.",
        choices=schemes,
    )
