"""Whether configurations that were measured running are called fits, and reported failures are not."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rich.console import Console
from truth import UNNAMED_CARD, Row, read_rows

from planner.domain.errors import BitwrightError

CARDS = re.compile(r"(\d+)\s*x\s*(.+)")


class Estimates(Protocol):
    """Answers one batch row."""

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]: ...


@dataclass
class Verdicts:
    """How many were called a fit, and which were not judged rightly."""

    title: str
    wanted: str
    want_fit: bool
    fits: int = 0
    judged: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    def judge(self, estimator: Estimates, fields: Mapping[str, Any]) -> None:
        """Ask about one configuration."""
        try:
            answer = estimator.estimate(fields)
        except BitwrightError:
            self.refused += 1
            return
        self.judged += 1
        self.fits += answer["fits"]
        if answer["fits"] != self.want_fit:
            low, high = answer["intervals"]["total_bytes"]
            sizes = f"{low / 2**30:.2f} to {high / 2**30:.2f} of {answer['usable_bytes'] / 2**30:.2f} GiB"
            self.wrong.append(f"{sizes}: {dict(fields)}")

    def print_on(self, console: Console, worst: int) -> None:
        """One line, and some of the wrong ones."""
        share = f" ({self.fits / self.judged:.1%})" if self.judged else ""
        told = f", {self.refused} refused" if self.refused else ""
        console.print(f"{self.title}: {self.fits} of {self.judged}{share}{told}; wanted {self.wanted}")
        for line in self.wrong[:worst]:
            console.print(f"    {line}", soft_wrap=True)


def judge_runs(estimator: Estimates) -> Verdicts:
    """Configurations whose speed was measured, each once."""
    found = Verdicts("measured running and called a fit", "97 %", want_fit=True)
    for fields in distinct(run_fields(row) for row in read_rows("speed.csv") if is_plain_run(row)):
        found.judge(estimator, fields)
    return found


def judge_failures(estimator: Estimates) -> Verdicts:
    """Configurations that were reported to run out of memory."""
    found = Verdicts("reported out of memory and called a fit", "none", want_fit=False)
    for row in read_rows("memory_negatives.csv"):
        fields = failure_fields(row)
        if row["failure"] == "oom" and fields is not None:
            found.judge(estimator, fields)
    return found


def is_plain_run(row: Row) -> bool:
    """Whether the row tells a configuration that ran on its devices alone, with a model and card that it names."""
    return bool(
        row["repo"]
        and row["scheme"]
        and not re.search("offload|cpu_only|spec_decode", row["flags"])
        and (row["concurrency"].isdigit() or not row["concurrency"])
        and "+" not in row["gpu"]
        and not UNNAMED_CARD.search(row["gpu"])
    )


def run_fields(row: Row) -> dict[str, Any]:
    """What a speed row says it ran."""
    tokens = sum(int(row[name]) for name in ("prompt_tokens", "output_tokens") if row[name].isdigit())
    utilisation = re.search(r"(?:gpu_memory_utilization|util(?:isation|ization)?) ?=?(0?\.\d+)", row["note"])
    fields = {
        "model": row["repo"],
        "scheme": row["scheme"],
        "method": row["method"] or None,
        "device": row["gpu"],
        "count": whole(row["n_gpus"]),
        "tp": whole(row["tp"]),
        "engine": row["engine"] or None,
        "engine_version": row["engine_version"] or None,
        "context": tokens or 512,
        "concurrency": whole(row["concurrency"]) or 1,
        "gpu_memory_utilization": float(utilisation[1]) if utilisation else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def failure_fields(row: Row) -> dict[str, Any] | None:
    """What a failure report says was tried; None where card or model is not named."""
    cards = CARDS.match(row["gpus"])
    if cards is None or not row["repo"]:
        return None
    fields = {
        "model": row["repo"],
        "scheme": row["scheme"],
        "method": row["method"] or None,
        "device": re.sub(r" \((?:one used|PP=\d)\)", "", cards[2]),
        "count": int(cards[1]),
        "tp": whole(row["tp"]),
        "engine": row["engine"] or None,
        "engine_version": row["engine_version"] or None,
        "context": whole(row["context_tokens"]),
        "group_size": whole(row["group_size"]),
        "concurrency": 1,
    }
    return {name: value for name, value in fields.items() if value is not None}


def distinct(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each configuration once."""
    return list({repr(sorted(fields.items())): fields for fields in rows}.values())


def whole(text: str) -> int | None:
    """A count, or None where none is given."""
    return int(text) if text.isdigit() else None
