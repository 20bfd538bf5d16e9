"""The story on this machine: plan, quantize, measure, believe it next time, show, replay, audit."""

import json
import os
from pathlib import Path

import pytest
from platformdirs import user_cache_path

pytestmark = pytest.mark.slow

ASK = "demo for this machine"


@pytest.fixture
def shell(home, real_shell):
    """The real backends, in the cache that the demo uses too: environments are built there once."""
    return real_shell(home, Path(os.environ.get("BITWRIGHT_CACHE") or user_cache_path("bitwright")))


@pytest.mark.parametrize(
    ("scheme", "engine", "weights"),
    [
        pytest.param("Q4_K_M", "llama.cpp", "model.gguf", id="llamacpp makes Q4_K_M"),
        pytest.param("FP8_DYNAMIC", "transformers", "model.safetensors", id="llmcompressor makes FP8"),
    ],
)
def test_a_real_model_is_planned_made_measured_and_believed(shell, scheme, engine, weights):
    # Ask → plan → approve → make → measure, by a service and an executor that end with the command.
    outcome = json.loads(
        shell.run("quantize", ASK, "--scheme", scheme, "--engine", engine, "--yes", "--json")
    )
    artifact = Path(outcome["artifact_dir"])
    assert (artifact / weights).is_file()
    assert shell.processes() == {}

    # What was promised of the file is what was written: within half a percent.
    promised, measured = figure(outcome, "artifact_bytes")
    assert promised == pytest.approx(measured, rel=0.005)
    assert outcome["measurement"]["artifact_files"][weights] == (artifact / weights).stat().st_size

    # It works: it speaks, and is not much more perplexed than the model it was made from.
    assert outcome["measurement"]["generated"].strip()
    assert 0.95 < outcome["measurement"]["perplexity_ratio"] < 1.25
    assert str(artifact) in outcome["serve"]

    # The record: predicted beside measured, the same decision again to the bit, and SQL over all of it.
    shown = shell.ask("decisions", "show", outcome["decision_id"])
    assert shown["jobs"][0]["state"] == "completed"
    assert {row["name"] for row in shown["measurements"]} >= {"artifact_bytes", "job_minutes", "load_bytes"}
    replayed = shell.ask("replay", outcome["decision_id"])
    assert (replayed["identical"], replayed["record_intact"]) == (True, True)
    query = "SELECT name, predicted, measured FROM predicted_vs_measured WHERE name = 'artifact_bytes'"
    assert shell.ask("audit", query)["rows"] == [["artifact_bytes", promised, measured]]

    # The next plan believes it.
    chosen = shell.ask("plan", f"{ASK} in {scheme} with {engine}")["chosen"]
    assert chosen["quality"]["perplexity"]["basis"] == "measured"
    assert chosen["job"]["basis"] == "measured"
    assert chosen["quality"]["perplexity"]["loss"] == pytest.approx(
        outcome["measurement"]["perplexity_ratio"] - 1, rel=1e-4
    )


def figure(outcome, name):
    """Promised and measured of one figure."""
    return next(
        (row["predicted"], row["measured"]) for row in outcome["predicted_vs_measured"] if row["name"] == name
    )
