"""What came of a job, for people: predicted beside measured, where the artifact lies, how to serve it."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from planner.cli.wrapping import print_wrapped, wrap_command
from planner.domain.units import format_gib, format_seconds

LABEL_WIDTH = 12
LABELS: Mapping[str, str] = {
    "artifact_bytes": "artifact on disk",
    "load_bytes": "weights in memory",
    "job_minutes": "making and checking it",
    "peak_ram_bytes": "peak memory of the job",
    "perplexity_change_percent": "perplexity, change",
    "decode_tokens_per_s": "decode, one user",
    "prefill_tokens_per_s": "prefill",
    "kl_divergence": "KL divergence",
    "top1_agreement": "same next token",
}
"""Figures in the order they are shown."""


def print_outcome(console: Console, decision: Mapping[str, Any], job: Mapping[str, Any]) -> None:
    """Predicted beside measured, the artifact and the serve command of one completed job."""
    rows = [row for row in decision["measurements"] if row["job_id"] == job["job_id"]]
    console.print(tabulate_figures(rows))
    sample = job["result"]["measurement"].get("generated", "").strip()
    if sample:
        said = f'it says     "The capital of France is" {" ".join(sample.split())}'
        print_wrapped(console, Text(said), LABEL_WIDTH)
    print_wrapped(console, Text(f"artifact    {job['result']['artifact_dir']}"), LABEL_WIDTH)
    serve = wrap_command(console, locate_serve(serve_of(decision, job), job), LABEL_WIDTH)
    for index, part in enumerate(serve):
        label = "" if index else "serve"
        console.print(Text(f"{label:<{LABEL_WIDTH}}{part}", style="cyan"), soft_wrap=True)
    record = f"record      decision {job['decision_id']}, job {job['job_id']}"
    print_wrapped(console, Text(record, style="dim"), LABEL_WIDTH)


def tabulate_figures(rows: Iterable[Mapping[str, Any]]) -> Table:
    """One line a figure: low, likely, high as promised, and what was measured."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "low", "predicted", "high", "measured"):
        table.add_column(heading, justify="left" if not heading else "right", overflow="fold")
    by_name = {row["name"]: row for row in rows}
    for name, label in LABELS.items():
        if name not in by_name:
            continue
        row = by_name[name]
        cells = (row["predicted_low"], row["predicted"], row["predicted_high"])
        table.add_row(
            label,
            *(format_figure(value, row["unit"]) for value in cells),
            Text(format_figure(row["measured"], row["unit"]), style="bold"),
        )
    return table


def format_figure(value: float | None, unit: str) -> str:
    """A figure with its unit; a dash where nothing was promised."""
    if value is None:
        return "–"
    if unit == "bytes":
        return format_gib(value) if value >= 1 << 30 else f"{value / (1 << 20):.1f} MiB"
    if unit == "minutes":
        return format_seconds(60 * value)
    if unit == "%":
        return f"{value:+.2f} %"
    if unit == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.3g} {unit}"


def serve_of(decision: Mapping[str, Any], job: Mapping[str, Any]) -> str:
    """The serve command of the candidate that the job made."""
    names = ("scheme", "method", "format", "group_size")
    made = tuple(job["specification"][name] for name in names)
    for candidate in (decision["chosen"], *decision["alternatives"]):
        if tuple(candidate[name] for name in names) == made:
            return str(candidate["serve"])
    return str(decision["chosen"]["serve"])


def locate_serve(command: str, job: Mapping[str, Any]) -> str:
    """The serve command with the path where the artifact really lies."""
    folder = Path(job["result"]["artifact_dir"])
    files = [file["path"] for file in job["result"]["manifest"].get("files", ())]
    single = [name for name in files if name.endswith(".gguf")]
    path = folder / single[0] if single else folder
    return shlex.join(str(path) if part.startswith("./") else part for part in shlex.split(command))
