"""How long a plan with its record takes over REST, one at a time and eight at once, no two requests alike.

Run with `.venv/bin/python benchmarks/latency/rest.py`; exit status 1 when a limit is passed. Service and asker share
the machine's cores, so the asker is as light as Python has one. `--profile` prints where the planner spends its time
instead.
"""

import argparse
import cProfile
import itertools
import json
import os
import pstats
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from planner.main import open_workshop
from planner.settings import read_settings
from planner.usecases.plan_model import plan_model
from planner.usecases.read_ask import read_ask

COMMAND = Path(sys.executable).parent / "bitwright"
MODELS = (
    "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen3-32B",
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "Qwen/Qwen3-30B-A3B",
    "google/gemma-3-27b-it",
)
TARGETS = (
    "2x A6000",
    "RTX 4090",
    "4x A100 80GB",
    "2x L40S",
    "H100 SXM",
    "2x RTX 3090",
    "M2 Max 96GB",
    "8x H100 SXM",
)
CONTEXTS = (4096, 6144, 8192, 10240, 12288, 16384, 20480, 24576)
CONCURRENCIES = (1, 2, 3, 4, 6, 8, 12, 16)
OBJECTIVES = ("balanced", "quality", "speed", "memory")
WARM_UP = 64
AT_ONCE = 8
ALONE = 200
TOGETHER = 800
LIMITS_MS = {"one at a time, p50": 10.0, "8 at once, p50": 40.0, "8 at once, p99": 120.0}


def make_asks(seed: int) -> Iterator[dict[str, object]]:
    """Distinct bodies of POST /v1/plans in a shuffled order."""
    grid = list(itertools.product(MODELS, TARGETS, CONTEXTS, CONCURRENCIES, OBJECTIVES))
    random.Random(seed).shuffle(grid)  # noqa: S311 - an order, no secret
    for model, target, context, concurrency, objective in grid:
        yield {
            "ask": f"{model} for {target}",
            "context": context,
            "concurrency": concurrency,
            "objective": objective,
        }


def ask_all(live: Mapping[str, str], asks: Iterable[dict[str, object]]) -> list[float]:
    """Milliseconds of each plan, asked one after another over one connection."""
    times = []
    headers = {"Authorization": f"Bearer {live['token']}", "Content-Type": "application/json"}
    with closing(connect(live)) as connection:
        for ask in asks:
            body = json.dumps(ask)
            start = time.perf_counter()
            connection.request("POST", "/v1/plans", body, headers)
            response = connection.getresponse()
            answer = response.read()
            times.append((time.perf_counter() - start) * 1000)
            assert response.status == 200, answer
            assert b'"decision_id":"d-' in answer, "a plan without its record"
    return times


def ask_together(live: Mapping[str, str], asks: Sequence[dict[str, object]]) -> list[float]:
    """Milliseconds of each plan, asked by eight clients that never wait."""
    times: list[float] = []

    def ask(share: Sequence[dict[str, object]]) -> None:
        times.extend(ask_all(live, share))

    threads = [threading.Thread(target=ask, args=(asks[number::AT_ONCE],)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == len(asks), "an asker was refused"
    return times


def connect(live: Mapping[str, str]) -> HTTPConnection:
    """A connection to the service, opened when it is used."""
    return HTTPConnection(urlsplit(live["url"]).netloc, timeout=60)


def measure(home: Path) -> dict[str, float]:
    """Start a service on a new home, ask, and stop it: figures in milliseconds."""
    environment = {**os.environ, "BITWRIGHT_HOME": str(home)}
    service = subprocess.Popen(
        [COMMAND, "serve", "--port", "0"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        live = wait_for_server(home, service)
        asks = make_asks(seed=1)
        ask_all(live, itertools.islice(asks, WARM_UP))
        alone = ask_all(live, itertools.islice(asks, ALONE))
        together = ask_together(live, list(itertools.islice(asks, TOGETHER)))
    finally:
        service.terminate()
        service.wait(30)
    return {
        "one at a time, p50": statistics.median(alone),
        "one at a time, p99": statistics.quantiles(alone, n=100)[98],
        "8 at once, p50": statistics.median(together),
        "8 at once, p99": statistics.quantiles(together, n=100)[98],
    }


def wait_for_server(home: Path, service: subprocess.Popen[bytes]) -> dict[str, str]:
    """What the service wrote about itself once it listens.

    Raises:
        RuntimeError: it ended, or said nothing within half a minute.
    """
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and service.poll() is None:
        try:
            live: dict[str, str] = json.loads((home / "server.json").read_text(encoding="utf-8"))
            with closing(connect(live)) as connection:
                connection.request("GET", "/health/live")
                connection.getresponse()
                return live
        except (OSError, ValueError, HTTPException):
            time.sleep(0.1)
    raise RuntimeError("the service did not start")


def print_profile(home: Path) -> None:
    """Where a plan with its record spends its time, in this process."""
    os.environ["BITWRIGHT_HOME"] = str(home)
    workshop = open_workshop(read_settings())
    asks = make_asks(seed=1)
    for ask in itertools.islice(asks, WARM_UP):
        plan_model(workshop, read_ask(ask))
    profile = cProfile.Profile()
    profile.enable()
    for ask in itertools.islice(asks, ALONE):
        plan_model(workshop, read_ask(ask))
    profile.disable()
    workshop.close()
    pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


def main() -> int:
    """Print the table.

    Returns:
        the exit status: 1 when a figure is beyond its limit.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="print the planner's own profile instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bitwright-rest-") as folder:
        if arguments.profile:
            print_profile(Path(folder))
            return 0
        figures = measure(Path(folder))
    print(f"{'POST /v1/plans, recorded':<28}{'measured':>12}{'limit':>10}")
    for name, figure in figures.items():
        limit = LIMITS_MS.get(name)
        shown = "" if limit is None else f"{limit:>7.0f} ms" + ("" if figure <= limit else "  over")
        print(f"{name:<28}{figure:>9.1f} ms{shown}")
    return int(any(figures[name] > limit for name, limit in LIMITS_MS.items()))


if __name__ == "__main__":
    sys.exit(main())
