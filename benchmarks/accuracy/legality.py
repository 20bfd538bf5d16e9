"""How well the rules tell what loads: truth that says no, and configurations that were measured running.

Three counts: rows of `data/engine_rules.csv` whose own condition judges, reported failures of shape, capability
and support that are refused (`legality_cases.csv` says which device and model stand in where a row names none,
and why a row is not reproduced), and measured configurations that are refused or unknown. Nothing is fitted.

    .venv/bin/python benchmarks/accuracy/legality.py [--rows]
"""

import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from planner.domain.errors import BitwrightError
from planner.main import open_workshop
from planner.settings import Settings
from planner.usecases.estimate_candidate import estimate_candidate
from planner.usecases.workshop import Workshop

DATA = Path(__file__).resolve().parents[2] / "data"
CASES = Path(__file__).with_name("legality_cases.csv")
FIELDS = ("model", "scheme", "method", "format", "group_size", "engine", "engine_version", "tp")
"""Fields that a case takes from its row of evidence where it says nothing itself."""
NUMBERS = ("group_size", "count", "tp")
FIRST_LINE = 2
"""Line of a file's first row: the header is line 1."""


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_cases() -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Every reported failure besides memory: its case and the fields of its estimate."""
    rows = read_rows(DATA / "evidence" / "memory_negatives.csv")
    for case in read_rows(CASES):
        row = rows[int(case["line"]) - FIRST_LINE]
        row = {**row, "model": row["repo"] or row["model"]}
        fields: dict[str, Any] = {name: case[name] or row.get(name, "") for name in FIELDS}
        fields |= {"device": case["device"] or row["gpus"], "count": case["count"], "context": "512"}
        for name in NUMBERS:
            fields[name] = int(fields[name]) if str(fields[name]).isdigit() else None
        if "its field ep" in case["why"]:
            fields["ep"] = fields["tp"]
        yield case, {name: value for name, value in fields.items() if value not in {"", None}}


def check_case(expect: str, answer: Mapping[str, Any]) -> bool:
    """Whether an estimate says of a failure what was reported."""
    if expect == "weights-only":
        return answer["legal"] is True and "weights only" in answer["kernel"]
    return answer["legal"] is {"refused": False, "unknown": None}[expect]


def running_configurations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Measured configurations with a catalogue model, each once, by evidence file."""
    for name in ("speed.csv", "memory_truth.csv"):
        seen = set()
        for row in read_rows(DATA / "evidence" / name):
            if not row["repo"] or row["repo"] in {"", "none"} or not row["gpu"]:
                continue
            fields: dict[str, Any] = {
                "model": row["repo"],
                "scheme": row["scheme"],
                "method": row["method"],
                "engine": row["engine"],
                "engine_version": row["engine_version"],
                "device": row["gpu"],
                "count": row["n_gpus"],
                "tp": row["tp"],
                "group_size": row.get("group_size", ""),
                "kv_dtype": row.get("kv_dtype", ""),
            }
            for number in NUMBERS:
                fields[number] = int(fields[number]) if str(fields[number]).isdigit() else None
            fields = {key: value for key, value in fields.items() if value not in {"", None}}
            fields["context"] = 512
            key = tuple(sorted((key, str(value)) for key, value in fields.items()))
            if key not in seen:
                seen.add(key)
                yield name, fields


def count_running(
    workshop: Workshop,
) -> tuple[Counter[tuple[str, str]], list[tuple[str, dict[str, Any], str]]]:
    """Answers about running configurations by file, and those refused or unknown with the first verdict."""
    counts: Counter[tuple[str, str]] = Counter()
    doubtful = []
    for name, fields in running_configurations():
        try:
            answer = estimate_candidate(workshop, fields)
        except BitwrightError as error:
            counts[name, f"no estimate: {error.code}"] += 1
            continue
        word = {True: "legal", False: "refused", None: "unknown"}[answer["legal"]]
        counts[name, word] += 1
        if word != "legal":
            against = [item for item in answer["verdicts"] if not item["code"].startswith("memory.")]
            first = against[0] if against else {"code": "unsaid", "message": ""}
            doubtful.append((word, fields, f"{first['code']}: {first['message']}"))
    return counts, doubtful


def print_rules(console: Console) -> None:
    """How many rows of the table judge."""
    rows = read_rows(DATA / "engine_rules.csv")
    idle = [row for row in rows if row["role"] == "fact"]
    console.print(f"rows of engine_rules.csv: {len(rows)}, of which {len(rows) - len(idle)} judge")
    for row in idle:
        console.print(f"  judges nothing: {row['engine']} {row['scheme']}: {row['why_not']}")


def print_failures(console: Console, workshop: Workshop) -> None:
    """Which reported failures are reproduced."""
    reproduced, missed, listed = 0, [], []
    for case, fields in read_cases():
        if case["expect"] == "none":
            listed.append(case)
            continue
        try:
            answer: Mapping[str, Any] = estimate_candidate(workshop, fields)
        except BitwrightError as error:
            missed.append((case, f"{error.code}: {error}"))
            continue
        if check_case(case["expect"], answer):
            reproduced += 1
        else:
            missed.append((case, f"legal is {answer['legal']}, kernel {answer['kernel']}"))
    total = reproduced + len(missed)
    console.print(f"failures of shape, capability and support reproduced: {reproduced} of {total}")
    for case, what in missed:
        console.print(f"  line {case['line']} not reproduced: {what}")
    for case in listed:
        console.print(f"  line {case['line']} not tried: {case['why']}")


def print_running(console: Console, workshop: Workshop, *, rows: bool) -> None:
    """How many running configurations are called legal."""
    counts, doubtful = count_running(workshop)
    for name in sorted({name for name, _ in counts}):
        parts = ", ".join(f"{word} {count}" for (file, word), count in sorted(counts.items()) if file == name)
        console.print(f"measured running, {name}: {parts}")
    reasons = Counter((word, fields["engine"], why.partition(":")[0]) for word, fields, why in doubtful)
    for (word, engine, code), count in reasons.most_common(40):
        console.print(f"  {word} {count}: {engine}, {code}")
    for word, fields, why in doubtful if rows else ():
        console.print(f"  {word}: {fields} {why}")


def main() -> None:
    """Print all counts, on a throwaway home."""
    console = Console(width=160, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        workshop = open_workshop(Settings(home=home, cache=home / "cache", data=DATA))
        try:
            print_rules(console)
            print_failures(console, workshop)
            print_running(console, workshop, rows="--rows" in sys.argv)
        finally:
            workshop.close()


if __name__ == "__main__":
    main()
