"""Plans asked for together: each answered with its own, all in one chain, none held up by another's fault."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from planner.api.recorder import Recorder
from planner.contract.errors import ContractError
from planner.domain.record.decision import FIRST_HASH
from planner.usecases.plan_model import draft_plan
from planner.usecases.read_ask import read_ask

ASKS = [{"ask": "qwen-72b for 2x A6000", "context": 1024 * n} for n in range(2, 14)]
PATIENCE_SECONDS = 10


class Decisions:
    """The store of a workshop; notes how many decisions each statement keeps, and refuses when told to."""

    def __init__(self, store):
        self._store = store
        self.kept = []
        self.refusal = None

    def add_decisions(self, drafts, created_at):
        if self.refusal is not None:
            raise self.refusal
        self.kept.append(len(drafts))
        return self._store.add_decisions(drafts, created_at)


@pytest.fixture
def decisions(workshop):
    return Decisions(workshop.decisions)


@pytest.fixture
def recorder(workshop, decisions):
    return Recorder(replace(workshop, decisions=decisions))


@pytest.fixture
def drafts(workshop):
    return [draft_plan(workshop, read_ask(ask)) for ask in ASKS]


def record(recorder, *plans):
    """What became of plans that are asked for at once."""

    async def ask():
        asked = asyncio.gather(*map(recorder.plan, plans), return_exceptions=True)
        return await asyncio.wait_for(asked, PATIENCE_SECONDS)

    return asyncio.run(ask())


def test_plans_asked_for_at_once_are_each_answered_and_stand_in_one_chain(service):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(service.client.plan, ASKS))
    assert [answer["request"]["context"] for answer in answers] == [ask["context"] for ask in ASKS]
    by_previous = {answer["previous_sha256"]: answer for answer in answers}
    previous, chain = FIRST_HASH, []
    while previous in by_previous:
        chain.append(by_previous[previous]["decision_id"])
        previous = by_previous[previous]["record_sha256"]
    listed = service.workshop.decisions.list_decisions(50)
    assert [row["decision_id"] for row in reversed(listed)] == chain
    assert len(chain) == len(ASKS)


def test_those_that_are_ready_together_are_kept_by_few_statements(recorder, decisions, drafts):
    answers = record(recorder, *(lambda draft=draft: draft for draft in drafts))
    assert [answer.parts["request"] for answer in answers] == [
        draft.written.parts["request"] for draft in drafts
    ]
    assert sum(decisions.kept) == len(drafts)
    assert len(decisions.kept) < len(drafts)


def test_one_that_is_ready_does_not_wait_for_another(recorder, decisions, drafts):
    stop = threading.Event()

    async def ask():
        slow = asyncio.create_task(recorder.plan(lambda: (stop.wait(30), drafts[1])[1]))
        try:
            await asyncio.wait_for(recorder.plan(lambda: drafts[0]), PATIENCE_SECONDS)
        finally:
            stop.set()
            await slow

    asyncio.run(ask())
    assert decisions.kept == [1, 1]


def test_a_refused_plan_holds_no_other_up(recorder, drafts):
    def refuse():
        raise ValueError("no such model")

    kept, refused = record(recorder, lambda: drafts[0], refuse)
    assert kept.decision_id.startswith("d-")
    assert str(refused) == "no such model"


def test_what_cannot_be_kept_is_told_to_all_who_wait_and_the_next_is_kept(recorder, decisions, drafts):
    decisions.refusal = OSError("no space left")
    told = record(recorder, lambda: drafts[0], lambda: drafts[1])
    assert [str(error) for error in told] == ["no space left"] * 2
    decisions.refusal = None
    (kept,) = record(recorder, lambda: drafts[2])
    assert kept.previous_sha256 == FIRST_HASH


def test_a_bad_ask_among_many_is_refused_alone(service):
    def ask(fields):
        try:
            return service.client.plan(fields)["request"]["context"]
        except ContractError as error:
            return error.code

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, [*ASKS[:3], {"ask": "qwen-72b for A600"}, *ASKS[3:6]]))
    assert answers[3] == "gpu.unknown"
    assert answers[:3] + answers[4:] == [ask["context"] for ask in ASKS[:6]]
