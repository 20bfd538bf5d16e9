"""Commands that share one service: never two of them, none ended under another's feet, a killed one opened again."""

import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace

import pytest

import planner.api.service
from planner.cli.doctor import examine_database
from planner.cli.door import Session
from planner.cli.home_service import open_service
from planner.cli.processes import END_SECONDS
from planner.live_server import find_live_server
from planner.main import open_workshop, serve_home
from planner.settings import read_settings
from planner.usecases.approve_job import approve_job
from planner.usecases.claim_job import claim_job
from planner.usecases.submit_job import submit_job


@pytest.fixture
def settings(home, monkeypatch):
    monkeypatch.setenv("BITWRIGHT_HOME", str(home))
    return read_settings()


def test_two_that_start_at_once_share_one_service(settings):
    found, both = [], threading.Barrier(2)

    def use():
        with open_service(settings) as service:
            found.append(service.server)
            both.wait(30)

    users = [threading.Thread(target=use) for _ in range(2)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert find_live_server(settings.home) is None


def test_an_owner_waits_for_who_still_uses_its_service_and_says_so(settings, capsys):
    owner, joined = ExitStack(), ExitStack()
    owner.enter_context(open_service(settings))
    joined.enter_context(open_service(settings))
    ending = threading.Thread(target=owner.close)
    ending.start()
    ending.join(0.5)
    assert ending.is_alive()
    assert find_live_server(settings.home) is not None
    joined.close()
    ending.join(30)
    assert find_live_server(settings.home) is None
    assert capsys.readouterr().err == "another quantize still uses this service; waiting\n"


@pytest.mark.slow
def test_a_service_that_was_killed_is_opened_again_at_its_address_with_its_token(settings):
    with open_service(settings), open_service(settings) as joined:
        killed = joined.server
        os.kill(killed.pid, signal.SIGKILL)
        joined.revive()
        assert joined.server.pid != killed.pid
        assert (joined.server.url, joined.server.token) == (killed.url, killed.token)
        ending = time.monotonic()
    assert time.monotonic() - ending < END_SECONDS / 2, (
        "asked to end as soon as it was there, it had to be killed"
    )


@pytest.fixture
def lapsed(workshop, tiny_plan):
    """A job whose host fell silent; the database is let go."""
    job = approve_job(workshop, submit_job(workshop, tiny_plan.decision_id).job_id)
    claim_job(replace(workshop, lease_seconds=-10.0), "gone", job.job_id)
    workshop.close()
    return job.job_id


def test_a_service_of_a_command_gives_back_what_a_lost_host_held(settings, lapsed, monkeypatch):
    states = []
    monkeypatch.setattr(
        planner.api.service,
        "run_service",
        lambda workshop, *_, **__: states.append(workshop.jobs.find_job(lapsed).state),
    )
    serve_home(settings, host=None, port=0, parent_pid=os.getpid(), on_ready=print)
    assert states == ["approved"]


def test_doctor_names_a_job_whose_lease_is_over(settings, lapsed):
    findings = examine_database(Session(settings, open_workshop, serve_home), is_writable=True)
    (found,) = [finding for finding in findings if finding.name == "jobs"]
    assert (found.verdict, lapsed in found.message) == ("warning", True)
