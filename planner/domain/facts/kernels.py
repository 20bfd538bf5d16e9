"""Which kernel an engine uses for these shapes on this card, and why it has none.

`data/engine_rules.csv` holds the rules. A row with role `loads` admits a scheme when all its conditions hold,
and names the kernel; the first admitting row wins, so rows stand fastest first. A row with role `requires`
must hold whenever it applies, and a row with role `refuses` says no outright. Rows with role `fact` are
recorded but judge nothing yet. This module holds only the predicates that conditions name; legality and speed
both ask `find_kernel`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from planner.domain.facts.hardware import Device
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.tensors import row_parallel_widths

OTHER_VENDOR = "engine.other_vendor"
"""Code of a condition that speaks of another maker's devices."""
RuleRole = Literal["loads", "requires", "refuses", "fact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a model is spread: replicas x tensor x pipeline parallel, over `devices` devices in all."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    offload: int = 0
    """First layers of the model that stay in host memory."""
    ep: int = 1
    """Ranks of the same devices over which whole experts are spread; 1: each rank has its shard of every expert."""

    @property
    def devices(self) -> int:
        """Devices in use."""
        return self.tp * self.pp * self.dp

    @property
    def label(self) -> str:
        """`TP 2`, `PP 2`, `2 replicas`, `TP 2 × PP 2`; `1 device` when nothing is split."""
        parts = [
            f"{self.dp} replicas" if self.dp > 1 else "",
            f"TP {self.tp}" if self.tp > 1 else "",
            f"PP {self.pp}" if self.pp > 1 else "",
            f"{self.offload} layers in host memory" if self.offload else "",
            f"EP {self.ep}" if self.ep > 1 else "",
        ]
        return " × ".join(part for part in parts if part) or "1 device"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What an engine is asked to load: everything a rule may look at."""

    engine: str
    model: ModelFacts
    scheme: Scheme
    method: str
    group_size: int | None
    kv_dtype: str = "auto"
    placement: Placement
    device: Device
    """The least able device of the target."""
    intermediate_size: int
    """The model's own, or a padded checkpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a condition does not hold: a stable code, one sentence with the arithmetic, the numbers."""

    code: str
    message: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    way_out: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRule:
    """One row of `data/engine_rules.csv`."""

    rule_id: str
    engine: str
    version: str
    role: RuleRole
    schemes: tuple[str, ...]
    """Empty: any scheme."""
    formats: tuple[str, ...]
    """Empty: any format."""
    kernel: str
    native: bool
    """Whether the kernel computes in the scheme's own type (FP8 on Ampere does not: weights only)."""
    conditions: tuple[tuple[str, str], ...]
    message: str
    source: str

    def applies_to(self, load: Load) -> bool:
        """Whether the row speaks about this engine, scheme and format."""
        return (
            self.engine == load.engine
            and (not self.schemes or load.scheme.name in self.schemes)
            and (not self.formats or load.scheme.format in self.formats)
        )


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel that will run, by its rule."""

    name: str
    native: bool
    source: str


Rulebook = Mapping[str, Sequence[EngineRule]]
"""Rules by engine, in table order."""


def make_rulebook(rules: Sequence[EngineRule]) -> Rulebook:
    """Rules that judge, by engine."""
    book: dict[str, list[EngineRule]] = {}
    for rule in rules:
        if rule.role != "fact":
            book.setdefault(rule.engine, []).append(rule)
    return book


def find_kernel(load: Load, book: Rulebook) -> tuple[Kernel | None, list[Finding]]:
    """The kernel that loads this, or every finding that stands in the way.

    No kernel and no findings means that no rule covers the combination: unknown. Of several kernels that all
    fail, the least demanding one (rows stand fastest first) says why.
    """
    applying = [rule for rule in book.get(load.engine, ()) if rule.applies_to(load)]
    findings = [
        _refusal(rule, load) for rule in applying if rule.role == "refuses" and not _failing(rule, load)
    ]
    for rule in applying:
        if rule.role == "requires":
            findings += _failing(rule, load)
    nearest: list[Finding] = []
    for rule in applying:
        if rule.role != "loads":
            continue
        failing = _failing(rule, load)
        if not failing:
            return (None if findings else Kernel(rule.kernel, rule.native, rule.source)), findings
        speaks_of_others = any(finding.code == OTHER_VENDOR for finding in failing)
        if not speaks_of_others and (not nearest or len(failing) <= len(nearest)):
            nearest = failing
    return None, findings + nearest


def _failing(rule: EngineRule, load: Load) -> list[Finding]:
    findings = []
    for name, argument in rule.conditions:
        finding = PREDICATES[name](load, argument)
        if finding is not None:
            findings.append(
                Finding(
                    code=finding.code,
                    message=finding.message,
                    numbers=finding.numbers,
                    way_out=finding.way_out,
                    source=rule.source,
                )
            )
    return findings


def _refusal(rule: EngineRule, load: Load) -> Finding:
    return Finding(
        code="engine.cannot_load",
        message=rule.message or f"{load.engine} {rule.version} does not load {load.scheme.name}",
        source=rule.source,
    )


def _vendor_in(load: Load, argument: str) -> Finding | None:
    vendors = argument.split("|")
    if load.device.vendor in vendors:
        return None
    return Finding(
        code=OTHER_VENDOR,
        message=f"this kernel runs on {' or '.join(vendors)} devices, {load.device.label} is {load.device.vendor}",
        numbers={"vendor": load.device.vendor},
    )


def _min_sm(load: Load, argument: str) -> Finding | None:
    needed = int(argument)
    have = load.device.sm
    if have is None:
        return Finding(
            code="capability.unknown",
            message=f"{load.scheme.name} in {load.engine} needs compute capability {needed / 10:.1f}, "
            f"what {load.device.label} has is not known",
            numbers={"needed": needed / 10},
        )
    if have >= needed:
        return None
    return Finding(
        code="capability.too_old",
        message=f"{load.scheme.name} in {load.engine} needs compute capability {needed / 10:.1f}, "
        f"{load.device.label} has {have / 10:.1f}",
        numbers={"needed": needed / 10, "has": have / 10},
        way_out=("a scheme that this card's kernels take", "a newer card"),
    )


def _sm_is(load: Load, argument: str) -> Finding | None:
    if load.device.sm == int(argument):
        return None
    return Finding(
        code="capability.other_kernel",
        message=f"this kernel needs compute capability {int(argument) / 10:.1f} exactly",
        numbers={"needed": int(argument) / 10},
    )


def _group_in(load: Load, argument: str) -> Finding | None:
    allowed = argument.split("|")
    group = "-1" if load.group_size is None else str(load.group_size)
    if group in allowed:
        return None
    sizes = ", ".join(size for size in allowed if size != "-1")
    return Finding(
        code="shape.group_size_unsupported",
        message=f"{load.engine} takes group sizes {sizes} for {load.scheme.name}, not {group}",
        numbers={"group_size": load.group_size},
        way_out=tuple(f"group {size}" for size in allowed if size != "-1"),
    )


def _group_within_rank(load: Load, argument: str) -> Finding | None:
    del argument
    group, tp = load.group_size, load.placement.tp
    if group is None or tp == 1:
        return None
    for name, columns in row_parallel_widths(load.model, load.intermediate_size).items():
        per_rank = columns / tp
        if per_rank % group == 0:
            continue
        padded = -(-columns // (group * tp)) * group * tp
        smaller = [size for size in (64, 32) if size < group and columns % (size * tp) == 0]
        ways = []
        if smaller:
            ways.append("group " + " or ".join(map(str, smaller)))
        ways += [
            f"{tp} replicas at tensor parallel 1",
            f"pipeline parallel {tp}",
            f"a checkpoint padded to {name} {padded}",
        ]
        return Finding(
            code="shape.group_not_divisible",
            message=f"{name} {columns} / {tp} = {per_rank:g} columns a rank is {per_rank / group:g} groups of "
            f"{group}: a group would straddle the ranks, and {load.engine} does not load that",
            numbers={
                "columns": columns,
                "tp": tp,
                "columns_per_rank": per_rank,
                "group_size": group,
                "groups_per_rank": per_rank / group,
                "padded": padded,
            },
            way_out=tuple(ways),
        )
    return None


def _group_divides_columns(load: Load, argument: str) -> Finding | None:
    del argument
    group = load.group_size
    if group is None:
        return None
    widths = {"hidden size": load.model.hidden_size}
    widths.update(row_parallel_widths(load.model, load.intermediate_size))
    for name, columns in widths.items():
        if columns % group == 0:
            continue
        smaller = [
            size for size in (64, 32) if size < group and all(width % size == 0 for width in widths.values())
        ]
        return Finding(
            code="shape.group_not_divisible",
            message=f"{name} {columns} is {columns / group:g} groups of {group}: "
            "a row does not divide into whole groups",
            numbers={"columns": columns, "group_size": group, "groups": columns / group},
            way_out=("group " + " or ".join(map(str, smaller)),) if smaller else ("a per-channel scheme",),
        )
    return None


def _rank_rows_multiple(load: Load, argument: str) -> Finding | None:
    multiple, tp = int(argument), load.placement.tp
    for name, rows in row_parallel_widths(load.model, load.intermediate_size).items():
        if (rows / tp) % multiple:
            return Finding(
                code="shape.rows_not_multiple",
                message=f"{name} {rows} / {tp} = {rows / tp:g} rows a rank is no multiple of {multiple}",
                numbers={"rows": rows, "tp": tp, "multiple": multiple},
                way_out=("a smaller tensor parallel",),
            )
    return None


def _is_dense(load: Load, argument: str) -> Finding | None:
    del argument
    if not load.model.num_experts:
        return None
    return Finding(
        code="engine.other_kernel",
        message=f"this kernel is for dense layers, {load.model.model_id} has {load.model.num_experts} experts",
    )


def _is_mixture(load: Load, argument: str) -> Finding | None:
    del argument
    if load.model.num_experts:
        return None
    return Finding(code="engine.other_kernel", message="this kernel is for mixtures of experts")


def _hidden_multiple(load: Load, argument: str) -> Finding | None:
    hidden, multiple = load.model.hidden_size, int(argument)
    if hidden % multiple == 0:
        return None
    return Finding(
        code="shape.rows_not_multiple",
        message=f"hidden size {hidden} is no multiple of {multiple}",
        numbers={"hidden_size": hidden, "multiple": multiple},
    )


def _heads_divide_tp(load: Load, argument: str) -> Finding | None:
    del argument
    heads, tp = load.model.num_heads, load.placement.tp
    if heads % tp == 0:
        return None
    return Finding(
        code="shape.heads_not_divisible",
        message=f"{heads} attention heads do not divide over tensor parallel {tp} "
        f"({heads} / {tp} = {heads / tp:g})",
        numbers={"num_heads": heads, "tp": tp},
        way_out=("pipeline parallel or replicas instead of tensor parallel",),
    )


def _kv_heads_fit_tp(load: Load, argument: str) -> Finding | None:
    del argument
    heads, tp = load.model.num_kv_heads, load.placement.tp
    if load.model.attention == "mla" or heads % tp == 0 or tp % heads == 0:
        return None
    return Finding(
        code="shape.kv_heads_not_divisible",
        message=f"{heads} KV heads neither divide nor are divided by tensor parallel {tp}",
        numbers={"num_kv_heads": heads, "tp": tp},
        way_out=("pipeline parallel or replicas instead of tensor parallel",),
    )


def _kv_dtype_in(load: Load, argument: str) -> Finding | None:
    known = argument.split("|")
    if load.kv_dtype in known:
        return None
    return Finding(
        code="kv.unsupported",
        message=f"{load.engine} keeps no KV cache in {load.kv_dtype}",
        numbers={"kv_dtype": load.kv_dtype},
        way_out=tuple(f"KV cache in {name}" for name in known if name != "auto"),
    )


def _pp_within_layers(load: Load, argument: str) -> Finding | None:
    del argument
    layers, pp = load.model.num_layers, load.placement.pp
    if pp <= layers:
        return None
    return Finding(
        code="shape.more_stages_than_layers",
        message=f"{layers} layers do not fill {pp} pipeline stages",
        numbers={"num_layers": layers, "pp": pp},
        way_out=("replicas, or fewer devices",),
    )


def _tp_is_one(load: Load, argument: str) -> Finding | None:
    del argument
    if load.placement.tp == 1:
        return None
    return Finding(
        code="engine.no_tensor_parallel",
        message=f"{load.engine} splits by layer here, not by tensor: tensor parallel {load.placement.tp} "
        "does not apply",
        numbers={"tp": load.placement.tp},
        way_out=(f"split by layer over {load.placement.devices} devices",),
    )


PREDICATES: Mapping[str, Callable[[Load, str], Finding | None]] = {
    "group_divides_columns": _group_divides_columns,
    "group_in": _group_in,
    "group_within_rank": _group_within_rank,
    "heads_divide_tp": _heads_divide_tp,
    "hidden_multiple": _hidden_multiple,
    "is_dense": _is_dense,
    "is_mixture": _is_mixture,
    "kv_heads_fit_tp": _kv_heads_fit_tp,
    "kv_dtype_in": _kv_dtype_in,
    "min_sm": _min_sm,
    "pp_within_layers": _pp_within_layers,
    "rank_rows_multiple": _rank_rows_multiple,
    "sm_is": _sm_is,
    "tp_is_one": _tp_is_one,
    "vendor_in": _vendor_in,
}
"""Every condition that a row may name: None when it holds, a finding when it does not."""
