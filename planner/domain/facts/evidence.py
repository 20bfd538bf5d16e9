"""Measurements from anywhere, as the predictors read them. Every row keeps the id and source it came from.

Store queries turn spelled-out rows into these: schemes, methods, benchmarks, engines and devices already have
their canonical names here, and a row whose words could not be read is not among them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

DEMO_MODEL = "local/smollm2-135m-instruct-from-q4_1"
"""Rows of the demo model answer for the demo model only: its baseline is itself a 4-bit file unpacked."""


@cache
def family_of(name: str) -> str:
    """Family and major release that a model's name begins with: `Qwen/Qwen2.5-72B` is `qwen2`.

    Releases within a major version share tokenizer, recipe and most of their behaviour under quantization;
    a name without a release number (`Mistral-7B`) is its family alone.
    """
    last = name.rsplit("/", 1)[-1].lower()
    match = re.match(
        r"(?:meta-|deepseek-r1-distill-)?([a-z]+)[-_ ]?v?(\d+)?((?:\.\d+)?)([bm](?![a-z]))?", last
    )
    if match is None:
        return last
    family, major, _, size_mark = match.groups()
    return family if major is None or size_mark else f"{family}{major}"


@dataclass(frozen=True, slots=True)
class QualityRow:
    """One benchmark result beside its unquantized baseline, in the benchmark's own unit."""

    evidence_id: int
    model_id: str
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
    def family(self) -> str:
        """Family and major release of the model."""
        return family_of(self.model_id)

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


@lru_cache(maxsize=1024)
def size_class(params: float) -> int:
    """Models of one class are within a factor of four in size: what a small one took says little about a large."""
    return math.floor(math.log(max(params, 1.0), 4))


@dataclass(frozen=True, slots=True)
class JobRate:
    """Minutes for each parameter that past jobs took, for one backend, method, device and size class."""

    backend: str
    method: str
    device: str
    size_class: int
    low: float
    likely: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidenceBase:
    """All that predictors may look at, as of one evidence version. Told apart by identity."""

    version: str
    quality: Mapping[str, Sequence[QualityRow]] = field(default_factory=dict)
    """By benchmark."""
    efficiency: Mapping[tuple[str, str, str, str], Efficiency] = field(default_factory=dict)
    """By (engine, device or `*`, metric, width or `*`)."""
    own_efficiency: Mapping[tuple[str, str, str, str, int], Efficiency] = field(default_factory=dict)
    """This home's own figures, by (engine, device, metric, width, size class)."""
    jobs: Mapping[tuple[str, str, str, int], JobRate] = field(default_factory=dict)
    """By (backend, method, device, size class)."""
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What predictors worked out from these rows once: it follows from them and adds nothing."""
