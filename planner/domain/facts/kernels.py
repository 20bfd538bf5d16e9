"""Which kernel an engine uses for these shapes on this card, and why it has none.

`data/engine_rules.csv` holds the rules, each for a range of the engine's versions. A row's role says what it does:

    loads      admits when all its conditions hold, and names the kernel; rows stand fastest first
    optional   the same for a kernel that comes with a package of its own: that it loads is unknown
    requires   must hold whenever it applies
    refuses    says no when all its conditions hold
    doubts     says "not known" when all its conditions hold
    fact       is recorded and judges nothing; its column `why_not` says why

The conditions that rows name are functions of `facts/conditions.py`; legality and speed both ask `find_kernel`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from planner.domain.facts.hardware import Device
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.versions import Version, is_within, write_version

OTHER_VENDOR = "engine.other_vendor"
"""Code of a condition that speaks of another maker's devices."""
OTHER_KERNEL = "engine.other_kernel"
"""Code of a condition that speaks of another kind of model or checkpoint."""
OBJECTING = frozenset({"requires", "refuses", "doubts"})
REMEMBERED = 4096
"""Combinations that a rulebook remembers at most."""
UNKNOWN = "unknown."
"""How the codes of findings begin that neither allow nor refuse."""
RuleRole = Literal["loads", "optional", "requires", "refuses", "doubts", "fact"]


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
    version: Version | None = None
    """Of the engine; None: the newest known."""
    act_order: bool = False
    """Whether GPTQ took columns in order of their activations (`desc_act`)."""
    symmetric: bool = True
    """Whether zero is in the middle of the integer range: no zero points."""
    in_16_bits: frozenset[str] = frozenset()
    """Layers left unquantized, as `facts/shards.py` names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why a condition does not hold: a stable code, one sentence with the arithmetic, the numbers."""

    code: str
    message: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    way_out: tuple[str, ...] = ()
    source: str = ""

    @property
    def is_unknown(self) -> bool:
        """Whether it only says that nobody knows."""
        return self.code.startswith(UNKNOWN)


Check = Callable[[Load, str], Finding | None]
"""A condition: None when it holds, a finding when it does not."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a row, its function looked up."""

    name: str
    argument: str
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRule:
    """One row of `data/engine_rules.csv`."""

    rule_id: str
    engines: tuple[str, ...]
    role: RuleRole
    schemes: tuple[str, ...] = ()
    """Names or patterns (`EXL3_*`); empty: any scheme."""
    formats: tuple[str, ...] = ()
    """Empty: any format."""
    methods: tuple[str, ...] = ()
    """Empty: any method."""
    architectures: tuple[str, ...] = ()
    """Empty: any architecture."""
    other_architectures: frozenset[str] = frozenset()
    """Where given, the row is about models of no architecture in it."""
    since: Version | None = None
    """First version it speaks of; None: the oldest."""
    before: Version | None = None
    """First version it no longer speaks of; None: it holds in the newest known."""
    read_in: Version | None = None
    """Version whose source was read for it; None where that has no number."""
    kernel: str = ""
    native: bool = False
    """Whether the kernel computes in the scheme's own type (FP8 on Ampere does not: weights only)."""
    conditions: tuple[Condition, ...] = ()
    code: str = ""
    message: str = ""
    """May name `{engine}`, `{version}`, `{scheme}`, `{format}`, `{model}`, `{architecture}`, `{card}`, `{tp}`."""
    way_out: tuple[str, ...] = ()
    source: str = ""

    def speaks_of(self, load: Load) -> bool:
        """Whether the row is about this scheme, format, method and architecture, in whatever version."""
        return (
            (not self.architectures or load.model.architecture in self.architectures)
            and (not self.other_architectures or load.model.architecture not in self.other_architectures)
            and (not self.schemes or any(_is_named(load.scheme.name, name) for name in self.schemes))
            and (not self.formats or load.scheme.format in self.formats)
            and (not self.methods or load.method in self.methods)
        )

    def holds_in(self, version: Version | None) -> bool:
        """Whether it speaks of this version; of a whole line (`0.4`) only what all its releases do counts against."""
        admits = self.role in {"loads", "optional"}
        return is_within(version, self.since, self.before, whole_line=not admits)

    def holds(self, load: Load) -> bool:
        """Whether every condition holds."""
        for condition in self.conditions:  # noqa: SIM110 - asked for every row of every candidate
            if condition.check(load, condition.argument) is not None:
                return False
        return True

    def failing(self, load: Load) -> list[Finding]:
        """A finding for every condition that does not hold."""
        found = [condition.check(load, condition.argument) for condition in self.conditions]
        return [
            replace(finding, source=self.source, way_out=(*finding.way_out, *self.way_out))
            for finding in found
            if finding is not None
        ]

    def as_finding(self, load: Load, code: str, message: str) -> Finding:
        """The row's own sentence about this load, or `message` where it has none."""
        words = {
            "engine": load.engine,
            "version": write_version(load.version),
            "scheme": load.scheme.name,
            "format": load.scheme.format,
            "model": load.model.model_id,
            "architecture": load.model.architecture,
            "card": load.device.label,
            "tp": load.placement.tp,
        }
        return Finding(
            code=self.code or code,
            message=" ".join(self.message.format(**words).split()) or message,
            way_out=self.way_out,
            source=self.source,
        )


@lru_cache(maxsize=1024)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."))


def _is_named(scheme: str, name: str) -> bool:
    """Whether a scheme is the one named, or one of a pattern: `EXL3_*`, `W?A16`."""
    return scheme == name or (("*" in name or "?" in name) and _pattern(name).fullmatch(scheme) is not None)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel that will run, by its rule."""

    name: str
    native: bool
    source: str


@dataclass(frozen=True, slots=True)
class Speaking:
    """Rules that speak of one engine, scheme, format, method and architecture, in table order."""

    rules: Sequence[EngineRule]
    """In whatever version."""
    objecting: Sequence[EngineRule]
    """Of the version asked for, those that require, refuse or doubt."""
    loading: Sequence[EngineRule]
    optional: Sequence[EngineRule]


class Rulebook:
    """Rules that judge, by engine and in table order; it remembers which of them speak of what."""

    def __init__(self, rules: Sequence[EngineRule]) -> None:
        self._rules = tuple(rules)
        self._by_engine: dict[str, list[EngineRule]] = {}
        for rule in rules:
            for engine in rule.engines if rule.role != "fact" else ():
                self._by_engine.setdefault(engine, []).append(rule)
        self._speaking: dict[tuple[str | Version | None, ...], Speaking] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Its rules alone: what it remembers changes while it is used."""
        return Rulebook, (self._rules,)

    def __contains__(self, engine: str) -> bool:
        """Whether any rule is about an engine."""
        return engine in self._by_engine

    def rules_of(self, engine: str) -> Sequence[EngineRule]:
        """All rules about an engine."""
        return self._by_engine.get(engine, ())

    def speaking_of(self, load: Load) -> Speaking:
        """Rules about this engine, scheme, format, method and architecture."""
        scheme, model = load.scheme, load.model
        key = (load.engine, load.version, scheme.name, scheme.format, load.method, model.architecture)
        found = self._speaking.get(key)
        if found is None:
            rules = [rule for rule in self.rules_of(load.engine) if rule.speaks_of(load)]
            current = [rule for rule in rules if rule.holds_in(load.version)]
            found = Speaking(
                rules=rules,
                objecting=[rule for rule in current if rule.role in OBJECTING],
                loading=[rule for rule in current if rule.role == "loads"],
                optional=[rule for rule in current if rule.role == "optional"],
            )
            if len(self._speaking) >= REMEMBERED:
                self._speaking.clear()
            self._speaking[key] = found
        return found


def find_kernel(load: Load, book: Rulebook) -> tuple[Kernel | None, list[Finding]]:
    """The kernel that loads this, or every finding that stands in the way.

    No kernel and no findings means that no rule covers the combination: unknown. Of several kernels that all
    fail, the least demanding one (rows stand fastest first) says why.
    """
    speaking = book.speaking_of(load)
    findings = _objections(speaking.objecting, load)
    refused = any(not finding.is_unknown for finding in findings)
    able = next((rule for rule in speaking.loading if rule.holds(load)), None)
    if able is not None:
        return (None if refused else Kernel(able.kernel, able.native, able.source)), findings
    nearest: list[Finding] = []
    for rule in speaking.loading:
        failing = rule.failing(load)
        if not _speaks_of_others(failing) and (not nearest or len(failing) <= len(nearest)):
            nearest = failing
    maybe = [
        rule.as_finding(load, "unknown.optional_kernel", f"{rule.kernel} would load it, if it is installed")
        for rule in speaking.optional
        if not refused and rule.holds(load)
    ]
    if maybe:
        return None, [*findings, *maybe]
    if not nearest and not refused and not speaking.loading:
        nearest = _other_version(speaking.rules, load)
    return None, _distinct([*findings, *_with_versions(nearest, speaking.rules, load)])


def _speaks_of_others(failing: Sequence[Finding]) -> bool:
    """Whether a row is about other devices or another kind of model than this load's."""
    return any(finding.code in {OTHER_VENDOR, OTHER_KERNEL} for finding in failing)


def _objections(rules: Sequence[EngineRule], load: Load) -> list[Finding]:
    """What refusing, requiring and doubting rows say."""
    findings: list[Finding] = []
    for rule in rules:
        if rule.holds(load) == (rule.role == "requires"):
            continue  # what is required holds, or what would speak against it does not
        if rule.role == "requires":
            failing = rule.failing(load)
            findings += [] if _speaks_of_others(failing) else failing
        elif rule.role == "refuses":
            no = f"{load.engine} does not load {load.scheme.name}"
            findings.append(rule.as_finding(load, "engine.cannot_load", no))
        else:
            findings.append(
                rule.as_finding(load, "unknown.engine_rule", f"not known of {load.engine} {load.version}")
            )
    return _distinct(findings)


def _other_version(speaking: Sequence[EngineRule], load: Load) -> list[Finding]:
    """Why this version loads nothing of the kind, where other versions of the engine do."""
    loading = [rule for rule in speaking if rule.role == "loads"]
    if not loading:
        return []
    asked = write_version(load.version) or "as it is now"
    return [
        Finding(
            code="engine.version",
            message=f"{load.engine} {asked} does not load {load.scheme.name} ({load.scheme.format}): "
            f"it does {_range(loading)}",
            numbers={"version": write_version(load.version)},
            way_out=(f"{load.engine} {_range(loading)}",),
            source=loading[0].source,
        )
    ]


def _with_versions(nearest: list[Finding], speaking: Sequence[EngineRule], load: Load) -> list[Finding]:
    """The same findings, each with the versions of the engine that would load it among its ways out."""
    able = [
        rule
        for rule in speaking
        if rule.role == "loads" and not rule.holds_in(load.version) and rule.holds(load)
    ]
    ways = (f"{load.engine} {_range(able)}",) if able else ()
    return [replace(finding, way_out=tuple(dict.fromkeys((*finding.way_out, *ways)))) for finding in nearest]


def _range(rules: Sequence[EngineRule]) -> str:
    """The versions that some rows speak of, as one range: `from 0.5.5 on and before 0.24.0`."""
    since = None if any(rule.since is None for rule in rules) else min(rule.since or () for rule in rules)
    before = None if any(rule.before is None for rule in rules) else max(rule.before or () for rule in rules)
    words = (
        f"from {write_version(since)} on" if since else "",
        f"before {write_version(before)}" if before else "",
    )
    return " and ".join(filter(None, words)) or "in other versions"


def _distinct(findings: Sequence[Finding]) -> list[Finding]:
    """Findings without those that say the same, whichever row said it first."""
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.code, finding.message), finding)
    return list(kept.values())
