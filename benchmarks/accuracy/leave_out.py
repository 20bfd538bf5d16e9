"""Each fitted constant on data that it was not fitted on: refitted without one model, or one source, at a time.

A constant counts as fitted when its `source` names rows of the memory truth ("hf-peak rows …"). It is scaled over a
grid; the factor that suits all other models (or sources) best is then judged on the one that was left out. Errors
are mean absolute shares of the measured value; "as it is" is the constant of the table on the same rows.

    .venv/bin/python benchmarks/accuracy/leave_out.py
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from fits import family
from home import throwaway_workshop
from memory import Estimator, compare, percent
from rich import box
from rich.console import Console
from rich.table import Table
from truth import QUANTITIES, Figure, read_figures

from planner.domain.choose.candidates import Tables
from planner.domain.predict.constants import Constant
from planner.usecases.workshop import Workshop

FACTORS = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0)
MOST_FIGURES = 150
"""Of one kind, taken evenly: enough to fit one number, and quick."""
FITTED = re.compile(r"([a-z][\w+-]*) rows|rows of ([a-z][\w+-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One fitted constant and the figures that it was fitted to."""

    engine: str
    term: str
    kind: str
    likely: float


class ScaledKnowledge:
    """The tables with one term scaled, and everything else as it is."""

    def __init__(self, knowledge: Any, fit: Fit, factor: float) -> None:
        self._knowledge, self._fit, self._factor = knowledge, fit, factor
        self._tables: Tables | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._knowledge, name)

    def tables(self, version: Any) -> Tables:
        """Scaled once: a table that is the same object is worked with faster."""
        if self._tables is None:
            self._tables = scale_tables(self._knowledge.tables(version), self._fit, self._factor)
        return self._tables


def scale_tables(tables: Tables, fit: Fit, factor: float) -> Tables:
    """Both tables of engine constants with the term's values multiplied."""
    memory = {
        key: scale(constant, factor) if key == (fit.engine, fit.term) else constant
        for key, constant in tables.memory.items()
    }
    defaults = [
        replace(row, constant=scale(row.constant, factor))
        if (row.engine, row.term) == (fit.engine, fit.term)
        else row
        for row in tables.defaults
    ]
    return replace(tables, memory=memory, defaults=defaults)


def scale(constant: Constant, factor: float) -> Constant:
    """Low, likely and high together."""
    return Constant(constant.low * factor, constant.likely * factor, constant.high * factor, constant.source)


def find_fits(tables: Tables) -> list[Fit]:
    """The constants whose sources name rows of the memory truth."""
    rows = [(engine, term, constant) for (engine, term), constant in tables.memory.items()]
    rows += [(row.engine, row.term, row.constant) for row in tables.defaults]
    found: dict[tuple[str, str], Fit] = {}
    for engine, term, constant in rows:
        kinds = [word for pair in FITTED.findall(constant.source) for word in pair if word in QUANTITIES]
        if kinds and constant.likely:
            found[engine, term] = Fit(engine=engine, term=term, kind=kinds[0], likely=constant.likely)
    return list(found.values())


def predict_all(
    workshop: Workshop, fit: Fit, figures: Sequence[Figure]
) -> dict[float, list[tuple[float, float]]]:
    """By factor, prediction and signed error of every figure; figures that cannot be estimated are left out."""
    found: dict[float, list[tuple[float, float]]] = {}
    for factor in FACTORS:
        knowledge: Any = ScaledKnowledge(workshop.knowledge, fit, factor)
        estimator = Estimator(replace(workshop, knowledge=knowledge))
        compared = [compare(estimator, figure) for figure in figures]
        found[factor] = [
            (row.predicted or 0.0, row.error if row.predicted is not None else 0.0) for row in compared
        ]
    return found


def leave_out(errors: Mapping[float, Sequence[float]], groups: Sequence[str]) -> float | None:
    """Mean absolute error of each group under the factor that suits the others best; None for a single group."""
    left = []
    for name in sorted(set(groups)):
        others = [index for index, group in enumerate(groups) if group != name]
        if not others:
            return None
        best = min(FACTORS, key=lambda factor: mean(abs(errors[factor][index]) for index in others))
        left += [abs(errors[best][index]) for index, group in enumerate(groups) if group == name]
    return mean(left)


def judge(workshop: Workshop, fit: Fit, figures: Sequence[Figure]) -> tuple[str, ...] | None:
    """One row of the table; None where no figure depends on the constant."""
    predicted = predict_all(workshop, fit, figures)
    moved = [
        index
        for index in range(len(figures))
        if predicted[1.0][index][0] and predicted[FACTORS[-1]][index][0] != predicted[1.0][index][0]
    ]
    if not moved:
        return None
    errors = {factor: [rows[index][1] for index in moved] for factor, rows in predicted.items()}
    models = [figures[index].row["repo"] for index in moved]
    sources = [figures[index].source for index in moved]
    best = min(FACTORS, key=lambda factor: mean(map(abs, errors[factor])))
    shown: Callable[[float | None], str] = lambda share: "-" if share is None else percent(share)  # noqa: E731
    return (
        f"{fit.likely:g}",
        str(len(moved)),
        str(len(set(models))),
        shown(mean(map(abs, errors[1.0]))),
        shown(leave_out(errors, models)),
        shown(leave_out(errors, sources)),
        f"x {best:g}",
    )


def figures_of(kind: str, engine: str) -> Iterator[Figure]:
    """Figures of a kind that an engine's constants speak of, evenly thinned."""
    found = [
        figure
        for figure in read_figures()
        if figure.kind == kind
        and not figure.left_out
        and figure.row["repo"]
        and family(figure.engine) == engine.partition("@")[0]
    ]
    step = max(1, -(-len(found) // MOST_FIGURES))
    yield from found[::step]


def print_fits(console: Console, workshop: Workshop, only: str | None) -> None:
    """Every fitted constant in one table."""
    table = Table(title="constants fitted to measurements, without the model or source they are judged on")
    table.box = box.SIMPLE_HEAD
    for name in ("engine", "term", "fitted to"):
        table.add_column(name, no_wrap=True)
    for name in ("likely", "rows", "models", "as it is", "model left out", "source left out", "best"):
        table.add_column(name, justify="right")
    figures: dict[tuple[str, str], list[Figure]] = defaultdict(list)
    for fit in find_fits(workshop.knowledge.tables(workshop.knowledge.version())):
        if only and not fit.engine.startswith(only):
            continue
        key = (fit.kind, fit.engine)
        figures[key] = figures[key] or list(figures_of(*key))
        row = judge(workshop, fit, figures[key])
        if row is not None:
            table.add_row(fit.engine, fit.term, fit.kind, *row)
    console.print(table)


def main() -> None:
    """Refit on a throwaway home."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", help="only constants of this engine")
    asked = parser.parse_args()
    with throwaway_workshop() as workshop:
        print_fits(Console(width=140), workshop, asked.engine)


if __name__ == "__main__":
    main()
