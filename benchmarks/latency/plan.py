"""How long the shell waits for a plan, against the limits that are promised.

Run with `.venv/bin/python benchmarks/latency/plan.py`; exit status 1 when a limit is passed. Each figure is of
whole processes, start-up included, on an otherwise idle machine: the median of several runs, and the worst.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = Path(sys.executable).parent / "bitwright"
ASKS = ("qwen-72b for 2x A6000", "qwen3-8b for 4090", "llama 3.1 8b for m2 max 96gb", "demo for cpu")
WARM_LIMIT_S = 0.5
FIRST_LIMIT_S = 1.0
"""More than a warm plan, once, from an empty home."""
BATCH_ROWS = 2000
BATCH_LIMIT_S = 40.0
RUNS = 7


def time_command(home: Path, *arguments: str, text: str = "") -> float:
    """Seconds of one whole process."""
    start = time.perf_counter()
    subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, "BITWRIGHT_HOME": str(home)},
        input=text,
        text=True,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def measure(folder: Path) -> list[tuple[str, float, float, float]]:
    """(what, median, worst, limit) in seconds."""
    warm_home = folder / "warm"
    time_command(warm_home, "plan", ASKS[0], "--json")
    rows = []
    for ask in ASKS:
        times = [time_command(warm_home, "plan", ask, "--json") for _ in range(RUNS)]
        rows.append((f'plan "{ask}" --json', statistics.median(times), max(times), WARM_LIMIT_S))
    warm = rows[0][1]
    first = [time_command(folder / f"first{run}", "plan", ASKS[0], "--json") - warm for run in range(3)]
    rows.append(("an empty home costs more, once", statistics.median(first), max(first), FIRST_LIMIT_S))
    lines = "".join(json.dumps({"ask": ASKS[row % 3]}) + "\n" for row in range(BATCH_ROWS))
    batch = time_command(folder / "batch", "plan", "--batch", "-", text=lines)
    rows.append((f"--batch of {BATCH_ROWS:,} rows from an empty home", batch, batch, BATCH_LIMIT_S))
    return rows


def main() -> int:
    """Print the table.

    Returns:
        the exit status: 1 when a median is beyond its limit.
    """
    with tempfile.TemporaryDirectory(prefix="bitwright-latency-") as folder:
        rows = measure(Path(folder))
    print(f"{'':<52}{'median':>9}{'worst':>9}{'limit':>9}")
    for what, median, worst, limit in rows:
        verdict = "" if median <= limit else "  over"
        print(f"{what:<52}{median:>7.2f} s{worst:>7.2f} s{limit:>7.2f} s{verdict}")
    return int(any(median > limit for _, median, _, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
