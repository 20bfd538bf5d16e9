"""What a benchmark will lose, from the nearest measurements there are.

Nearness, best first: the same model, scheme and method (`measured`); the same family within a factor of three
in size (`same-family`); any family within a factor of 2.5 (`size-trend`); the scheme, or failing that its
width, anywhere (`prior`). The first pool with enough rows answers; a source of n rows weighs the square root of
n. Where the benchmark itself has too few rows, its relatives (`data/benchmarks.csv`) join. Losses of other models
are scaled by (their parameters / this model's) ^ 0.25. The interval covers 90 % of the pool, and is never narrower
than the spread of single results around their median. Without rows there is no interval: `insufficient`.

This is a first, plain version: no harness effects, no regression on bits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from planner.domain.facts.evidence import DEMO_MODEL, EvidenceBase, QualityRow, family_of

Basis = str
MIN_ROWS = 3
Z_90 = 1.645
"""Standard normal quantile that leaves 5 % on each side."""
SIZE_EXPONENT = 0.25
"""Loss falls with size: MMLU of W4A16 GPTQ in evidence/quality.csv loses 3.2 % at the median below 3B
parameters and 1.2 % above 60B, a factor of 2.75 over a factor of about 47 in size (log 2.75 / log 47 = 0.26)."""
WIDTH_EXPONENT = 0.7
"""Each bit less multiplies the loss by 2 ^ 0.7: in evidence/quality.csv general tasks lose 1.0 % at the median
in 4 bits and 0.14 % in 8 (log2 7 / 4 = 0.7). Used only where a scheme has no rows of its own."""
PRIOR_ROWS = 4
UNCHANGED = frozenset({"none", "native"})
"""Methods that leave the weights as they were released."""
NEVER_BETTER_THAN = {"rtn": "gptq"}
"""Rounding alone does not beat GPTQ; where its pool says so, it holds easier models, and GPTQ's pool answers."""
NEVER_WORSE_THAN: Mapping[str, tuple[str, float]] = {
    "Q8_0": ("Q6_K", 6.5625),
    "Q6_K": ("Q5_K_M", 5.69),
    "Q5_K_M": ("Q4_K_M", 4.85),
    "Q4_K_M": ("Q4_K_S", 4.58),
}
"""llama.cpp's types beside the next narrower one and its bits: more bits of the same kind lose no more, and where
the pools say so, the narrower one's answers."""
UNTOLD_METHODS = frozenset({"gguf", "fp8", "int8", "nvfp4", "mxfp4", ""})
"""Methods in evidence that name only a format: they match any method that makes it."""
PER_CHANNEL = -1
"""Group size of evidence rows whose scale covers a whole row."""
COLLAPSED = 3.0
"""A perplexity beyond this multiple of its baseline is a failed run, not a loss to learn from."""
COMMON_METHODS = frozenset({"rtn", "gptq", "awq", "autoround", "imatrix"}) | UNTOLD_METHODS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QualityPrediction:
    """A benchmark's expected value and change with a 90 % interval; None where nothing is known.

    Told apart by identity.
    """

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
    params: float
    scheme: str
    method: str
    group_size: int | None
    bits: float
    benchmark: str
    related: tuple[str, ...] = ()
    """Benchmarks whose relative losses may stand in."""
    baseline: float | None = None


@dataclass(frozen=True, slots=True)
class _Pool:
    basis: Basis
    rows: Sequence[QualityRow]
    changes: Sequence[float]
    """Relative change of each row, scaled to this model's size."""


def predict_quality(ask: QualityAsk, evidence: EvidenceBase) -> QualityPrediction:
    """The benchmark's change for this scheme and method on this model; worked out once for each question."""
    if ask.baseline is not None:  # as many as there are numbers: not worth remembering
        return _predict(ask, evidence)
    found = evidence.memo.get(ask)
    if found is None:
        found = evidence.memo[ask] = _predict(ask, evidence)
    return found


def _predict(ask: QualityAsk, evidence: EvidenceBase) -> QualityPrediction:
    own = _usable_rows(ask, evidence, (ask.benchmark,))
    baseline = ask.baseline if ask.baseline is not None else _known_baseline(ask.model_id, own.every)
    if ask.method in UNCHANGED:
        return _unchanged(ask.benchmark, baseline)
    related = _usable_rows(ask, evidence, ask.related)
    pool = _nearest_pool(ask, own, related, evidence.memo)
    if pool is not None and pool.basis != "measured" and ask.method in NEVER_BETTER_THAN:
        other = _nearest_pool(replace(ask, method=NEVER_BETTER_THAN[ask.method]), own, related, evidence.memo)
        if other is not None and _weighted_median(other) < _weighted_median(pool):
            pool = _borrow(other)
    narrower = ask
    while pool is not None and pool.basis != "measured" and narrower.scheme in NEVER_WORSE_THAN:
        scheme, bits = NEVER_WORSE_THAN[narrower.scheme]
        narrower = replace(narrower, scheme=scheme, bits=bits)
        other = _nearest_pool(narrower, own, related, evidence.memo)
        if other is not None and _weighted_median(other) > _weighted_median(pool):
            pool = _borrow(other)
    if pool is None:
        return _insufficient(ask.benchmark)
    likely = _weighted_median(pool)
    low, high = _interval(pool.changes, likely)
    # Deltas are in the benchmark's unit: a pool median stands in where the baseline is unknown.
    same_benchmark = [row for row in pool.rows if row.benchmark == ask.benchmark] or list(pool.rows)
    scale = baseline if baseline is not None else median(_in_percent(row) for row in same_benchmark)
    sign = 1 if pool.rows[0].higher_is_better else -1
    delta = sign * likely * scale
    deltas = sorted((sign * low * scale, sign * high * scale))
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
        n_measurements=len(pool.rows),
        sources=_sources(pool.rows),
        basis=pool.basis,
    )


def _borrow(pool: _Pool) -> _Pool:
    """Another recipe's pool: what it measured on this very model is the family's for this one."""
    return replace(pool, basis="same-family") if pool.basis == "measured" else pool


@dataclass(frozen=True, slots=True)
class _Rows:
    """Comparable rows of some benchmarks, in evidence order, and the same by scheme."""

    benchmarks: tuple[str, ...]
    every: Sequence[QualityRow]
    by_scheme: Mapping[str, Sequence[QualityRow]]


def _usable_rows(ask: QualityAsk, evidence: EvidenceBase, benchmarks: tuple[str, ...]) -> _Rows:
    is_demo = ask.model_id == DEMO_MODEL
    found = evidence.memo.get((benchmarks, is_demo))
    if found is None:
        rows = [
            row
            for benchmark in benchmarks
            for row in evidence.quality.get(benchmark, ())
            if (row.model_id != DEMO_MODEL or is_demo) and not _has_collapsed(row)
        ]
        by_scheme: dict[str, list[QualityRow]] = {}
        for row in rows:
            by_scheme.setdefault(row.scheme, []).append(row)
        found = evidence.memo[benchmarks, is_demo] = _Rows(benchmarks, rows, by_scheme)
    return found


def _has_collapsed(row: QualityRow) -> bool:
    return not row.higher_is_better and row.value > COLLAPSED * row.baseline


def _nearest_pool(ask: QualityAsk, own: _Rows, related: _Rows, memo: dict[Any, Any]) -> _Pool | None:
    own_recipe = [row for row in own.by_scheme.get(ask.scheme, ()) if _same_recipe(row, ask)]
    measured = [row for row in own_recipe if row.model_id == ask.model_id]
    if measured:
        return _Pool("measured", measured, [row.change for row in measured])
    same_scheme = [*own.by_scheme.get(ask.scheme, ()), *related.by_scheme.get(ask.scheme, ())]
    recipe = [row for row in same_scheme if _same_recipe(row, ask)]
    family = family_of(ask.model_id)
    tiers: tuple[tuple[Basis, Callable[[], list[QualityRow]]], ...] = (
        ("same-family", lambda: _near([row for row in own_recipe if row.family == family], ask, 3.0)),
        ("same-family", lambda: _near([row for row in recipe if row.family == family], ask, 3.0)),
        ("size-trend", lambda: _near(recipe, ask, 2.5)),
        ("prior", lambda: _enough([row for row in same_scheme if row.method in COMMON_METHODS], PRIOR_ROWS)),
        ("prior", lambda: _enough(_similar_rows(ask, own, related, memo, _similar_gguf), PRIOR_ROWS)),
        ("prior", lambda: _similar_rows(ask, own, related, memo, _similar_width)),
    )
    for basis, find_rows in tiers:
        rows = find_rows()
        if len(rows) >= MIN_ROWS:
            return _Pool(basis, rows, [_scaled_change(row, ask) for row in rows])
    return None


def _scaled_change(row: QualityRow, ask: QualityAsk) -> float:
    """The row's change as this model and width would have it, by the two trends above."""
    size = (row.params / ask.params) ** SIZE_EXPONENT if row.params else 1.0
    width = 1.0 if row.scheme == ask.scheme else 2.0 ** (WIDTH_EXPONENT * (row.bits - ask.bits))
    return row.change * float(size * width)


def _enough(rows: list[QualityRow], needed: int) -> list[QualityRow]:
    return rows if len(rows) >= needed else []


def _near(rows: Sequence[QualityRow], ask: QualityAsk, factor: float) -> list[QualityRow]:
    return [row for row in rows if row.params and 1 / factor <= row.params / ask.params <= factor]


def _same_recipe(row: QualityRow, ask: QualityAsk) -> bool:
    """Same scheme and method, and groups no finer than asked: finer groups lose no more."""
    if row.scheme != ask.scheme or not (row.method == ask.method or row.method in UNTOLD_METHODS):
        return False
    if row.group_size == PER_CHANNEL:
        return ask.group_size is None
    return row.group_size is None or ask.group_size is None or ask.group_size <= row.group_size <= 128


def _similar_rows(
    ask: QualityAsk,
    own: _Rows,
    related: _Rows,
    memo: dict[Any, Any],
    is_similar: Callable[[QualityRow, QualityAsk], bool],
) -> list[QualityRow]:
    """All rows that are similar; of the question only its bits and method matter, so they are looked for once."""
    key = (is_similar, own.benchmarks, related.benchmarks, ask.model_id == DEMO_MODEL, ask.bits, ask.method)
    found = memo.get(key)
    if found is None:
        found = memo[key] = [row for row in (*own.every, *related.every) if is_similar(row, ask)]
    return found


def _similar_gguf(row: QualityRow, ask: QualityAsk) -> bool:
    """llama.cpp types beside a llama.cpp type."""
    return row.method == "gguf" and ask.method in {"rtn", "imatrix"} and _similar_width(row, ask)


def _similar_width(row: QualityRow, ask: QualityAsk) -> bool:
    """About as many bits; below 7 bits only schemes that leave activations in 16 bits compare."""
    if row.method not in COMMON_METHODS or not ask.bits - 1.75 <= row.bits <= ask.bits + 0.3:
        return False
    return row.bits >= 7 or row.scheme.endswith("A16") or row.method == "gguf"


def _weighted_median(pool: _Pool) -> float:
    """Median in which a source of n rows weighs the square root of n: between one vote each and one a row."""
    counts: dict[str, int] = {}
    for row in pool.rows:
        counts[row.source] = counts.get(row.source, 0) + 1
    weighted = sorted(
        (change, float(counts[row.source] ** -0.5))
        for row, change in zip(pool.rows, pool.changes, strict=True)
    )
    half = sum(weight for _, weight in weighted) / 2
    reached = 0.0
    for change, weight in weighted:
        reached += weight
        if reached >= half:
            return change
    return weighted[-1][0]


def _interval(changes: Sequence[float], likely: float) -> tuple[float, float]:
    ordered = sorted(changes)
    if len(ordered) >= 8:
        return min(_quantile(ordered, 0.05), likely), max(_quantile(ordered, 0.95), likely)
    spread = Z_90 * _robust_deviation(ordered)
    return min(ordered[0], likely - spread), max(ordered[-1], likely + spread)


def _robust_deviation(changes: Sequence[float]) -> float:
    """Standard deviation by median absolute deviation, which a few collapsed models do not move.

    For fewer than three figures it is half of the change itself, which is a guess.
    """
    if len(changes) < 3:
        return abs(median(changes)) / 2
    middle = median(changes)
    return 1.4826 * median(abs(change - middle) for change in changes)


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _known_baseline(model_id: str, rows: Sequence[QualityRow]) -> float | None:
    known = [_in_percent(row) for row in rows if row.model_id == model_id]
    return median(known) if known else None


def _in_percent(row: QualityRow) -> float:
    """The row's baseline; an accuracy that its source prints as a share, as the percentage others print."""
    return 100 * row.baseline if row.higher_is_better and row.baseline <= 1 else row.baseline


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


def _insufficient(benchmark: str) -> QualityPrediction:
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
