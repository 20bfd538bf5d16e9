"""Whatever is stopped in the middle of a job: no process is left, nothing half-made, and the home opens again."""

import json
import os
import pty
import signal
import time

import pytest

from planner.live_server import find_live_server

pytestmark = pytest.mark.slow


@pytest.fixture
def ask(tiny_checkpoint):
    return ("quantize", f"{tiny_checkpoint} for cpu", "--scheme", "Q8_0", "--yes")


@pytest.fixture
def hanging(shell, ask):
    """A job that hangs in its backend, begun and well under way."""
    shell.behave("HANGS")
    command = shell.start(*ask)
    shell.wait_until(lambda: list(shell.home.glob("artifacts/*.partial-*/half.gguf")))
    yield command
    command.kill()
    command.communicate()


def the_job(shell):
    (job,) = shell.ask("jobs")["jobs"]
    return job


def test_a_good_job_ends_with_its_processes(shell, ask):
    outcome = json.loads(shell.run(*ask, "--json"))
    assert outcome["state"] == "completed"
    assert shell.artifacts() == ["tiny-Q8_0"]
    assert shell.processes() == {}
    assert not (shell.home / "server.json").exists()


def test_the_same_job_again_takes_another_name(shell, ask):
    first = json.loads(shell.run(*ask, "--json"))
    second = json.loads(shell.run(*ask, "--json"))
    assert shell.artifacts() == ["tiny-Q8_0", f"tiny-Q8_0-{second['job_id']}"]
    assert first["artifact_dir"] != second["artifact_dir"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_stop_cancels_the_job_and_leaves_nothing(shell, hanging, number):
    hanging.send_signal(number)
    _, complaints = hanging.communicate(timeout=30)
    assert hanging.returncode == 130
    assert "nothing will be published" in complaints
    assert "Traceback" not in complaints
    assert shell.processes() == {}
    assert shell.artifacts() == []
    assert the_job(shell)["state"] == "cancelled"


def test_a_service_killed_in_the_middle_is_opened_again_and_the_job_goes_on(shell, hanging):
    killed = shell.find_process("main serve")
    os.kill(killed, signal.SIGKILL)
    again = shell.wait_until(lambda: find_live_server(shell.home), 30)
    assert again.pid != killed
    assert the_job(shell)["state"] == "claimed"
    hanging.send_signal(signal.SIGINT)
    hanging.communicate(timeout=30)
    assert hanging.returncode == 130
    assert shell.processes() == {}
    assert the_job(shell)["state"] == "cancelled"
    assert shell.ask("replay", the_job(shell)["decision_id"])["identical"]


def test_a_service_killed_while_a_question_waits_is_opened_again_by_the_answer(shell, ask):
    ours, theirs = pty.openpty()
    command = shell.start(*(word for word in ask if word != "--yes"), stdin=theirs)
    executor = shell.wait_until(lambda: [words for words in shell.processes().values() if "--once" in words])
    os.kill(shell.find_process("main serve"), signal.SIGKILL)
    time.sleep(3)
    assert executor[0] in shell.processes().values()
    os.write(ours, b"y\n")
    _, complaints = command.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert command.returncode == 0, complaints
    assert shell.artifacts() == ["tiny-Q8_0"]
    assert shell.processes() == {}


def test_a_second_quantize_outlives_the_first_that_was_killed(shell, hanging, ask):
    shell.behave("GOOD")
    second = shell.start(*ask)
    shell.wait_until(lambda: len(shell.ask("jobs")["jobs"]) == 2)
    hanging.kill()
    _, complaints = second.communicate(timeout=60)
    assert second.returncode == 0, complaints
    shell.wait_until(lambda: not shell.processes())


def test_a_killed_command_takes_its_processes_with_it(shell, hanging):
    hanging.kill()
    hanging.wait()
    shell.wait_until(lambda: not shell.processes())
    assert shell.artifacts() == []
    # Service and executor end together: whether the executor's last word still arrived is chance.
    assert the_job(shell)["state"] in {"claimed", "failed"}


def test_a_killed_executor_is_noticed_and_its_remains_are_swept_up(shell, hanging, ask):
    os.kill(shell.find_process("main executor"), signal.SIGKILL)
    _, complaints = hanging.communicate(timeout=60)
    assert hanging.returncode == 6
    assert "[executor.died]" in complaints
    shell.wait_until(lambda: not shell.processes())
    shell.behave("GOOD")
    shell.run(*ask)
    assert shell.artifacts() == ["tiny-Q8_0"]


def test_a_backend_that_refuses_is_quoted(shell, ask):
    shell.behave("REFUSES")
    output = shell.run(*ask, "--json", exit_status=6)
    error = json.loads(output)["error"]
    assert error["code"] == "backend.missing_shard"
    assert error["message"].startswith("model-2.safetensors is missing. Download it again. See /")
    assert shell.artifacts() == []
    assert the_job(shell)["state"] == "failed"


def test_a_second_service_on_the_same_home_is_refused(shell):
    service = shell.start("serve", "--port", "0")
    try:
        shell.wait_until((shell.home / "server.json").exists)
        assert "[service.running]" in shell.start("serve", "--port", "0").communicate()[1]
        assert shell.ask("plan", "demo for cpu")["decision_id"].startswith("d-")
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=20)
    assert service.returncode == 0
    assert not (shell.home / "server.json").exists()
    assert len(shell.ask("decisions")["decisions"]) == 1


def test_a_server_file_that_a_killed_service_left_is_ignored(shell):
    service = shell.start("serve", "--port", "0")
    shell.wait_until((shell.home / "server.json").exists)
    service.kill()
    service.communicate()
    assert (shell.home / "server.json").exists()
    assert (shell.home / "server.json").stat().st_mode & 0o777 == 0o600
    assert shell.ask("decisions")["decisions"] == []
