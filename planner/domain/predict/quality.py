"""What a benchmark will lose, from the nearest measurements there are.

Nearness, best first: the same model, scheme and method (`measured`); the same family within a factor of three
in size (`same-family`); any family within a factor of 2.5 (`size-trend`); the scheme, or failing that its
width, anywhere (`prior`). The first pool with enough rows answers; each source has one vote however many rows
it brings. The interval covers 90 % of the pool, and is never narrower than the spread of single results
around their size trend. Without rows there is no interval: `insufficient`.

This is a first, plain version: no harness effects, no regression on bits. Known error: see benchmarks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from planner.domain.facts.evidence import DEMO_FAMILY, EvidenceBase, QualityRow

Basis = str
MIN_ROWS = 3
Z_90 = 1.645
"""Standard normal quantile that leaves 5 % on each side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPrediction:
    """A benchmark's expected value and change with a 90 % interval; None where nothing is known."""

    benchmark: str
    expected: float | None
    low: float | None
    high: float | None
    expected_delta: float | None
    low_delta: float | None
    high_delta: float | None
    loss: float | None
    """Expected relative loss; 0.006 is 0.6 % of the baseline."""
    loss_high: float | None
    """Loss at the bad end of the interval."""
    n_measurements: int
    sources: tuple[str, ...]
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityAsk:
    """What is to be predicted."""

    model_id: str
    family: str
    params: float
    scheme: str
    method: str
    group_size: int | None
    bits: float
    benchmark: str
    baseline: float | None = None


def predict_quality(ask: QualityAsk, evidence: EvidenceBase) -> QualityPrediction:
    """The benchmark's change for this scheme and method on this model."""
    rows = [
        row
        for row in evidence.quality.get(ask.benchmark, ())
        if row.family != DEMO_FAMILY or row.model_id == ask.model_id
    ]
    baseline = ask.baseline if ask.baseline is not None else _known_baseline(ask.model_id, rows)
    if ask.method == "none":
        return _unchanged(ask.benchmark, baseline)
    same_scheme = [row for row in rows if row.scheme == ask.scheme]
    basis, pool = _nearest_pool(ask, rows, same_scheme)
    if not pool:
        return _insufficient(ask.benchmark, baseline)
    votes = _votes(pool)
    likely = median(votes)
    low, high = _interval(pool, same_scheme or pool, likely)
    higher_is_better = pool[0].higher_is_better
    # Deltas are in the benchmark's unit: a pool median stands in where the baseline is unknown.
    scale = baseline if baseline is not None else median(row.baseline for row in pool)
    sign = 1 if higher_is_better else -1
    deltas = sorted((sign * low * scale, sign * high * scale))
    delta = sign * likely * scale
    return QualityPrediction(
        benchmark=ask.benchmark,
        expected=None if baseline is None else baseline + delta,
        low=None if baseline is None else baseline + deltas[0],
        high=None if baseline is None else baseline + deltas[1],
        expected_delta=delta,
        low_delta=deltas[0],
        high_delta=deltas[1],
        loss=-likely,
        loss_high=-low,
        n_measurements=len(pool),
        sources=_sources(pool),
        basis=basis,
    )


def _nearest_pool(
    ask: QualityAsk, rows: Sequence[QualityRow], same_scheme: Sequence[QualityRow]
) -> tuple[Basis, Sequence[QualityRow]]:
    recipe = [row for row in same_scheme if _same_method(row, ask) and _same_group(row, ask)]
    recipe_any_group = recipe or [row for row in same_scheme if _same_method(row, ask)]
    tiers: list[tuple[Basis, Sequence[QualityRow], int]] = [
        ("measured", [row for row in recipe if row.model_id == ask.model_id], 1),
        ("same-family", _near(recipe_any_group, ask, 3.0, lambda row: row.family == ask.family), MIN_ROWS),
        ("size-trend", _near(recipe_any_group, ask, 2.5, lambda _: True), MIN_ROWS),
        ("prior", same_scheme, MIN_ROWS),
        ("prior", [row for row in rows if abs(row.bits - ask.bits) <= 0.25], MIN_ROWS),
    ]
    for basis, pool, needed in tiers:
        if len(pool) >= needed:
            return basis, pool
    return "insufficient", []


def _near(
    rows: Sequence[QualityRow], ask: QualityAsk, factor: float, keep: Callable[[QualityRow], bool]
) -> list[QualityRow]:
    return [
        row for row in rows if keep(row) and row.params and 1 / factor <= row.params / ask.params <= factor
    ]


def _same_method(row: QualityRow, ask: QualityAsk) -> bool:
    return row.method == ask.method


def _same_group(row: QualityRow, ask: QualityAsk) -> bool:
    return row.group_size is None or ask.group_size is None or row.group_size == ask.group_size


def _votes(pool: Sequence[QualityRow]) -> list[float]:
    by_source: dict[str, list[float]] = {}
    for row in pool:
        by_source.setdefault(row.source, []).append(row.change)
    return [median(changes) for changes in by_source.values()]


def _interval(
    pool: Sequence[QualityRow], wider: Sequence[QualityRow], likely: float
) -> tuple[float, float]:
    changes = sorted(row.change for row in pool)
    spread = Z_90 * _robust_deviation([row.change for row in wider])
    if len(changes) >= 8:
        low, high = _quantile(changes, 0.05), _quantile(changes, 0.95)
        return min(low, likely), max(high, likely)
    return min(changes[0], likely - spread), max(changes[-1], likely + spread)


def _robust_deviation(changes: Sequence[float]) -> float:
    """Standard deviation by median absolute deviation, which a few collapsed models do not move."""
    middle = median(changes)
    return 1.4826 * median(abs(change - middle) for change in changes)


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _known_baseline(model_id: str, rows: Sequence[QualityRow]) -> float | None:
    known = [row.baseline for row in rows if row.model_id == model_id]
    return median(known) if known else None


def _sources(pool: Sequence[QualityRow]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for row in pool:
        counts[row.source] = counts.get(row.source, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(f"{source} ({count})" for source, count in ordered)


def _unchanged(benchmark: str, baseline: float | None) -> QualityPrediction:
    return QualityPrediction(
        benchmark=benchmark,
        expected=baseline,
        low=baseline,
        high=baseline,
        expected_delta=0.0,
        low_delta=0.0,
        high_delta=0.0,
        loss=0.0,
        loss_high=0.0,
        n_measurements=0,
        sources=("unquantized: the baseline itself",),
        basis="measured",
    )


def _insufficient(benchmark: str, baseline: float | None) -> QualityPrediction:
    del baseline
    return QualityPrediction(
        benchmark=benchmark,
        expected=None,
        low=None,
        high=None,
        expected_delta=None,
        low_delta=None,
        high_delta=None,
        loss=None,
        loss_high=None,
        n_measurements=0,
        sources=(),
        basis="insufficient",
    )
