"""Submitted, approved, claimed under a lease, told about, and over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from planner.domain.errors import BadInput
from planner.usecases.approve_job import approve_job
from planner.usecases.cancel_job import cancel_job
from planner.usecases.claim_job import claim_job, extend_leases, give_back_lapsed_jobs, renew_claim
from planner.usecases.fail_job import fail_job
from planner.usecases.record_events import record_events
from planner.usecases.submit_job import submit_job


class StoppedClock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.at = datetime.fromisoformat("2026-11-24T12:00:00.000+00:00")

    def now(self):
        return self.at.isoformat(timespec="milliseconds")

    def pass_seconds(self, seconds):
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return StoppedClock()


@pytest.fixture
def shop(workshop, clock):
    return replace(workshop, clock=clock)


@pytest.fixture
def approved(shop, tiny_plan):
    return approve_job(shop, submit_job(shop, tiny_plan.decision_id).job_id)


def events_of(shop, job):
    return [row["event"] for row in shop.job_events.list_job_events(job.job_id, 0)]


def test_a_job_waits_for_approval_before_it_can_be_claimed(shop, tiny_plan):
    job = submit_job(shop, tiny_plan.decision_id)
    assert claim_job(shop, "gpu-1") is None
    assert claim_job(shop, "gpu-1", job.job_id) is None
    approve_job(shop, job.job_id)
    assert claim_job(shop, "gpu-1").job.job_id == job.job_id


def test_two_hosts_never_hold_one_job(shop, approved):
    first = claim_job(shop, "gpu-1")
    assert first.job.host == "gpu-1"
    assert claim_job(shop, "gpu-2") is None
    with pytest.raises(BadInput, match="is claimed by gpu-1"):
        claim_job(shop, "gpu-2", approved.job_id)


def test_a_lease_that_ends_unrenewed_gives_the_job_to_another_host(shop, approved, clock):
    first = claim_job(shop, "gpu-1")
    clock.pass_seconds(shop.lease_seconds + 1)
    second = claim_job(shop, "gpu-2")
    assert second.job.host == "gpu-2"
    with pytest.raises(BadInput) as caught:
        renew_claim(shop, first.claim_id)
    assert caught.value.code == "claim.unknown"


def test_a_renewed_lease_is_kept(shop, approved, clock):
    claim = claim_job(shop, "gpu-1")
    for _ in range(3):
        clock.pass_seconds(shop.lease_seconds - 1)
        renew_claim(shop, claim.claim_id)
    assert claim_job(shop, "gpu-2") is None


def test_a_job_that_was_given_back_and_not_taken_is_taken_up_again_by_its_host(shop, approved, clock):
    first = claim_job(shop, "gpu-1")
    clock.pass_seconds(shop.lease_seconds + 1)
    give_back_lapsed_jobs(shop)
    assert shop.jobs.find_job(approved.job_id).state == "approved"
    job, _ = renew_claim(shop, first.claim_id)
    assert (job.state, job.host) == ("claimed", "gpu-1")
    assert claim_job(shop, "gpu-2") is None


def test_what_a_host_hands_in_late_counts_while_nobody_else_has_the_job(shop, approved, clock):
    claim = claim_job(shop, "gpu-1")
    clock.pass_seconds(shop.lease_seconds + 1)
    give_back_lapsed_jobs(shop)
    assert fail_job(shop, claim.claim_id, "backend.killed", "It was killed.").state == "failed"


def test_a_service_that_was_away_gives_every_host_another_lease(shop, approved, clock):
    claim_job(shop, "gpu-1")
    clock.pass_seconds(shop.lease_seconds + 3600)
    extend_leases(shop)
    assert claim_job(shop, "gpu-2") is None
    clock.pass_seconds(shop.lease_seconds + 1)
    assert claim_job(shop, "gpu-2").job.host == "gpu-2"


def test_every_move_and_every_word_is_told_in_order(shop, approved):
    claim = claim_job(shop, "gpu-1")
    stage = {"event": "stage", "stage": "quantize", "done": 1, "total": 2}
    record_events(shop, claim.claim_id, [stage])
    fail_job(shop, claim.claim_id, "backend.killed", "It was killed.")
    assert events_of(shop, approved) == [
        {"event": "state", "state": "submitted"},
        {"event": "state", "state": "approved", "by": "owner"},
        {"event": "state", "state": "claimed", "host": "gpu-1"},
        stage,
        {
            "event": "state",
            "state": "failed",
            "error": {"code": "backend.killed", "message": "It was killed."},
        },
    ]


def test_cancelling_twice_is_cancelling_once(shop, approved):
    cancel_job(shop, approved.job_id)
    assert cancel_job(shop, approved.job_id).state == "cancelled"
    assert len(events_of(shop, approved)) == 3


def test_what_a_cancelled_job_still_says_changes_nothing(shop, approved):
    claim = claim_job(shop, "gpu-1")
    cancel_job(shop, approved.job_id)
    assert record_events(shop, claim.claim_id, [{"event": "stage"}]).state == "cancelled"
    assert fail_job(shop, claim.claim_id, "job.cancelled", "It was cancelled.").state == "cancelled"
    assert events_of(shop, approved)[-1] == {"event": "state", "state": "cancelled"}


@pytest.mark.parametrize("act", [approve_job, cancel_job])
def test_a_job_that_is_over_stays_as_it_is(shop, approved, act):
    claim = claim_job(shop, "gpu-1")
    fail_job(shop, claim.claim_id, "backend.killed", "It was killed.")
    with pytest.raises(BadInput, match="is failed: it cannot become"):
        act(shop, approved.job_id)
