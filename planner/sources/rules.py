"""The tables that planning stands on, from rows to domain types. Rows come from `data/` through the store."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from planner.domain.choose.candidates import Engine, EngineKin, Tables
from planner.domain.choose.drivers import DriverNeed
from planner.domain.facts.conditions import PREDICATES
from planner.domain.facts.engine_options import EngineOption
from planner.domain.facts.gguf import DynamicMix, GgmlType, MixRule, make_tables
from planner.domain.facts.hardware import DeviceKind, Target, make_device
from planner.domain.facts.kernels import Condition, EngineRule, Rulebook, RuleRole
from planner.domain.facts.scheme import NativeStorage, Prebuilt, Recipe, ScaleLayout, Scheme
from planner.domain.facts.versions import read_version
from planner.domain.predict.constants import Constant
from planner.domain.predict.engine_defaults import CARDS, EngineDefault
from planner.sources.engine_models import make_model_rules
from planner.sources.tables import Row, make_accelerator, read_rows, split, to_int

BARE_VERSION = re.compile(r"[\d.]+")
"""A release whose sources were read, and not a range, a commit or a page."""
RULE_TABLES = (
    "schemes",
    "recipes",
    "prebuilt",
    "engines",
    "engine_rules",
    "engine_models",
    "ggml_types",
    "gguf_mix",
    "gguf_dynamic",
    "engine_memory",
    "engine_kin",
    "engine_defaults",
    "engine_options",
    "native",
    "job_costs",
    "benchmarks",
    "links",
    "engine_cuda",
    "reference_targets",
    "accelerators",
)
"""File stems under `data/` that `make_planning_tables` needs."""


def make_planning_tables(rows: Mapping[str, Sequence[Row]]) -> Tables:
    """Parse all rule tables of one data version, given by file stem."""
    schemes = [make_scheme(row) for row in rows["schemes"]]
    return Tables(
        schemes={(scheme.name, scheme.format): scheme for scheme in schemes},
        recipes=[make_recipe(row) for row in rows["recipes"]],
        prebuilt=[make_prebuilt(row) for row in rows["prebuilt"]],
        engines={row["engine"]: make_engine(row) for row in rows["engines"]},
        rulebook=Rulebook(
            [
                *(make_rule(row) for row in rows["engine_rules"]),
                *make_model_rules(rows["engine_models"]),
            ]
        ),
        gguf=make_tables(
            [make_ggml_type(row) for row in rows["ggml_types"]],
            [make_mix_rule(row) for row in rows["gguf_mix"]],
            [make_dynamic_mix(row) for row in rows["gguf_dynamic"]],
        ),
        memory={(row["engine"], row["term"]): make_constant(row) for row in rows["engine_memory"]},
        engine_kin={
            row["engine"]: EngineKin(memory_of=row["memory_of"], note=row["note"])
            for row in rows["engine_kin"]
        },
        defaults=[make_default(row) for row in rows["engine_defaults"]],
        options=[
            EngineOption(engine=row["engine"], option=row["option"], sets=row["sets"])
            for row in rows["engine_options"]
        ],
        native=[make_native(row) for row in rows["native"]],
        jobs={
            (row["backend"], row["method"], row["where"], row["term"]): make_constant(row)
            for row in rows["job_costs"]
        },
        benchmarks=make_benchmarks(rows["benchmarks"]),
        drivers=[make_driver_need(row) for row in rows["engine_cuda"]],
        links={(row["link"], row["term"]): make_constant(row) for row in rows["links"]},
        reference_targets=make_reference_targets(rows["reference_targets"], rows["accelerators"]),
    )


def make_scheme(row: Row) -> Scheme:
    """One row of `schemes.csv`."""
    return Scheme(
        name=row["scheme"],
        format=row["format"],
        weight_bits=float(row["weight_bits"]),
        activation_bits=int(row["activation_bits"]),
        scales=cast("ScaleLayout", row["scales"]),
        fixed_group=to_int(row["fixed_group"]),
        scale_bytes=int(row["scale_bytes"]),
        zero_point_bits=int(row["zero_point_bits"]),
        matrix_bytes=int(row["matrix_bytes"]),
        index_bytes=int(row["index_bytes"]),
        source=row["source"],
    )


def make_recipe(row: Row) -> Recipe:
    """One row of `recipes.csv`."""
    return Recipe(
        scheme=row["scheme"],
        method=row["method"],
        format=row["format"],
        engine=row["engine"],
        backend=row["backend"] or None,
        group_sizes=tuple(int(size) for size in split(row["group_sizes"])) or (None,),
        below_sm=to_int(row["below_sm"]),
        calibrated=row["calibrated"] == "true",
        native_bits=float(row["native_bits"]),
        note=row["note"],
        source=row["source"],
    )


def make_prebuilt(row: Row) -> Prebuilt:
    """One row of `prebuilt.csv`."""
    return Prebuilt(
        model_id=row["model_id"],
        repo=row["repo"],
        scheme=row["scheme"],
        method=row["method"],
        format=row["format"],
        engine=row["engine"],
        group_size=to_int(row["group_size"]),
        intermediate_size=to_int(row["intermediate_size"]),
        note=row["note"],
        source=row["source"],
    )


def make_native(row: Row) -> NativeStorage:
    """One row of `native.csv`."""
    return NativeStorage(
        model_id=row["model_id"],
        scheme=row["scheme"],
        format=row["format"],
        group_size=to_int(row["group_size"]),
        left=frozenset(split(row["left"])),
        left_ends=row["left_ends"] == "yes",
        source=row["source"],
    )


def make_default(row: Row) -> EngineDefault:
    """One row of `engine_defaults.csv`.

    Raises:
        ValueError: it names a set of cards that nothing defines.
    """
    if row["cards"] and row["cards"] not in CARDS:
        raise ValueError(f"engine_defaults.csv, {row['term']}: no set of cards called {row['cards']}")
    return EngineDefault(
        engine=row["engine"],
        since=read_version(row["since"]) or (0,),
        cards=row["cards"],
        term=row["term"],
        constant=make_constant(row),
    )


def make_engine(row: Row) -> Engine:
    """One row of `engines.csv`."""
    return Engine(
        name=row["engine"],
        kinds=cast("tuple[DeviceKind, ...]", split(row["kinds"])),
        vendors=split(row["vendors"]),
        split=row["split"],
    )


def make_rule(row: Row) -> EngineRule:
    """One row of `engine_rules.csv`.

    Raises:
        ValueError: a condition names no predicate.
    """
    named = list(_conditions(row["conditions"]))
    unknown = [name for name, _ in named if name not in PREDICATES]
    if unknown:
        raise ValueError(f"engine_rules.csv, {row['rule_id']}: no predicate called {unknown[0]}")
    return EngineRule(
        rule_id=row["rule_id"],
        engines=split(row["engines"]) or (row["engine"],),
        role=cast("RuleRole", row["role"]),
        schemes=split(row["schemes"]),
        formats=split(row["formats"]),
        methods=split(row["methods"]),
        since=read_version(row["since"]),
        before=read_version(row["before"]),
        read_in=read_version(row["version"]) if BARE_VERSION.fullmatch(row["version"]) else None,
        kernel=row["kernel_name"],
        native=row["native"] == "yes",
        conditions=tuple(Condition(name, argument, PREDICATES[name]) for name, argument in named),
        code=row["code"],
        message=row["message"],
        way_out=split(row["way_out"]),
        source=row["source_ref"],
    )


def _conditions(cell: str) -> Iterable[tuple[str, str]]:
    for part in cell.split(";"):
        if part:
            name, _, argument = part.partition("=")
            yield name, argument


def make_ggml_type(row: Row) -> GgmlType:
    """One row of `ggml_types.csv`."""
    return GgmlType(
        name=row["type"],
        block_elements=int(row["block_elements"]),
        block_bytes=int(row["block_bytes"]),
        extra_bytes=int(row["row_bytes"]),
        fallback=row["fallback"] or None,
    )


def make_dynamic_mix(row: Row) -> DynamicMix:
    """One row of `gguf_dynamic.csv`."""
    return DynamicMix(
        scheme=row["scheme"],
        base=row["base"],
        layers=row["layers"],
        released_from=row["released_from"],
        low=float(row["low"]),
        likely=float(row["likely"]),
        high=float(row["high"]),
    )


def make_mix_rule(row: Row) -> MixRule:
    """One row of `gguf_mix.csv`."""
    return MixRule(ftype=row["ftype"], role=row["role"], when=tuple(row["when"].split()), type=row["type"])


def make_reference_targets(rows: Sequence[Row], accelerators: Sequence[Row]) -> list[Target]:
    """Targets by accelerator name and count."""
    by_name = {row["name"]: row for row in accelerators}
    return [
        Target(devices=(make_device(make_accelerator(by_name[row["device"]])),) * int(row["count"]))
        for row in rows
    ]


def read_driver_needs(path: Path) -> list[DriverNeed]:
    """Every row of `engine_cuda.csv`; none where the tables lie elsewhere and lack it.

    Raises:
        BadInput: the file lacks a column or a cell cannot be read.
    """
    return list(read_rows(path, make_driver_need)) if path.is_file() else []


def make_driver_need(row: Row) -> DriverNeed:
    """One row of `engine_cuda.csv`."""
    return DriverNeed(
        engine=row["engine"],
        toolkit=row["toolkit"],
        driver_cuda=row["driver_cuda"],
        driver=row["driver"],
        from_sm=int(row["from_sm"]),
        way_out=split(row["way_out"]),
        source=row["source"],
    )


def make_benchmarks(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """Benchmarks by task, the one that quality is judged on first."""
    by_task: dict[str, list[str]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row["benchmark"])
    return {task: tuple(names) for task, names in by_task.items()}


def make_constant(row: Row) -> Constant:
    """One row of `engine_memory.csv` or `job_costs.csv`."""
    return Constant(float(row["low"]), float(row["likely"]), float(row["high"]), row["source"])
