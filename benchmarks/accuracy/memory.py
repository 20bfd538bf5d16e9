"""How far memory estimates are from every published figure, in one table, beside parameters x bits by hand.

Every figure goes through the same door as `bitwright estimate --batch`. `--worst N --kind K` lists the rows that
are farthest off; `--unread` says why rows were refused, `--left-out` which rules left how many out.

    .venv/bin/python benchmarks/accuracy/memory.py
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import Any

from fits import family, judge_failures, judge_runs, print_verdicts
from home import throwaway_workshop
from rich import box
from rich.console import Console
from rich.table import Table
from truth import Figure, read_figures
from truth_sizes import read_sizes

from planner.domain.errors import BitwrightError
from planner.domain.facts.model import ModelFacts
from planner.domain.units import GIB
from planner.usecases.estimate_candidate import estimate_candidate
from planner.usecases.workshop import Workshop

TARGETS = {
    "transformers": {"hf-peak": "2.5 %"},
    "vllm": {
        "vllm-weights": "2 %",
        "vllm-kv-capacity-tokens": "6 %, p90 15 %",
        "vllm-gpu-blocks": "6 %, p90 15 %",
    },
    "llama.cpp": {
        "llamacpp-vram-total": "1 %",
        "llamacpp-buffer-model": "0.5 %",
        "llamacpp-buffer-kv": "0.5 %",
        "llamacpp-kv-total": "0.5 %",
    },
    "file": {"size": "0.5 %"},
}
"""Mean absolute error wanted on models that nothing was fitted to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A figure beside its estimate; errors are shares of the measured value."""

    figure: Figure
    predicted: float | None
    refusal: str = ""
    naive: float | None = None
    covered: bool | None = None
    """Whether the interval holds the measured value; None where the answer has no interval for it."""

    @property
    def error(self) -> float:
        """Signed."""
        assert self.predicted is not None
        return self.predicted / self.figure.measured - 1


class Estimator:
    """`estimate` in process over one throwaway home, remembering what was asked."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self._answers: dict[str, dict[str, Any]] = {}

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one batch row."""
        key = repr(sorted(fields.items()))
        if key not in self._answers:
            self._answers[key] = estimate_candidate(self.workshop, fields)
        return self._answers[key]

    def find_model(self, name: str) -> ModelFacts:
        """The model's facts, for the arithmetic by hand."""
        return self.workshop.catalog.find_model(name).model


def compare(estimator: Estimator, figure: Figure) -> Comparison:
    """One figure beside what is estimated."""
    try:
        answer = estimator.estimate(figure.fields)
        predicted, interval = read_quantity(estimator, figure, answer)
    except BitwrightError as error:
        return Comparison(figure=figure, predicted=None, refusal=f"{error.code}: {error}")
    covered = None if interval is None else interval[0] <= figure.measured <= interval[1]
    if covered is None and figure.tolerance:
        covered = abs(predicted / figure.measured - 1) <= figure.tolerance
    naive = by_hand(estimator.find_model(answer["candidate"]["model"]), figure, answer)
    return Comparison(
        figure=figure,
        predicted=predicted,
        covered=covered,
        naive=None if naive is None else naive / figure.measured - 1,
    )


def read_quantity(
    estimator: Estimator, figure: Figure, answer: Mapping[str, Any]
) -> tuple[float, Sequence[float] | None]:
    """The estimate of what was measured, with its interval where the answer has one."""
    kv, work = answer["kv_cache_bytes"], answer["activation_bytes"]
    if figure.quantity in answer:
        return answer[figure.quantity], answer["intervals"].get(figure.quantity)
    if figure.quantity == "sequences":
        return answer["kv_capacity_tokens"] / answer["candidate"]["context"], None
    if figure.quantity == "working_bytes":
        return kv + work, None
    if figure.quantity == "pool_bytes":
        rest = answer["weights_bytes"] + work + answer["overhead_bytes"]
        low, high = answer["intervals"]["total_bytes"]
        usable = answer["usable_bytes"]
        return usable - rest, (usable - high + kv, usable - low + kv)
    alone = estimator.estimate({**figure.fields, "count": 1})
    rest = alone["weights_bytes"]
    if figure.quantity == "all_activation_bytes":
        rest += alone["kv_cache_bytes"]
    return answer["all_devices_bytes"] - rest, None


def by_hand(model: ModelFacts, figure: Figure, answer: Mapping[str, Any]) -> float | None:
    """Parameters x bits and a KV cache of all layers in 16 bits: what a person reckons on paper.

    Embedding and head count 16 bits outside GGUF. None for activations and overhead, which have no such arithmetic.
    """
    what, bits = answer["candidate"], float(figure.row.get("bits") or answer["bits_per_weight"])
    ends = model.vocab_size * model.hidden_size * (1 if model.tie_embeddings else 2)
    weights = model.params_total * bits / 8
    if what["format"] != "gguf":
        weights += ends * (16 - bits) / 8
    token = 4 * model.num_layers * model.num_kv_heads * model.head_dim
    kv = token * what["context"] * what["concurrency"]
    ranks = what["tp"] * what["pp"]
    room = answer["usable_bytes"] - weights / ranks
    return {
        "weights_bytes": weights / ranks,
        "artifact_bytes": weights,
        "kv_cache_bytes": kv / ranks,
        "all_devices_bytes": weights + kv,
        "total_bytes": (weights + kv) / ranks,
        "pool_bytes": room,
        "kv_capacity_tokens": room * ranks / token,
        "sequences": room * ranks / token / what["context"],
        "all_working_bytes": kv,
        "working_bytes": kv / ranks,
    }.get(figure.quantity)


def print_table(console: Console, comparisons: Sequence[Comparison]) -> None:
    """Errors by kind and engine."""
    table = Table(
        title="memory: error against every published figure",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    names = (
        "kind",
        "engine",
        "rows",
        "refused",
        "mean",
        "median",
        "p90",
        "bias",
        "held",
        "by hand",
        "wanted",
    )
    for name in names:
        table.add_column(
            name, justify="left" if name in {"kind", "engine", "wanted"} else "right", no_wrap=True
        )
    groups: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for found in comparisons:
        groups[found.figure.kind, family(found.figure.engine)].append(found)
    for (kind, engine), rows in sorted(groups.items()):
        read = [row for row in rows if row.predicted is not None]
        wanted = TARGETS.get(engine, {}).get(kind, "")
        naive = [abs(row.naive) for row in read if row.naive is not None]
        held = [row.covered for row in read if row.covered is not None]
        table.add_row(
            kind,
            engine,
            str(len(rows)),
            str(len(rows) - len(read)),
            *spread([row.error for row in read]),
            f"{sum(held)}/{len(held)}" if held else "-",
            f"{mean(naive):.1%}" if naive else "-",
            wanted,
        )
    console.print(table)


def spread(errors: Sequence[float]) -> tuple[str, ...]:
    """Mean, median and nine-of-ten of the absolute errors, and the mean signed one."""
    if not errors:
        return ("-",) * 4
    absolute = [abs(error) for error in errors]
    p90 = quantiles(absolute, n=10, method="inclusive")[-1] if len(absolute) > 1 else absolute[0]
    return (*map(percent, (mean(absolute), median(absolute), p90)), f"{mean(errors):+.1%}")


def percent(share: float) -> str:
    """Two digits after the point below a tenth, one above."""
    return f"{share:.2%}" if share < 0.1 else f"{share:.1%}"


def print_counts(console: Console, title: str, reasons: Counter[str]) -> None:
    """How many rows for which reason."""
    table = Table(title=title)
    table.add_column("rows", justify="right")
    table.add_column("why")
    for reason, count in reasons.most_common():
        table.add_row(str(count), reason)
    console.print(table)


def print_worst(console: Console, comparisons: Sequence[Comparison], count: int) -> None:
    """The rows farthest off, with all that was asked."""
    read = sorted((row for row in comparisons if row.predicted is not None), key=lambda row: -abs(row.error))
    for found in read[:count]:
        figure = found.figure
        unit = GIB if figure.quantity.endswith("bytes") else 1
        measured, predicted = figure.measured / unit, (found.predicted or 0) / unit
        console.print(
            f"{found.error:+8.1%}  {figure.kind}: {measured:.4g} measured, {predicted:.4g} estimated"
        )
        console.print(f"          {dict(figure.fields)}", soft_wrap=True)
        console.print(f"          {figure.source}: {figure.row['note']}", soft_wrap=True)


def run(estimator: Estimator, console: Console, asked: argparse.Namespace) -> None:
    """All comparisons, then the fits."""
    figures = [*read_figures(), *read_sizes()]
    if asked.kind:
        figures = [figure for figure in figures if figure.kind == asked.kind]
    if asked.engine:
        figures = [figure for figure in figures if figure.engine == asked.engine]
    compared = [compare(estimator, figure) for figure in figures if not figure.left_out]
    print_table(console, compared)
    left_out = Counter(figure.left_out for figure in figures if figure.left_out)
    refused = Counter(row.refusal for row in compared if row.refusal)
    print_counts(console, f"{left_out.total()} rows of {len(figures)} left out by rule", left_out)
    if refused:
        shown = refused if asked.unread else Counter()
        for reason, count in refused.items():
            shown[reason if asked.unread else reason.split(":")[0]] += 0 if asked.unread else count
        print_counts(console, f"{refused.total()} rows refused", shown)
    print_worst(console, compared, asked.worst)
    if not asked.kind and not asked.engine:
        runs, failures = judge_runs(estimator), judge_failures(estimator)
        print_verdicts(console, "measured running and called a fit (wanted 97 %)", runs, asked.worst)
        print_verdicts(
            console, "reported out of memory and called a fit (wanted none)", failures, asked.worst
        )


def main() -> None:
    """Compare on a throwaway home."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="list the N rows farthest off")
    parser.add_argument("--kind", help="only this kind of figure")
    parser.add_argument("--engine", help="only this engine, as the row spells it")
    parser.add_argument("--unread", action="store_true", help="every reason why a row was refused, in full")
    parser.add_argument("--width", type=int, default=130)
    asked = parser.parse_args()
    with throwaway_workshop() as workshop:
        run(Estimator(workshop), Console(width=asked.width), asked)


if __name__ == "__main__":
    main()
