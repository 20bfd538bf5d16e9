"""Hosts over REST: registered, heard of, planned for, and given the jobs that were planned for them."""

import pytest

from executors.heartbeat import Heartbeat, find_own_processes
from executors.inventory import take_snapshot
from planner.contract.errors import ContractError
from planner.contract.inventory import Cpu, HostSnapshot
from planner.contract.requests import HostReport, JobSubmission


def a_report(host="gpu-1", **fields):
    snapshot = HostSnapshot(
        host=host,
        taken_at="2026-05-04T12:00:00+00:00",
        system="Linux 6.1 x86_64",
        cpu=Cpu(name="EPYC", cores=8, bandwidth_bytes_per_s=2e10),
        ram_total_bytes=64 << 30,
        ram_available_bytes=60 << 30,
        disk_free_bytes=100 << 30,
    )
    return HostReport(snapshot=snapshot, **fields)


@pytest.fixture
def client(service):
    return service.client


def refusal(act):
    with pytest.raises(ContractError) as refused:
        act()
    return refused.value.code


def plan_on(client, checkpoint, words):
    return client.plan({"ask": f"{checkpoint} for {words}", "scheme": "Q8_0", "must_quantize": True})


def test_a_host_registers_is_heard_of_and_leaves(client):
    assert refusal(lambda: client.send_heartbeat(a_report())) == "host.unknown"
    assert client.register_host(a_report()).state == "live"
    assert client.send_heartbeat(a_report(own_pids=[1, 2])).state == "live"
    assert client.send_heartbeat(a_report(is_leaving=True)).state == "gone"
    (host,) = client.list_hosts()
    assert (host.name, host.state, host.jobs) == ("gpu-1", "gone", [])
    assert client.register_host(a_report()).state == "live"


def test_a_host_is_planned_for_and_shown_with_its_age(client, tiny_checkpoint):
    client.register_host(a_report())
    decision = plan_on(client, tiny_checkpoint, "host:gpu-1")
    assert decision["target"]["host"] == "gpu-1"
    assert any(said.startswith("gpu-1 as it was") for said in decision["warnings"])
    assert client.replay_decision(decision["decision_id"])["identical"]
    assert refusal(lambda: plan_on(client, tiny_checkpoint, "host:gpu-2")) == "host.unknown"
    client.send_heartbeat(a_report(is_leaving=True))
    assert refusal(lambda: plan_on(client, tiny_checkpoint, "host:gpu-1")) == "host.gone"


def test_a_job_goes_to_the_host_that_it_was_planned_for(client, tiny_checkpoint):
    client.register_host(a_report())
    decision = plan_on(client, tiny_checkpoint, "host:gpu-1")
    job = client.submit_job(JobSubmission(decision_id=decision["decision_id"]))
    assert job.wanted_host == "gpu-1"
    client.approve_job(job.job_id)
    assert client.claim_job("gpu-2").job is None
    assert refusal(lambda: client.claim_job("gpu-2", job_id=job.job_id)) == "job.other_host"
    assert client.claim_job("gpu-1").job.job_id == job.job_id
    assert client.list_hosts()[0].jobs == [job.job_id]


def test_a_job_for_this_machine_goes_to_any_host(client, tiny_plan):
    job = client.submit_job(JobSubmission(decision_id=tiny_plan.decision_id))
    client.approve_job(job.job_id)
    assert job.wanted_host is None
    assert client.claim_job("whoever").job.job_id == job.job_id


def test_a_heartbeat_of_this_machine_arrives_and_says_goodbye(client, tmp_path):
    with Heartbeat(client=client, snapshot=lambda: take_snapshot("here", tmp_path), beat_seconds=0.05):
        for _ in range(100):
            if client.list_hosts():
                break
    (host,) = client.list_hosts()
    assert host.state == "gone"
    assert host.left_at is not None
    assert host.snapshot["cpu"]["bandwidth_bytes_per_s"] > 1e8


def test_own_processes_are_the_executor_and_what_descends_from_it(tmp_path):
    tree = {1: 0, 10: 1, 20: 10, 30: 20, 40: 1}
    for pid, parent in tree.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a ) name) S {parent} 0 0")
        (tmp_path / str(pid) / "statm").write_text("100 2 0 0 0 0 0")
    found = find_own_processes(tmp_path, own=10)
    assert set(found) == {10, 20, 30}
    assert set(found.values()) == {2 * 4096}
