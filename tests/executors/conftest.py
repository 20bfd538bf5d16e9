"""A fake backend that is a real process, a tiny checkpoint, and the shared cache for the slow tests."""

import os
import shutil
import sysconfig
import threading
from functools import partial
from pathlib import Path

import pytest

from executors.corpus import open_standard_texts
from executors.jobs import run_job

FAKE_BACKENDS = Path(__file__).parents[1] / "fakes" / "backends"


@pytest.fixture(scope="session")
def fake_cache(tmp_path_factory):
    """One cache for all fast tests, so that the fake backend's empty environment is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def checkpoint(tmp_path):
    """A folder that looks enough like a checkpoint for a backend that does not read it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def artifacts(tmp_path):
    """Where artifacts are published."""
    return tmp_path / "artifacts"


@pytest.fixture
def fake_backends():
    """The folder of the fake backend."""
    return FAKE_BACKENDS


@pytest.fixture
def fake_job(checkpoint):
    """Build a job for the fake backend, as the agent hands it over."""
    return lambda scheme, **changes: a_job(scheme, **{"model_dir": str(checkpoint), **changes})


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """A part of Python's standard library: reading all of it for its text takes seconds."""
    folder, whole = tmp_path_factory.mktemp("library"), Path(sysconfig.get_path("stdlib"))
    for name in ("email", "json", "urllib"):
        shutil.copytree(whole / name, folder / name)
    return folder


@pytest.fixture
def short_work(monkeypatch, library):
    """Little text is read; processes are looked at often, and ended soon when they do not want to."""
    monkeypatch.setattr("executors.jobs.open_standard_texts", partial(open_standard_texts, stdlib=library))
    monkeypatch.setattr("executors.supervise.POLL_SECONDS", 0.01)
    monkeypatch.setattr("executors.supervise.GRACE_SECONDS", 0.5)
    monkeypatch.setattr("executors.line.SEND_SECONDS", 0.05)


@pytest.fixture
def run_fake(fake_cache, artifacts, fake_job, short_work):
    """Run a job on the fake backend; the events it told are in `run_fake.events`."""

    def run(scheme, *, cancel=None, on_event=None, **changes):
        run.events.clear()

        def listen(event):
            run.events.append(event)
            if on_event is not None:
                on_event(event)

        return run_job(
            fake_job(scheme, **changes),
            cache=fake_cache,
            artifacts=artifacts,
            on_event=listen,
            cancel=cancel or threading.Event(),
            backends_folder=FAKE_BACKENDS,
        )

    run.events = []
    return run


def a_job(scheme="GOOD", **changes):
    """A job for the fake backend, as the agent hands it over."""
    return {
        "job_id": "j1",
        "decision_id": "d-7f3a",
        "model_id": "local/tiny",
        "model_dir": "/nowhere",
        "backend": "fake",
        "scheme": scheme,
        "method": "rtn",
        "format": "gguf",
        "group_size": None,
        "calibration_file": None,
        "calibration_samples": 4,
        "calibration_tokens": 64,
        "needs": {"ram_bytes": 1, "disk_bytes": 1, "vram_bytes": 0},
        "threads": 1,
        **changes,
    }


@pytest.fixture(scope="session")
def real_cache():
    """The cache that the demo uses too: environments and the demo model are built there once."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("BITWRIGHT_CACHE") or Path(root) / "bitwright")
