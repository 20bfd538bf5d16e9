"""What can break while a job runs is broken for real: nothing is lost, published twice or left behind.

Services, executors and backends are processes here, which are killed, frozen and started again.
"""

import json
import os
import signal
import socket
import time
from types import SimpleNamespace

import pytest

from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.requests import JobSubmission
from planner.live_server import read_server

pytestmark = pytest.mark.slow

LEASE_SECONDS = 5
AWAY_SECONDS = 3
"""Longer than an executor's client has patience."""


@pytest.fixture
def site(shell, tiny_checkpoint, tmp_path):
    """A service on a port of its own and executors, each a process with its folder; all ended at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shell.environment |= {"BITWRIGHT_LEASE_SECONDS": str(LEASE_SECONDS), "BITWRIGHT_SILENCE_SECONDS": "2"}
    running = []

    def serve():
        service = shell.start("serve", "--port", port, "--json")
        running.append(service)
        assert json.loads(service.stdout.readline())["pid"] == service.pid
        return service

    def work(host, *more):
        folder = tmp_path / host
        options = ["--host", host, "--artifacts", str(folder), *more]
        executor = shell.start("executor", "--server", f"http://127.0.0.1:{port}", *options)
        running.append(executor)
        return SimpleNamespace(process=executor, folder=folder, host=host)

    def connect():
        server = read_server(shell.home)
        return Client(server.url, server.token)

    def submit(*, is_approved=True):
        with connect() as client:
            ask = {"ask": f"{tiny_checkpoint} for cpu", "scheme": "Q8_0", "must_quantize": True}
            decision = client.plan(ask)["decision_id"]
            job = client.submit_job(JobSubmission(decision_id=decision))
            return client.approve_job(job.job_id).job_id if is_approved else job.job_id

    def find(job_id):
        with connect() as client:
            return client.find_job(job_id)

    yield SimpleNamespace(
        shell=shell,
        serve=serve,
        work=work,
        submit=submit,
        find=find,
        connect=connect,
        let_go=(tiny_checkpoint.parent / "go").touch,
    )
    for process in reversed(running):
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def wait_for_state(site, job_id, state, seconds=30):
    def has_state():
        try:
            return site.find(job_id).state == state
        except ContractError:
            return False

    site.shell.wait_until(has_state, seconds)


def wait_for_half(site, executor):
    """Wait until the backend is at work; its process id."""

    def read_half():
        written = [path.read_text() for path in executor.folder.glob("*.partial-*/half.gguf")]
        return written and written[0]

    return int(site.shell.wait_until(read_half))


def list_claims(site, job_id):
    """Hosts that took the job, in order."""
    with site.connect() as client:
        moves = [event.event for event in client.follow_job(job_id) if event.event["event"] == "state"]
    return [move["host"] for move in moves if move["state"] == "claimed"]


def list_hosts(site):
    with site.connect() as client:
        return [host.name for host in client.list_hosts()]


def listing(executor):
    return sorted(path.name for path in executor.folder.iterdir()) if executor.folder.is_dir() else []


def backends_of(site):
    return [command for command in site.shell.processes().values() if "quantize.py" in command]


def test_a_service_that_is_gone_while_an_executor_works_gets_the_result_when_it_is_back(site):
    site.shell.behave("WAITS")
    service, executor = site.serve(), site.work("gpu-1")
    job_id = site.submit()
    wait_for_half(site, executor)
    service.kill()
    service.wait()
    waiting = site.work("gpu-2")
    site.let_go()
    # All is made, checked and written, and waits unpublished for a service that stays away longer than a lease.
    site.shell.wait_until(lambda: list(executor.folder.glob("*.partial-*/manifest.json")))
    time.sleep(LEASE_SECONDS + 1)
    assert not (executor.folder / "tiny-Q8_0").exists()
    site.serve()
    wait_for_state(site, job_id, "completed")
    assert listing(executor) == ["tiny-Q8_0"]
    assert list_claims(site, job_id) == ["gpu-1"]
    with site.connect() as client:
        shown = client.show_decision(site.find(job_id).decision_id)
    assert any(row["name"] == "artifact_bytes" for row in shown["measurements"])
    assert listing(waiting) == []
    assert executor.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_an_executor_without_a_job_waits_for_a_service_that_went_away(site, number):
    service, executor = site.serve(), site.work("gpu-1")
    site.shell.wait_until(lambda: list_hosts(site) == ["gpu-1"])
    service.send_signal(number)
    service.wait()
    time.sleep(AWAY_SECONDS)
    assert executor.process.poll() is None
    site.serve()
    wait_for_state(site, site.submit(), "completed")
    assert listing(executor) == ["tiny-Q8_0"]


def test_an_executor_that_started_before_its_service_finds_it_and_its_token(site):
    executor = site.work("gpu-1")
    time.sleep(AWAY_SECONDS)
    site.serve()
    wait_for_state(site, site.submit(), "completed")
    assert listing(executor) == ["tiny-Q8_0"]


def test_an_executor_for_one_job_waits_for_a_service_that_went_away_before_the_job_was_approved(site):
    service = site.serve()
    job_id = site.submit(is_approved=False)
    executor = site.work("gpu-1", "--once", job_id)
    time.sleep(AWAY_SECONDS)
    service.kill()
    service.wait()
    time.sleep(AWAY_SECONDS)
    assert executor.process.poll() is None
    site.serve()
    with site.connect() as client:
        client.approve_job(job_id)
    wait_for_state(site, job_id, "completed")
    assert executor.process.wait(30) == 0
    assert listing(executor) == ["tiny-Q8_0"]


def test_a_killed_executor_takes_its_backend_along_and_another_host_finishes_the_job(site):
    site.shell.behave("WAITS")
    site.serve()
    first = site.work("gpu-1")
    job_id = site.submit()
    backend = wait_for_half(site, first)
    first.process.kill()
    site.shell.wait_until(lambda: backend not in site.shell.processes())
    second = site.work("gpu-2")
    site.let_go()
    wait_for_state(site, job_id, "completed")
    assert list_claims(site, job_id) == ["gpu-1", "gpu-2"]
    assert listing(second) == ["tiny-Q8_0"]
    # What the killed one left is half-made, called so, and swept up by the next job on that host.
    assert all(".partial-" in name for name in listing(first))
    second.process.terminate()
    second.process.communicate(timeout=30)
    again = site.work("gpu-1")
    wait_for_state(site, site.submit(), "completed")
    assert listing(again) == ["tiny-Q8_0"]


def test_a_killed_backend_fails_its_job_alone(site):
    site.shell.behave("WAITS")
    site.serve()
    executor = site.work("gpu-1")
    job_id = site.submit()
    os.kill(wait_for_half(site, executor), signal.SIGKILL)
    wait_for_state(site, job_id, "failed")
    assert site.find(job_id).error["code"] == "backend.killed"
    assert listing(executor) == []
    site.let_go()
    wait_for_state(site, site.submit(), "completed")


def test_a_service_killed_at_work_opens_again_with_all_that_was_told(site):
    site.shell.behave("WAITS")
    service, executor = site.serve(), site.work("gpu-1")
    job_id = site.submit()
    wait_for_half(site, executor)
    site.shell.wait_until(lambda: len(site.connect().follow_job(job_id).__next__().event) > 0)
    service.kill()
    service.wait()
    assert (site.shell.home / "server.json").exists()
    site.serve()
    assert site.find(job_id).state == "claimed"
    site.let_go()
    wait_for_state(site, job_id, "completed")
    assert site.shell.ask("replay", site.find(job_id).decision_id)["identical"]


def test_of_two_executors_exactly_one_gets_a_job(site):
    site.shell.behave("WAITS")
    site.serve()
    hosts = [site.work(f"gpu-{number}") for number in range(3)]
    time.sleep(2)  # all of them wait for work by now
    job_id = site.submit()
    site.shell.wait_until(lambda: site.find(job_id).state == "claimed")
    time.sleep(1)
    assert len(backends_of(site)) == 1
    site.let_go()
    wait_for_state(site, job_id, "completed")
    assert len(list_claims(site, job_id)) == 1
    assert sorted(name for host in hosts for name in listing(host)) == ["tiny-Q8_0"]


def test_a_frozen_executor_loses_its_job_and_does_not_publish_it_when_it_wakes(site):
    """A suspended machine: its lease ends, another host makes the artifact, then it wakes with its own half done."""
    site.shell.behave("WAITS")
    site.serve()
    frozen = site.work("gpu-1")
    job_id = site.submit()
    wait_for_half(site, frozen)
    frozen.process.send_signal(signal.SIGSTOP)
    other = site.work("gpu-2")
    wait_for_half(site, other)
    site.let_go()
    wait_for_state(site, job_id, "completed")
    frozen.process.send_signal(signal.SIGCONT)
    site.shell.wait_until(lambda: not backends_of(site) and listing(frozen) == [])
    assert (listing(other), site.find(job_id).host) == (["tiny-Q8_0"], "gpu-2")
    assert list_claims(site, job_id) == ["gpu-1", "gpu-2"]
    assert frozen.process.poll() is None


def test_a_second_service_on_the_same_home_is_refused_with_the_first_ones_pid(site):
    first = site.serve()
    second = site.shell.start("serve", "--port", "0")
    _, complaints = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"process {first.pid}" in complaints
    assert "[service.running]" in complaints
    assert read_server(site.shell.home).pid == first.pid


def test_a_cancelled_job_leaves_no_process_and_no_partial_folder(site):
    """The backend ignores SIGTERM."""
    site.shell.behave("HANGS")
    site.serve()
    executor = site.work("gpu-1")
    job_id = site.submit()
    backend = wait_for_half(site, executor)
    assert site.shell.ask("jobs", "cancel", job_id)["state"] == "cancelled"
    site.shell.wait_until(lambda: backend not in site.shell.processes() and listing(executor) == [])
    assert site.find(job_id).state == "cancelled"
    assert backends_of(site) == []


def test_a_backend_that_hangs_is_ended_by_its_executor(site):
    """BITWRIGHT_SILENCE_SECONDS is 2 here."""
    site.shell.behave("SILENT")
    site.serve()
    executor = site.work("gpu-1")
    job_id = site.submit()
    wait_for_state(site, job_id, "failed")
    assert site.find(job_id).error["code"] == "backend.silent"
    assert (listing(executor), backends_of(site)) == ([], [])
