"""A whole job against a backend that is a real process: it publishes, or it leaves nothing."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from executors.errors import ArtifactRejected, BackendFailed, JobCancelled, JobRefused
from executors.process import bare_environment
from executors.progress import Teller

NAME = "tiny-good-rtn-j1"


def running(needle):
    """Command lines of living processes that mention the text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if needle in line and state != "Z":
                found.append(line)
    return found


def assert_nothing_left(artifacts):
    """No artifact, no partial folder, no lock."""
    assert list(artifacts.iterdir()) == []


def test_publishes_with_a_manifest_whose_hashes_match(run_fake, artifacts):
    done = run_fake("GOOD")
    folder = artifacts / NAME
    assert done["artifact_dir"] == str(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == done["manifest"]
    assert manifest["decision_id"] == "d-7f3a"
    assert manifest["backend"]["tool_versions"] == {"fake": "1"}
    [file] = manifest["files"]
    content = (folder / "model.gguf").read_bytes()
    assert file == {
        "path": "model.gguf",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert sorted(path.name for path in artifacts.iterdir()) == [NAME]


def test_measures_sizes_scores_minutes_and_memory_flat(run_fake):
    measurement = run_fake("GOOD")["measurement"]
    # 24 bytes of head, 8 + 1 of name, 4 + 8 + 4 + 8 of table, padded to 32: 64; then 32 of data.
    assert measurement["artifact_bytes"] == 96
    assert measurement["tensor_data_bytes"] == 32
    assert measurement["perplexity"] == 5.25
    assert measurement["quantize_minutes"] >= 0
    assert measurement["peak_ram_bytes"] > 1
    assert {name for name, value in measurement.items() if isinstance(value, dict)} == {
        "artifact_files", "evaluated_on",
    }  # fmt: skip


def test_says_what_it_was_evaluated_on(run_fake):
    assert run_fake("GOOD")["measurement"]["evaluated_on"] == {"engine": "fake", "device_kind": "cpu"}


def test_tells_stages_with_seconds_left(run_fake):
    run_fake("GOOD")
    stages = [event for event in run_fake.events if event["event"] == "stage"]
    assert list(dict.fromkeys(event["stage"] for event in stages)) == [
        "environment", "quantize", "evaluate", "publish",
    ]  # fmt: skip
    assert all("seconds_left" in event for event in stages)
    assert stages[-1]["done"] == stages[-1]["total"] == 1


def test_a_job_published_before_is_answered_from_its_manifest(run_fake):
    first = run_fake("GOOD")
    assert run_fake("GOOD") == first
    assert run_fake.events == []


def test_refuses_a_destination_that_another_job_published(run_fake):
    run_fake("GOOD", artifact_name="shared")
    with pytest.raises(JobRefused) as refusal:
        run_fake("GOOD", artifact_name="shared", job_id="j2")
    assert refusal.value.code == "publish.exists"
    assert "j1" in refusal.value.message


@pytest.mark.parametrize(
    ("scheme", "kind", "code"),
    [
        pytest.param("REFUSES", BackendFailed, "backend.missing_shard", id="its-own-error"),
        pytest.param("CRASHES", BackendFailed, "backend.crashed", id="segmentation-fault"),
        pytest.param("KILLED", BackendFailed, "backend.killed", id="killed-for-memory"),
        pytest.param("NOTHING", BackendFailed, "backend.no_result", id="no-result"),
        pytest.param("NO_FILES", BackendFailed, "backend.no_files", id="promised-files-missing"),
        pytest.param("RUINED", ArtifactRejected, "quality.runaway", id="runaway-perplexity"),
        pytest.param("NOWHERE", ArtifactRejected, "quality.not_measured", id="evaluated-nobody-knows-where"),
        pytest.param("NOT_FINITE", ArtifactRejected, "quality.not_measured", id="perplexity-is-nan"),
    ],
)
def test_leaves_nothing_when_it_fails(run_fake, artifacts, scheme, kind, code):
    with pytest.raises(kind) as failure:
        run_fake(scheme)
    assert failure.value.code == code
    assert_nothing_left(artifacts)


def test_a_looser_limit_publishes_a_poor_artifact(run_fake):
    assert run_fake("RUINED", max_perplexity_ratio=100_000)["measurement"]["perplexity"] == 434273.0


def test_a_silent_backend_is_ended(run_fake, artifacts):
    with pytest.raises(BackendFailed) as failure:
        run_fake("SILENT", silence_seconds=0.5)
    assert failure.value.code == "backend.silent"
    assert_nothing_left(artifacts)


def test_a_backend_that_takes_too_long_is_ended(run_fake, artifacts):
    with pytest.raises(BackendFailed) as failure:
        run_fake("SILENT", timeout_seconds=0.5)
    assert failure.value.code == "backend.timeout"
    assert_nothing_left(artifacts)


def test_garbage_on_the_output_is_warned_about_once_and_survived(run_fake):
    run_fake("GARBAGE")
    warnings = [event["message"] for event in run_fake.events if event["event"] == "warning"]
    assert len(warnings) == 1
    assert "Loading weights" in warnings[0]


def test_what_a_backend_leaves_running_is_ended(run_fake):
    run_fake("FORKS")
    assert running("import time; time.sleep(3600)") == []


def test_cancel_ends_a_backend_that_ignores_terminate_and_leaves_nothing(run_fake, artifacts, fake_cache):
    cancel = threading.Event()

    def cancel_while_saving(event):
        if event.get("stage") == "save":
            cancel.set()

    with pytest.raises(JobCancelled) as cancelled:
        run_fake("HANGS", cancel=cancel, on_event=cancel_while_saving)
    assert cancelled.value.code == "job.cancelled"
    assert_nothing_left(artifacts)
    assert running(str(fake_cache)) == []


def test_a_killed_executor_leaves_a_partial_folder_that_the_next_job_sweeps_up(
    run_fake, artifacts, fake_cache, fake_job, fake_backends, library
):
    """The executor is a process of its own here, killed while the backend writes."""
    program = """if True:
        import json, sys, threading
        from functools import partial
        from pathlib import Path
        from executors import jobs
        job, cache, artifacts, backends, library = json.loads(sys.argv[1])
        jobs.open_standard_texts = partial(jobs.open_standard_texts, stdlib=Path(library))
        tell = lambda event: print(event.get("stage"), flush=True)
        jobs.run_job(job, cache=Path(cache), artifacts=Path(artifacts), on_event=tell, cancel=threading.Event(),
                backends_folder=Path(backends))
    """
    run_fake("GOOD")  # the environment exists
    job = fake_job("HANGS", job_id="j9")
    arguments = json.dumps([job, *map(str, (fake_cache, artifacts, fake_backends, library))])
    with subprocess.Popen(
        [sys.executable, "-c", program, arguments], stdout=subprocess.PIPE, text=True
    ) as executor:
        assert any(line.strip() == "save" for line in executor.stdout)
        partial = artifacts / "tiny-hangs-rtn-j9.partial-j9"
        orphan = int((partial / "half.gguf").read_text())
        run_fake("GOOD", job_id="j10")
        assert partial.is_dir(), "a living executor's folder is left alone"
        executor.send_signal(signal.SIGKILL)
    run_fake("GOOD", job_id="j11")
    assert not partial.exists()
    # jobwire.py ends a real backend with its executor (test_jobwire.py); the fake does without it.
    os.kill(orphan, signal.SIGKILL)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"job_id": "../../etc"}, "job.bad", id="id-that-climbs"),
        pytest.param({"threads": 0}, "job.bad", id="no-threads"),
        pytest.param({"flavour": "mild"}, "job.bad", id="unknown-field"),
        pytest.param({"backend": "magic"}, "backend.unknown", id="unknown-backend"),
        pytest.param({"group_size": 64}, "backend.cannot_make", id="group-where-there-is-none"),
        pytest.param({"method": "awq"}, "backend.cannot_make", id="method-it-has-not"),
        pytest.param({"model_dir": "/nowhere"}, "model.not_found", id="no-checkpoint"),
        pytest.param({"needs": {"disk_bytes": 10**18}}, "preflight.disk", id="disk"),
        pytest.param({"needs": {"ram_bytes": 10**18}}, "preflight.ram", id="memory"),
        pytest.param({"needs": {"vram_bytes": 2}, "free_vram_bytes": 1}, "preflight.vram", id="accelerator"),
    ],
)
def test_refuses_before_anything_is_started(run_fake, artifacts, changes, code):
    with pytest.raises(JobRefused) as refusal:
        run_fake("GOOD", **changes)
    assert refusal.value.code == code
    assert run_fake.events == []
    assert not artifacts.exists() or list(artifacts.iterdir()) == []


def test_uses_the_standard_library_where_no_calibration_file_is_given(run_fake):
    manifest = run_fake("GOOD", method="gptq", group_size=32)["manifest"]
    assert manifest["calibration"]["source"] == "Python standard library docstrings"
    assert manifest["calibration"]["sha256"] != manifest["evaluation"]["sha256"]


def test_names_a_persons_own_calibration_file_by_its_hash(run_fake, tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text('{"text": "one"}\n{"text": "two"}\n')
    manifest = run_fake("GOOD", method="gptq", group_size=32, calibration_file=str(file))["manifest"]
    assert manifest["calibration"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest["calibration"]["source"] == "mine.jsonl"


def test_starts_without_the_tokens_of_its_own_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("BITWRIGHT_TOKEN", "secret")
    environment = bare_environment(tmp_path, tmp_path, 2)
    assert "secret" not in environment.values()
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["HOME"] == str(tmp_path)


def test_time_left_is_none_until_something_was_done(run_fake):
    told = []
    tell = Teller(told.append)
    tell({"event": "stage", "stage": "calibrate", "done": 0, "total": 2, "unit": "layers"})
    time.sleep(0.25)
    tell({"event": "stage", "stage": "calibrate", "done": 1, "total": 2, "unit": "layers"})
    tell({"event": "stage", "stage": "calibrate", "done": 2, "total": 2, "unit": "layers"})
    assert told[0]["seconds_left"] is None
    assert 0.2 <= told[1]["seconds_left"] <= 0.6
    assert told[2]["seconds_left"] == 0.0
