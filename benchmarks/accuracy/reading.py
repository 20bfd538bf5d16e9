"""What of the evidence `estimate --batch` cannot read, or cannot answer yet: counted by reason, with examples.

Every row of the memory truth, the sizes, the failures and the speeds is asked as somebody would who reads it.

    .venv/bin/python benchmarks/accuracy/reading.py
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from fits import failure_fields, run_fields
from home import throwaway_workshop
from rich.console import Console
from rich.table import Table
from truth import as_fields, read_rows
from truth_sizes import as_size_fields

from planner.domain.errors import BitwrightError
from planner.usecases.estimate_candidate import estimate_candidate


def every_row() -> Iterator[tuple[str, dict[str, Any] | None]]:
    """File and fields of each row; None where a failure names no model or card."""
    yield from (("memory_truth.csv", as_fields(row)) for row in read_rows("memory_truth.csv"))
    yield from (("sizes.csv", as_size_fields(row)) for row in read_rows("sizes.csv"))
    yield from (("memory_negatives.csv", failure_fields(row)) for row in read_rows("memory_negatives.csv"))
    yield from (("speed.csv", run_fields(row)) for row in read_rows("speed.csv"))


def print_reading(console: Console, ask: Any, examples: int) -> None:
    """Answered and refused by file, then each reason with its rows."""
    answers: dict[str, str] = {}
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    for name, fields in every_row():
        if fields is None:
            by_file[name]["names no model or card"] += 1
            continue
        key = repr(sorted(fields.items()))
        if key not in answers:
            answers[key] = ask(fields)
        by_file[name][answers[key].split(":")[0] or "answered"] += 1
        if answers[key]:
            reasons[answers[key]] += 1
    table = Table("file", "rows", "outcome", title="what estimate makes of the evidence")
    for name, outcomes in by_file.items():
        for outcome, count in outcomes.most_common():
            table.add_row(name, str(count), outcome)
    console.print(table)
    for reason, count in reasons.most_common(examples):
        console.print(f"{count:6}  {reason}", soft_wrap=True, markup=False)


def main() -> None:
    """Ask on a throwaway home."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=30, help="how many reasons to print in full")
    asked = parser.parse_args()

    def ask(fields: Mapping[str, Any]) -> str:
        try:
            estimate_candidate(workshop, fields)
        except BitwrightError as error:
            return f"{error.code}: {error}"
        return ""

    with throwaway_workshop() as workshop:
        print_reading(Console(width=110), ask, asked.examples)


if __name__ == "__main__":
    main()
