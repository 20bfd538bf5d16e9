"""Tokens over REST: each route asks for its scope, a revoked one is refused, names go into the record."""

import httpx
import pytest

from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.requests import JobSubmission, TokenAsk
from planner.contract.retries import Patience
from planner.usecases.submit_job import submit_job


@pytest.fixture
def holder(service):
    """A client with a stored token of these scopes."""
    opened = []

    def make(*scopes, name=None, speaks=False):
        ask = TokenAsk(scopes=list(scopes), name=name, speaks_for_others=speaks)
        made = service.client.create_token(ask)
        opened.append(Client(service.url, made.token, patience=Patience(seconds=1.0)))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def job(workshop, tiny_plan):
    return lambda by: submit_job(workshop, tiny_plan.decision_id, by=by).job_id


def refusal(act):
    with pytest.raises(ContractError) as refused:
        act()
    return refused.value.status, refused.value.code


@pytest.mark.parametrize(
    ("scope", "act"),
    [
        pytest.param("plan", lambda client: client.list_decisions(), id="decisions"),
        pytest.param("plan", lambda client: client.list_sources(), id="evidence"),
        pytest.param("run", lambda client: client.list_jobs(), id="jobs"),
        pytest.param("execute", lambda client: client.claim_job("gpu-1"), id="claims"),
        pytest.param("audit", lambda client: client.audit("SELECT 1 FROM jobs"), id="audit"),
        pytest.param("admin", lambda client: client.list_tokens(), id="tokens"),
    ],
)
def test_a_route_asks_for_its_scope_and_no_other(holder, scope, act):
    others = {"plan", "run", "approve", "execute", "audit", "admin"} - {scope}
    act(holder(scope))
    assert refusal(lambda: act(holder(*others))) == (403, "token.scope")


def test_approving_and_cancelling_take_different_scopes(holder, job):
    runner, approver = holder("run"), holder("approve")
    first, second = job("somebody"), job("somebody")
    assert refusal(lambda: runner.approve_job(first)) == (403, "token.scope")
    assert approver.approve_job(first).state == "approved"
    assert refusal(lambda: approver.cancel_job(second)) == (403, "token.scope")
    assert runner.cancel_job(second).state == "cancelled"


def test_a_revoked_token_is_refused_at_once(service, holder):
    client = holder("plan", name="laptop")
    client.list_decisions()
    assert service.client.revoke_token("laptop").revoked_at is not None
    assert refusal(client.list_decisions) == (401, "token.revoked")


def test_a_changed_secret_is_not_known(service):
    made = service.client.create_token(TokenAsk(scopes=["plan"])).token
    answer = httpx.get(f"{service.url}/v1/decisions", headers={"Authorization": f"Bearer {made[:-1]}!"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token.unknown")


def test_nothing_of_the_secret_is_kept(service):
    made = service.client.create_token(TokenAsk(scopes=["plan"]))
    secret = made.token.split("_", 2)[2]
    (kept,) = service.workshop.tokens.list_tokens()
    assert secret not in repr(kept)
    assert [record.name for record in service.client.list_tokens()] == [made.name]


def test_the_record_names_who_asked_and_who_allowed(holder, tiny_plan):
    asker, approver = holder("run", name="ci"), holder("approve", name="lead")
    submitted = asker.submit_job(JobSubmission(decision_id=tiny_plan.decision_id))
    approved = approver.approve_job(submitted.job_id)
    assert (approved.submitted_by, approved.approved_by) == ("ci", "lead")


def test_who_asked_does_not_approve_a_costly_job(service, holder, tiny_plan):
    object.__setattr__(service.workshop, "approval_minutes", 0.0)
    both, other = holder("run", "approve", name="both"), holder("approve")
    submitted = both.submit_job(JobSubmission(decision_id=tiny_plan.decision_id))
    assert refusal(lambda: both.approve_job(submitted.job_id)) == (422, "job.own_approval")
    assert other.approve_job(submitted.job_id).state == "approved"


def test_who_asked_approves_a_job_of_minutes(holder, tiny_plan):
    both = holder("run", "approve")
    submitted = both.submit_job(JobSubmission(decision_id=tiny_plan.decision_id))
    assert both.approve_job(submitted.job_id).state == "approved"


def test_a_bot_speaks_for_the_person_who_pressed(service, holder, tiny_plan):
    object.__setattr__(service.workshop, "approval_minutes", 0.0)
    bot = holder("run", "approve", name="slack", speaks=True)
    submitted = bot.submit_job(JobSubmission(decision_id=tiny_plan.decision_id), person="U1")
    assert refusal(lambda: bot.approve_job(submitted.job_id, person="U1")) == (422, "job.own_approval")
    approved = bot.approve_job(submitted.job_id, person="U2")
    assert (approved.submitted_by, approved.approved_by) == ("slack/U1", "slack/U2")


def test_who_may_not_speak_for_others_speaks_for_itself(holder, tiny_plan):
    plain = holder("run", name="plain")
    submitted = plain.submit_job(JobSubmission(decision_id=tiny_plan.decision_id), person="U1")
    assert submitted.submitted_by == "plain"
