"""Predicted beside measured, in units that a person reads."""

import pytest

from planner.cli.making import explain_end
from planner.cli.outcome import format_figure, locate_serve
from planner.domain.errors import JobFailed, MachineRefused


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        pytest.param(None, "bytes", "–", id="nothing was promised"),
        pytest.param(105_500_000, "bytes", "100.6 MiB", id="below a GiB"),
        pytest.param(40 * 2**30, "bytes", "40.0 GiB", id="above a GiB"),
        pytest.param(0.5, "minutes", "30 s", id="half a minute"),
        pytest.param(1.9, "%", "+1.90 %", id="worse"),
        pytest.param(-0.2, "%", "-0.20 %", id="better"),
        pytest.param(0.885, "share", "88.5 %", id="a share"),
        pytest.param(27.04, "tokens/s", "27 tokens/s", id="a rate"),
    ],
)
def test_figures_are_shown_with_their_unit(value, unit, shown):
    assert format_figure(value, unit) == shown


def a_job(files):
    return {
        "result": {
            "artifact_dir": "/made/my model",
            "manifest": {"files": [{"path": path} for path in files]},
        }
    }


def test_the_serve_command_names_the_file_where_it_lies():
    command = "llama-server -m ./my-model-Q8_0.gguf -c 8192"
    assert (
        locate_serve(command, a_job(["model.gguf"])) == "llama-server -m '/made/my model/model.gguf' -c 8192"
    )


def test_the_serve_command_names_the_folder_where_the_engine_takes_one():
    command = "vllm serve ./my-model-w4a16 --max-model-len 8192"
    job = a_job(["config.json", "model.safetensors"])
    assert locate_serve(command, job) == "vllm serve '/made/my model' --max-model-len 8192"


@pytest.mark.parametrize(
    ("code", "kind", "exit_status"),
    [
        pytest.param("preflight.disk", MachineRefused, 1, id="too little disk"),
        pytest.param("host.disk_full", MachineRefused, 1, id="the disk filled up"),
        pytest.param("backend.killed", JobFailed, 6, id="the backend was killed"),
        pytest.param("quality.runaway", JobFailed, 6, id="the artifact is ruined"),
    ],
)
def test_what_the_machine_refused_is_not_the_work_failing(code, kind, exit_status):
    error = explain_end({"job_id": "j-1", "error": {"code": code, "message": "It did."}})
    assert type(error) is kind
    assert (error.code, error.exit_status) == (code, exit_status)
