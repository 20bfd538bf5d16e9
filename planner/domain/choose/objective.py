"""Which of the legal candidates to take: four objectives, each a rule of admission and an order.

    balanced  headroom >= 5 % at the high end, loss <= 1 % (high end <= 3 %): the fastest; ties within 5 % go to
              the lower loss, then to less memory; when none is admitted, the smallest loss that fits, said so
    quality   the smallest loss; ties within the noise (0.4 % of the baseline) go to the faster
    speed     loss <= 3 %: the fastest
    memory    loss <= 3 %: the smallest

3-bit schemes enter `balanced` and `quality` only through balanced's last clause, and always as prototypes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.domain.choose.candidates import Candidate
from planner.domain.choose.legality import THREE_BIT_LIMIT, Verdict
from planner.domain.facts.kernels import Finding
from planner.domain.facts.request import Objective
from planner.domain.predict.job_cost import JobCost
from planner.domain.predict.memory import MemoryEstimate
from planner.domain.predict.quality import QualityPrediction
from planner.domain.predict.speed import SpeedPrediction

HEADROOM = 0.05
BALANCED_LOSS, BALANCED_LOSS_HIGH = 0.01, 0.03
LOSS_LIMIT = 0.03
SPEED_TIE = 0.05
LOSS_TIE = 0.004
"""Losses closer than this are a tie: the sampling error of MMLU's 14,042 questions near 80 % is 0.34 points,
0.4 % of the baseline."""
SOURCE = "DESIGN: how it chooses"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """A candidate with everything that was found and predicted about it. Told apart by identity."""

    candidate: Candidate
    verdict: Verdict
    memory: MemoryEstimate
    quality: QualityPrediction
    """On the benchmark of the workload's task."""
    also_quality: tuple[QualityPrediction, ...]
    speed: SpeedPrediction
    bytes_per_step: float
    """Bytes that one decoding step reads on one device: the stand-in for speed where none is known."""
    artifact_bytes: int
    bits_per_weight: float
    job: JobCost

    @property
    def is_prototype(self) -> bool:
        """Whether it has so few bits that the guide calls it a prototype."""
        return self.candidate.native_bits < THREE_BIT_LIMIT


@dataclass(frozen=True, slots=True)
class Ranking:
    """Admitted candidates best first, those passed over with the reason, and a remark about the rule used."""

    admitted: list[Scored]
    passed_over: list[tuple[Scored, Finding]]
    remark: str | None


def rank(legal: Sequence[Scored], objective: Objective, named: Sequence[str]) -> Ranking:
    """Order the legal candidates under an objective; schemes in `named` are admitted whatever they lose."""
    admitted: list[Scored] = []
    passed_over: list[tuple[Scored, Finding]] = []
    for scored in legal:
        finding = None if scored.candidate.scheme.name in named else _why_not(scored, objective)
        if finding is None:
            admitted.append(scored)
        else:
            passed_over.append((scored, finding))
    known_speed = all(scored.speed.total_tokens_per_s is not None for scored in legal)
    if admitted:
        return Ranking(_order(admitted, objective, known_speed), passed_over, None)
    remaining = [scored for scored in legal if scored.quality.loss is not None] or list(legal)
    if not remaining:
        return Ranking([], passed_over, None)
    if objective == "balanced":
        ordered = sorted(remaining, key=lambda scored: _loss_key(scored, known_speed))
    else:
        ordered = _order(remaining, objective, known_speed)
    rest = [(scored, finding) for scored, finding in passed_over if scored not in remaining]
    what = (
        "this is the smallest loss that fits" if objective == "balanced" else "this is the best of what fits"
    )
    remark = f"nothing that fits meets the {objective} objective's limits: {what}"
    return Ranking(ordered, rest, remark)


def _why_not(scored: Scored, objective: Objective) -> Finding | None:
    loss, loss_high = scored.quality.loss, scored.quality.loss_high
    if objective == "balanced" and scored.memory.headroom_at_worst < HEADROOM:
        return Finding(
            code="objective.headroom",
            message=f"fits with {scored.memory.headroom_at_worst:.1%} to spare at the high end of the estimate; "
            f"{HEADROOM:.0%} are asked for",
            numbers={"headroom": scored.memory.headroom_at_worst, "limit": HEADROOM},
            way_out=("a shorter context or fewer users",),
            source=SOURCE,
        )
    if loss is None or loss_high is None:
        return Finding(
            code="objective.no_evidence",
            message=f"there are no measurements to judge what {scored.candidate.scheme.name} loses on "
            f"{scored.quality.benchmark}",
            way_out=(
                "measure it: it becomes evidence",
                f'ask for it by name: "... in {scored.candidate.scheme.name}"',
            ),
            source=SOURCE,
        )
    if scored.is_prototype and objective in {"balanced", "quality"}:
        return Finding(
            code="policy.three_bit",
            message=f"{scored.candidate.scheme.name} is a 3-bit scheme: prototypes, or memory and speed over quality",
            numbers={"bits": scored.candidate.native_bits},
            way_out=(
                "objective memory or speed",
                f'ask for it by name: "... in {scored.candidate.scheme.name}"',
            ),
            source="the guide: 3-bit only for prototypes or speed over quality",
        )
    limits = {"balanced": BALANCED_LOSS, "speed": LOSS_LIMIT, "memory": LOSS_LIMIT}
    limit = limits.get(objective)
    if limit is not None and loss > limit:
        return _loss_finding(scored, loss, limit, "expected")
    if objective == "balanced" and loss_high > BALANCED_LOSS_HIGH:
        return _loss_finding(scored, loss_high, BALANCED_LOSS_HIGH, "at the bad end of the interval")
    return None


def _loss_finding(scored: Scored, loss: float, limit: float, which: str) -> Finding:
    return Finding(
        code="objective.loss",
        message=f"loses {loss:.2%} of {scored.quality.benchmark} {which}, more than the {limit:.0%} allowed",
        numbers={"loss": loss, "limit": limit},
        way_out=("more bits", f'ask for it by name: "... in {scored.candidate.scheme.name}"'),
        source=SOURCE,
    )


def _order(admitted: list[Scored], objective: Objective, known_speed: bool) -> list[Scored]:
    if objective == "memory":
        return sorted(admitted, key=lambda scored: (_footprint(scored), _loss_key(scored, known_speed)))
    if objective == "quality":
        return sorted(admitted, key=lambda scored: _loss_key(scored, known_speed))
    ordered: list[Scored] = []
    remaining = sorted(admitted, key=lambda scored: -_speed(scored, known_speed))
    while remaining:
        limit = _speed(remaining[0], known_speed) * (1 - SPEED_TIE)
        tied = [scored for scored in remaining if _speed(scored, known_speed) >= limit]
        best = min(tied, key=lambda scored: (_rounded_loss(scored), _footprint(scored), _effort(scored)))
        ordered.append(best)
        remaining.remove(best)
    return ordered


def _speed(scored: Scored, known_speed: bool) -> float:
    if known_speed and scored.speed.total_tokens_per_s is not None:
        return scored.speed.total_tokens_per_s
    return 1 / scored.bytes_per_step


def _footprint(scored: Scored) -> int:
    return scored.memory.all_devices_bytes


def _rounded_loss(scored: Scored) -> float:
    loss = scored.quality.loss
    return 1.0 if loss is None else round(max(0.0, loss) / LOSS_TIE) * LOSS_TIE


def _effort(scored: Scored) -> int:
    """Within a tie: what exists already, then calibrated methods, then rounding alone."""
    if scored.candidate.backend is None:
        return 0
    return 1 if scored.candidate.calibrated else 2


def _loss_key(scored: Scored, known_speed: bool) -> tuple[float, float, int, int]:
    return (_rounded_loss(scored), -_speed(scored, known_speed), _footprint(scored), _effort(scored))
