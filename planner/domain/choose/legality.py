"""What may load: a verdict for each candidate, with every failing rule and the way out.

Shapes and capabilities are asked of `facts/kernels.py`, memory of `predict/memory.py`, policy of the guide's
rules below. A candidate is legal when a kernel admits it, nothing refuses it, and even the high end of its
memory interval fits; unknown when no rule covers it; illegal otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from planner.domain.choose.candidates import Candidate, Tables
from planner.domain.choose.drivers import judge_driver
from planner.domain.choose.placements import is_uneven, judge_placement
from planner.domain.facts.hardware import Device, Target
from planner.domain.facts.kernels import Finding, Kernel, Load, find_kernel
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.versions import is_newer_than, write_version
from planner.domain.predict.memory import MemoryEstimate
from planner.domain.units import format_gib

TWO_BIT_LIMIT = 2.9
"""Below this many bits nothing is a candidate unless named (the guide: 2-bit never unless asked for)."""
THREE_BIT_LIMIT = 3.5
"""Schemes whose base type has fewer bits are prototypes (the guide: 3-bit only for prototypes or speed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about one candidate."""

    status: Literal["legal", "illegal", "unknown"]
    findings: tuple[Finding, ...]
    kernel: Kernel | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is found about a candidate whatever the workload."""

    loading: Verdict
    against: tuple[Finding, ...]
    """All that speaks against it."""
    is_refused: bool
    """Whether any of that is known for certain."""


def judge_candidate(
    candidate: Candidate, standing: Standing, target: Target, memory: MemoryEstimate
) -> Verdict:
    """Judge one candidate; all failing rules are reported, not the first."""
    if memory.fits and not standing.is_refused:
        return standing.loading
    over: tuple[Finding, ...] = ()
    if not memory.fits:
        used = target.devices[: candidate.placement.devices]
        over = memory_finding(memory, bounded=candidate.engine == "vllm" and is_uneven(used))
    return Verdict(status="illegal", findings=(*standing.against, *over), kernel=standing.loading.kernel)


def judge_standing(
    candidate: Candidate, named: Sequence[str], model: ModelFacts, target: Target, tables: Tables
) -> Standing:
    """Judge all but memory; schemes in `named` are judged by no policy."""
    used = target.devices[: candidate.placement.devices]
    loading = judge_load(make_load(candidate, model, target), tables)
    driver: tuple[Finding, ...] = ()
    if target.cuda is not None:
        driver = judge_driver(
            candidate.engine, target.cuda, target.driver, least_able(used).sm, tables.drivers
        )
    against = (*loading.findings, *judge_placement(candidate.placement, used), *driver)
    if candidate.scheme.name not in named:
        against = (*against, *_policy(candidate))
    return Standing(loading, against, any(not finding.is_unknown for finding in against))


def make_load(candidate: Candidate, model: ModelFacts, target: Target) -> Load:
    """What the candidate's engine is asked to load on the least able device."""
    named = candidate.format_named
    used = target.devices[: candidate.placement.devices]
    return Load(
        engine=candidate.rules_of or candidate.engine,
        model=model,
        scheme=replace(candidate.scheme, format=named) if named else candidate.scheme,
        method=candidate.method,
        group_size=candidate.group_size,
        kv_dtype=candidate.kv_dtype,
        placement=candidate.placement,
        device=least_able(used),
        intermediate_size=candidate.intermediate_size,
        version=candidate.engine_version,
        act_order=candidate.act_order,
        symmetric=candidate.symmetric,
        in_16_bits=candidate.in_16_bits,
    )


def judge_load(load: Load, tables: Tables) -> Verdict:
    """Whether the engine loads it, memory and policy left out."""
    kernel, findings = find_kernel(load, tables.rulebook)
    findings = [*findings, *_version_findings(load, tables)]
    if any(not finding.is_unknown for finding in findings):
        return Verdict(status="illegal", findings=tuple(findings), kernel=None)
    if kernel is None and not findings:
        findings = [
            Finding(
                code="unknown.engine_rule",
                message=f"no rule says whether {load.engine} loads {load.scheme.name} "
                f"({load.scheme.format}) on {load.device.label}",
                source="data/engine_rules.csv",
            )
        ]
    if findings:
        return Verdict(status="unknown", findings=tuple(findings), kernel=kernel)
    return Verdict(status="legal", findings=(), kernel=kernel)


def _version_findings(load: Load, tables: Tables) -> list[Finding]:
    """Unknown where the engine is newer than every version whose sources were read."""
    if load.version is None:
        return []
    read = [rule.read_in for rule in tables.rulebook.rules_of(load.engine) if rule.read_in]
    if not read or not is_newer_than(load.version, max(read)):
        return []
    return [
        Finding(
            code="unknown.engine_version",
            message=f"the rules are of {load.engine} up to {write_version(max(read))}; "
            f"what {write_version(load.version)} loads is not recorded",
            numbers={"asked": write_version(load.version), "known": write_version(max(read))},
            source="data/engine_rules.csv",
        )
    ]


def memory_finding(memory: MemoryEstimate, *, bounded: bool = False) -> tuple[Finding, ...]:
    """The verdict about memory alone, empty when it fits at the high end of its interval.

    Args:
        memory: what the worst device will hold.
        bounded: whether equal shards lie on uneven devices, so that the smallest bounds all.
    """
    if memory.fits:
        return ()
    if memory.host_usable_bytes is not None and memory.host_bytes > memory.host_usable_bytes:
        return (_host_finding(memory.host_bytes, memory.host_usable_bytes),)
    over = memory.total_high_bytes - memory.usable_bytes
    likely = memory.total_bytes
    sure = "needs" if memory.total_low_bytes > memory.usable_bytes else "may need"
    return (
        Finding(
            code="memory.over_by",
            message=f"{sure} {format_gib(memory.total_low_bytes)} to {format_gib(memory.total_high_bytes)} "
            f"on one {memory.device} ({format_gib(memory.weights_bytes)} of it weights), "
            f"{format_gib(memory.usable_bytes)} are usable"
            f"{'; shards are equal, so the smallest card bounds all' if bounded else ''}",
            numbers={
                "total_bytes": likely,
                "total_high_bytes": memory.total_high_bytes,
                "weights_bytes": memory.weights_bytes,
                "usable_bytes": memory.usable_bytes,
                "over_by_bytes": over,
            },
            way_out=("fewer bits", "more devices", "a shorter context or fewer users"),
            source="predict/memory.py: tensor layout and data/engine_memory.csv",
        ),
    )


def _host_finding(needed: int, usable: int) -> Finding:
    return Finding(
        code="memory.host_over_by",
        message=f"layers in host memory need {format_gib(needed)}, the host has {format_gib(usable)}",
        numbers={"host_bytes": needed, "host_usable_bytes": usable, "over_by_bytes": needed - usable},
        way_out=("fewer bits", "fewer layers in host memory"),
        source="predict/memory.py: tensor layout",
    )


@lru_cache(maxsize=512)
def least_able(devices: tuple[Device, ...]) -> Device:
    """The device whose kernels all of them must make do with."""
    return min(devices, key=lambda device: (device.sm or 0, device.available_bytes))


def _policy(candidate: Candidate) -> tuple[Finding, ...]:
    if candidate.native_bits >= TWO_BIT_LIMIT:
        return ()
    return (
        Finding(
            code="policy.two_bit",
            message=f"{candidate.scheme.name} stores {candidate.native_bits:g} bits a weight: "
            "below 2.9 bits nothing is weighed unless it is asked for by name",
            numbers={"bits": candidate.native_bits, "limit": TWO_BIT_LIMIT},
            way_out=(f'ask for it: "... in {candidate.scheme.name}"',),
            source="the guide: 2-bit never unless asked for by name",
        ),
    )
