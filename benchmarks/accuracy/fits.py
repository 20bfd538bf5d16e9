"""Whether configurations that were measured running are called fits, and reported failures are not."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from rich import box
from rich.console import Console
from rich.table import Table
from truth import UNNAMED_CARD, Row, read_rows

from planner.domain.errors import BitwrightError
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.scheme import nominal_bits

QUEUES = re.compile(r"vllm|sglang|tensorrt|lmdeploy|qserve", re.IGNORECASE)
"""Engines that let clients wait when their pool is full: a run with many says that one fits, not that all do."""
CARDS = re.compile(r"(\d+)\s*x\s*(.+)")


class Estimates(Protocol):
    """Answers one batch row."""

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any]: ...

    def find_model(self, name: str) -> ModelFacts: ...


@dataclass
class Verdicts:
    """How many configurations of one engine were called a fit, and which were not judged rightly."""

    want_fit: bool
    fits: int = 0
    judged: int = 0
    refused: int = 0
    elsewhere: int = 0
    """Runs of more weights than their cards hold: part of the model was in host memory, whatever the row says."""
    wrong: list[str] = field(default_factory=list)

    def judge(self, estimator: Estimates, fields: Mapping[str, Any]) -> None:
        """Ask about one configuration."""
        try:
            answer = estimator.estimate(fields)
        except BitwrightError:
            self.refused += 1
            return
        if self.want_fit and is_elsewhere(estimator.find_model(answer["candidate"]["model"]), answer):
            self.elsewhere += 1
            return
        self.judged += 1
        self.fits += answer["fits"]
        if answer["fits"] != self.want_fit:
            low, high = answer["intervals"]["total_bytes"]
            sizes = f"{low / 2**30:.2f} to {high / 2**30:.2f} of {answer['usable_bytes'] / 2**30:.2f} GiB"
            self.wrong.append(f"{sizes}: {dict(fields)}")


def judge_runs(estimator: Estimates) -> dict[str, Verdicts]:
    """Configurations whose speed was measured, by engine, each once with the longest context that ran."""
    found: dict[str, Verdicts] = {}
    for fields in longest(run_fields(row) for row in read_rows("speed.csv") if is_plain_run(row)):
        found.setdefault(family(fields.get("engine", "")), Verdicts(want_fit=True)).judge(estimator, fields)
    return found


def judge_failures(estimator: Estimates) -> dict[str, Verdicts]:
    """Configurations that were reported to run out of memory, by engine."""
    found: dict[str, Verdicts] = {}
    for row in read_rows("memory_negatives.csv"):
        fields = failure_fields(row)
        if row["failure"] == "oom" and fields is not None:
            found.setdefault(family(row["engine"]), Verdicts(want_fit=False)).judge(estimator, fields)
    return found


def print_verdicts(console: Console, title: str, verdicts: Mapping[str, Verdicts], worst: int) -> None:
    """One table by engine, and some of the configurations that were judged wrongly."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("engine")
    for name in ("called a fit", "of", "share", "refused", "not on the cards"):
        table.add_column(name, justify="right")
    for engine, found in sorted(verdicts.items(), key=lambda pair: -pair[1].judged):
        table.add_row(engine, *counted([found]))
    table.add_section()
    table.add_row("together", *counted(verdicts.values()))
    console.print(table)
    for found in verdicts.values():
        for line in found.wrong[:worst]:
            console.print(f"    {line}", soft_wrap=True, markup=False)


def counted(verdicts: Collection[Verdicts]) -> tuple[str, ...]:
    """Counts and their share in words."""
    fits, judged, refused, elsewhere = (
        sum(getattr(found, name) for found in verdicts) for name in ("fits", "judged", "refused", "elsewhere")
    )
    return (str(fits), str(judged), f"{fits / judged:.1%}" if judged else "-", str(refused), str(elsewhere))


def is_elsewhere(model: ModelFacts, answer: Mapping[str, Any]) -> bool:
    """Whether parameters x the width in the scheme's name, by hand, already exceed all cards together."""
    what = answer["candidate"]
    weights = model.params_total * (nominal_bits(what["scheme"]) or 16) / 8
    return bool(weights > 1.1 * answer["usable_bytes"] * what["tp"] * what["pp"] * what["dp"])


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
        "concurrency": 1 if QUEUES.match(row["engine"]) else whole(row["concurrency"]) or 1,
        "gpu_memory_utilization": float(utilisation[1]) if utilisation else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def failure_fields(row: Row) -> dict[str, Any] | None:
    """What a failure report says was tried; None where no card is named."""
    cards = CARDS.match(row["gpus"])
    if cards is None:
        return None
    fields = {
        "model": row["repo"] or row["model"],
        "scheme": row["scheme"],
        "method": row["method"] or None,
        "device": re.sub(r" \((?:one used|PP=\d)\)", "", cards[2]),
        "count": int(cards[1]),
        "tp": whole(row["tp"]),
        "engine": row["engine"] or None,
        "engine_version": row["engine_version"] or None,
        "context": whole(row["context_tokens"]),
        "group_size": whole(row["group_size"]),
        "concurrency": read_said(r"batch (\d+)", row["message_summary"]),
        "gpu_memory_utilization": read_said(r"utili[sz]ation (0?\.\d+)", row["message_summary"]),
        "max_num_batched_tokens": read_said(
            r"max_num_batched_tokens (?:above )?(\d+)", row["message_summary"]
        ),
    }
    return {name: value for name, value in fields.items() if value is not None}


def family(engine: str) -> str:
    """The engine without its kernel, its driver or what it runs inside."""
    return re.split(r" \(| / | fused| bench| repo| Vulkan| OpenCL| ROCm| \d", engine, maxsplit=1)[0]


def longest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each configuration once, with the longest context that it ran; versions of an engine count as one."""
    found: dict[str, dict[str, Any]] = {}
    for fields in rows:
        key = repr([pair for pair in sorted(fields.items()) if pair[0] not in {"context", "engine_version"}])
        if key not in found or found[key]["context"] < fields["context"]:
            found[key] = fields
    return list(found.values())


def read_said(pattern: str, text: str) -> float | None:
    """A number that a report names."""
    found = re.search(pattern, text)
    return None if found is None else float(found[1]) if "." in found[1] else int(found[1])


def whole(text: str) -> int | None:
    """A count, or None where none is given."""
    return int(text) if text.isdigit() else None
