"""Who may press what."""

import pytest

from bot.failures import Refused
from bot.ids import JobValue
from bot.policy import Policy

JOB = JobValue(job_id="j-1", decision_id="d-1", asker="UASK", runner="URUN")


def a_candidate(high_minutes):
    return {"job": {"intervals": {"minutes": [1.0, high_minutes]}}}


@pytest.mark.parametrize(
    ("limit", "high", "expected"),
    [
        pytest.param(30, 29.9, False, id="cheap"),
        pytest.param(30, 30.1, True, id="costly at the high end of its interval"),
        pytest.param(0, 0.1, True, id="every run"),
    ],
)
def test_costly_runs_need_a_second_person(limit, high, expected):
    assert Policy(approval_minutes=limit).needs_approval(a_candidate(high)) is expected


@pytest.mark.parametrize(
    ("approvers", "user", "code"),
    [
        pytest.param((), "UASK", "policy.own_run", id="who asked for the plan"),
        pytest.param((), "URUN", "policy.own_run", id="who pressed Run"),
        pytest.param((), "UELSE", None, id="anyone else where no approvers are named"),
        pytest.param(("UBOSS",), "UBOSS", None, id="an approver"),
        pytest.param(("UBOSS",), "UELSE", "policy.not_an_approver", id="no approver"),
        pytest.param(("URUN", "UBOSS"), "URUN", "policy.own_run", id="an approver's own run"),
    ],
)
def test_approval_is_somebody_elses(approvers, user, code):
    assert refusal(Policy(approvers=approvers).check_approval, user, JOB) == code


def test_only_runners_run_where_they_are_named():
    assert refusal(Policy().check_run, "UANY") is None
    assert refusal(Policy(runners=frozenset({"U1"})).check_run, "U1") is None
    assert refusal(Policy(runners=frozenset({"U1"})).check_run, "U2") == "policy.not_a_runner"


def test_a_job_is_cancelled_by_its_people_and_approvers():
    policy = Policy(approvers=("UBOSS",))
    assert [refusal(policy.check_cancel, user, JOB) for user in ("UASK", "URUN", "UBOSS")] == [None] * 3
    assert refusal(policy.check_cancel, "UELSE", JOB) == "policy.not_yours"


def test_a_refusal_says_whom_to_ask():
    with pytest.raises(Refused, match="Ask <@UBOSS>"):
        Policy(approvers=("URUN", "UBOSS")).check_approval("URUN", JOB)


def refusal(check, *arguments):
    try:
        check(*arguments)
    except Refused as error:
        return error.code
    return None
