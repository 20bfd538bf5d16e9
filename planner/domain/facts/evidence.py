"""Measurements from anywhere, as the predictors read them. Every row keeps the id and source it came from.

Store queries turn spelled-out rows into these: schemes, methods, benchmarks, engines and devices already have
their canonical names here, and a row whose words could not be read is not among them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

DEMO_FAMILY = "SmolLM2-demo"
"""Rows of the demo model answer for the demo model only: its baseline is itself a 4-bit file unpacked."""


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One benchmark result beside its unquantized baseline, in the benchmark's own unit."""

    evidence_id: int
    model_id: str
    family: str
    params: float
    scheme: str
    method: str
    group_size: int | None
    bits: float
    benchmark: str
    higher_is_better: bool
    value: float
    baseline: float
    source: str

    @property
    def change(self) -> float:
        """Relative change against the baseline, negative when quality is lost: -0.006 is 0.6 % lost."""
        change = (self.value - self.baseline) / abs(self.baseline)
        return change if self.higher_is_better else -change


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Share of a device's peak that an engine reached: memory bandwidth in decode, FLOP/s in prefill."""

    engine: str
    device: str
    """Accelerator name, or `*` for all devices of this engine."""
    metric: str
    """`decode` or `prefill`."""
    width: str
    """`4 bits` (below 6), `8 bits` (below 12), `16 bits`, or `*` for all."""
    low: float
    likely: float
    high: float
    count: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobRatio:
    """Measured minutes of past jobs over what the formula says, for one backend, method and device."""

    backend: str
    method: str
    device: str
    low: float
    likely: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBase:
    """All that predictors may look at, as of one evidence version."""

    version: str
    quality: Mapping[str, Sequence[QualityRow]] = field(default_factory=dict)
    """By benchmark."""
    efficiency: Mapping[tuple[str, str, str, str], Efficiency] = field(default_factory=dict)
    """By (engine, device or `*`, metric, width or `*`)."""
    jobs: Mapping[tuple[str, str, str], JobRatio] = field(default_factory=dict)
    """By (backend, method, device)."""
