"""How far memory estimates are from measurements, beside parameters x bits, in one table.

Every figure goes through the same door as `bitwright estimate --batch`. Nothing is fitted to single rows; the
constants that were read off these measurements are named in `data/engine_memory.csv`, so the table says how
well the model describes what is published, not how it does on models that nobody looked at.

    .venv/bin/python benchmarks/accuracy/memory.py
"""

import csv
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from planner.domain.errors import BitwrightError
from planner.domain.facts.spellings import Spellings
from planner.main import open_workshop
from planner.settings import Settings
from planner.sources.tables import read_models, read_spellings
from planner.usecases.estimate_candidate import estimate_candidate
from planner.usecases.workshop import Workshop

DATA = Path(__file__).resolve().parents[2] / "data"
UNITS = {"GiB": 2**30, "MiB": 2**20, "GB": 1e9, "bytes": 1}
ENGINES = {"vllm", "llama.cpp", "transformers"}
CARD = "NVIDIA H100 80GB SXM5"
"""Any card will do where the figure does not depend on it."""


class Bench:
    """The tables and an estimator over a throwaway home."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.models = {model.model_id: model for model in read_models(DATA / "models.csv")}
        self.words = Spellings(read_spellings(DATA / "spellings.csv"))

    def estimate(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        """The estimate, or None where something about the row is not modelled."""
        try:
            return estimate_candidate(self.workshop, fields)
        except BitwrightError:
            return None


def read_rows(name: str) -> Iterator[dict[str, str]]:
    """Rows of one evidence file."""
    with (DATA / "evidence" / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def compare_sizes(bench: Bench) -> tuple[list[float], list[float]]:
    """Relative errors of file sizes of GGUF files printed in GiB, ours and parameters x bits."""
    ours, naive = [], []
    for row in read_rows("sizes.csv"):
        if row["method"] != "gguf" or row["unit"] != "GiB" or row["repo"] not in bench.models:
            continue
        found = bench.estimate(
            {"model": row["repo"], "scheme": row["scheme"], "device": CARD, "count": 8, "engine": "llama.cpp"}
        )
        if found is None or "printed 3.40 B" in row["note"]:
            continue
        measured = float(row["value"]) * UNITS[row["unit"]]
        params = bench.models[row["repo"]].params_total
        ours.append(found["bits_per_weight"] * params / 8 / measured - 1)
        naive.append(round(found["bits_per_weight"]) * params / 8 / measured - 1)
    return ours, naive


def compare_weights(bench: Bench) -> tuple[list[float], list[float]]:
    """Relative errors of what vLLM says its weights take on a rank."""
    ours, naive = [], []
    for row in read_rows("memory_truth.csv"):
        if row["kind"] != "vllm-weights" or row["repo"] not in bench.models or "outlier" in row["note"]:
            continue
        tp = int(row["tp"] or 1)
        fields = {"model": row["repo"], "scheme": row["scheme"], "device": CARD, "engine": "vllm"}
        found = bench.estimate({**fields, "count": tp, "tp": tp})
        if found is None:
            continue
        measured = float(row["value"]) * UNITS[row["unit"]]
        ours.append(found["weights_bytes"] / measured - 1)
        bits = float(row["bits"] or 16)
        naive.append(bench.models[row["repo"]].params_total * bits / 8 / tp / measured - 1)
    return ours, naive


def count_fits(bench: Bench) -> tuple[int, int]:
    """Configurations whose speed was measured: how many are called fits, of how many."""
    fits = total = 0
    seen = set()
    for row in read_rows("speed.csv"):
        engine, gpu = bench.words.read("engine", row["engine"]), bench.words.read("gpu", row["gpu"])
        if (
            engine not in ENGINES
            or gpu is None
            or row["concurrency"] not in {"1", ""}
            or "offload" in row["flags"]
        ):
            continue
        tokens = sum(int(row[name]) for name in ("prompt_tokens", "output_tokens") if row[name].isdigit())
        key = (row["repo"], row["scheme"], engine, gpu, row["n_gpus"], tokens)
        if row["repo"] not in bench.models or key in seen:
            continue
        seen.add(key)
        fields = {
            "model": row["repo"],
            "scheme": row["scheme"],
            "device": gpu,
            "engine": engine,
            "concurrency": 1,
        }
        context = min(tokens or 512, bench.models[row["repo"]].max_position)
        found = bench.estimate({**fields, "count": int(row["n_gpus"] or 1), "context": context})
        if found is not None:
            total += 1
            fits += found["fits"]
    return fits, total


def count_false_fits(bench: Bench) -> tuple[int, int]:
    """Configurations that were reported to run out of memory: how many are called fits, of how many."""
    fits = total = 0
    for row in read_rows("memory_negatives.csv"):
        cards = re.match(r"(\d+)\s*x\s*(.+)", row["gpus"])
        if row["failure"] != "oom" or cards is None or not row["repo"]:
            continue
        fields: dict[str, Any] = {
            "model": row["repo"],
            "scheme": row["scheme"],
            "device": bench.words.read("gpu", cards[2]) or cards[2],
            "count": int(cards[1]),
            "engine": row["engine"] or None,
            "concurrency": 1,
        }
        for name, column in (("tp", "tp"), ("context", "context_tokens"), ("group_size", "group_size")):
            if row[column].isdigit():
                fields[name] = int(row[column])
        found = bench.estimate(fields)
        if found is not None:
            total += 1
            fits += found["fits"]
    return fits, total


def print_table(bench: Bench) -> None:
    """All comparisons in one table."""
    table = Table(title="memory: error against measurements")
    for column in ("figure", "rows", "mean", "median", "parameters x bits: mean"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, (ours, naive) in (
        ("llama.cpp file size", compare_sizes(bench)),
        ("vLLM weights on a rank", compare_weights(bench)),
    ):
        mean = sum(map(abs, ours)) / len(ours)
        naive_mean = sum(map(abs, naive)) / len(naive)
        middle = median(map(abs, ours))
        table.add_row(name, str(len(ours)), f"{mean:.2%}", f"{middle:.2%}", f"{naive_mean:.2%}")
    console = Console(width=100)
    console.print(table)
    fits, total = count_fits(bench)
    console.print(f"measured running and called a fit: {fits} of {total} ({fits / total:.1%}; wanted 97 %)")
    fits, total = count_false_fits(bench)
    console.print(f"reported out of memory and called a fit: {fits} of {total} (wanted none)")


def main() -> None:
    """Run all comparisons on a throwaway home."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workshop = open_workshop(Settings(home=home, cache=home / "cache", data=DATA))
        try:
            print_table(Bench(workshop))
        finally:
            workshop.close()


if __name__ == "__main__":
    main()
