"""Scoring keeps one model in memory at a time, also when the reference has to be made first."""

import json
import os
import subprocess
from pathlib import Path

import pytest

BACKENDS = Path(__file__).parents[2] / "executors" / "backends"

PROGRAM = """
import gc, json, sys, weakref
from contextlib import contextmanager
import numpy as np
from jobwire import run_script
from scoring import score_artifact

alive = weakref.WeakSet()

class Model:
    vocab_size, bos, load_bytes = 16, None, 77
    def __init__(self):
        self.myself = self  # as torch modules do: only the collector frees it
        alive.add(self)
    def tokenize(self, text): return [ord(letter) % 16 for letter in text]
    def detokenize(self, tokens): return "text"
    def ends_text(self, token): return False
    def score(self, window, first): return np.ones((len(window) - 1 - first, 16), dtype=np.float32)
    def start(self, tokens): return np.ones((1, 16), dtype=np.float32)
    def step(self, token): return self.start([token])

seen = []

@contextmanager
def open_named(name):
    seen.append([name, len(alive)])
    yield Model()

def work(job, wire):
    gc.disable()  # no luck: what is freed was freed on purpose
    scores = score_artifact(
        job, wire, "a tool", lambda: open_named("baseline"), lambda: open_named("artifact")
    )
    return {"seen": seen, "load_bytes": scores["load_bytes"]}

run_script(work)
"""


@pytest.fixture(scope="module")
def python(real_cache):
    """A Python that has numpy: a backend's."""
    found = sorted((real_cache / "environments").glob("ll*/bin/python"))
    if not found:
        pytest.skip("needs a backend's environment, built by the slow tests: scoring imports numpy")
    return found[0]


def test_the_baseline_is_freed_before_the_artifact_is_loaded(python, tmp_path):
    text = tmp_path / "text"
    text.write_text("held out " * 16)
    job = {
        "baseline_key": "k", "text_file": str(text), "reference_file": str(tmp_path / "reference"),
        "context_tokens": 16, "chunks": 2, "prompt": "x", "max_new_tokens": 2,
    }  # fmt: skip

    def run():
        environment = {**os.environ, "PYTHONPATH": str(BACKENDS)}
        done = subprocess.run(
            [python, "-c", PROGRAM],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        return json.loads(done.stdout.splitlines()[-1])

    # Each with how many models were in memory when it was about to be loaded.
    assert run()["seen"] == [["baseline", 0], ["artifact", 0]]
    again = run()
    assert (again["seen"], again["load_bytes"]) == ([["artifact", 0]], 77)
