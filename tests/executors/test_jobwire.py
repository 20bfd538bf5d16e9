"""What a backend script's own side of the protocol promises."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BACKENDS = Path(__file__).parents[2] / "executors" / "backends"


def run_work(body, job="{}"):
    """Run a script whose work is the given body; its status and its events."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    start = "import os, sys\nfrom jobwire import JobError, run_script\ndef work(job, wire):\n"
    program = f"{start}{lines}\nrun_script(work)"
    environment = {**os.environ, "PYTHONPATH": str(BACKENDS)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=job,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_nothing_but_events_reaches_standard_output():
    status, events, log = run_work("print('a library')\nos.system('echo a C library')\nreturn {'files': []}")
    assert (status, events) == (0, [{"event": "result", "files": []}])
    assert "a library" in log
    assert "a C library" in log


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param("raise JobError('backend.scheme', 'No.')", "backend.scheme", id="refusal"),
        pytest.param("raise ValueError('odd\\ntraceback')", "backend.unexpected", id="anything-else"),
        pytest.param("raise MemoryError", "backend.out_of_memory", id="memory"),
        pytest.param("open('/nowhere/x')", "backend.io", id="file"),
        pytest.param("return {'perplexity': float('nan')}", "backend.unexpected", id="nan-is-no-json"),
    ],
)
def test_every_failure_is_one_error_event_and_status_one(body, code):
    status, events, _ = run_work(body)
    assert status == 1
    assert [event["event"] for event in events] == ["error"]
    assert events[0]["code"] == code
    assert "\n" not in events[0]["message"]


@pytest.mark.parametrize("job", ["", "{", "[1]"])
def test_a_job_that_is_no_object_is_refused(job):
    status, events, _ = run_work("return {}", job)
    assert (status, events[0]["code"]) == (1, "backend.bad_job")


def test_a_script_ends_when_its_executor_is_killed(tmp_path):
    script = tmp_path / "sleeps.py"
    script.write_text(
        "import os, time\nfrom jobwire import run_script\n"
        "def work(job, wire):\n    wire.stage('load', os.getpid(), 1, 'tensors')\n    time.sleep(3600)\n"
        "run_script(work)"
    )
    program = f"""if True:
        import threading
        from pathlib import Path
        from executors.process import run_script
        run_script(Path({sys.executable!r}), Path({str(script)!r}), {{}},
            shared_modules=Path({str(BACKENDS)!r}), scratch=Path({str(tmp_path)!r}),
            log=Path({str(tmp_path)!r}) / "log", cancel=threading.Event(),
            on_event=lambda event: print(event["done"], flush=True), timeout_seconds=60, silence_seconds=60)
    """
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as executor:
        pid = int(executor.stdout.readline())
        assert is_alive(pid)
        executor.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def is_alive(pid):
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
