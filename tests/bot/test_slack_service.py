"""The service as the bot asks it: nobody waits for another's answer, and a service that moved is found again."""

import asyncio

import pytest
from fakes.scripted import JOB, an_end, as_json, as_silence, as_stream, serve_script

from bot.address import Address
from bot.service import Service
from planner.contract.errors import ContractError

CROWD = 40
SECONDS = 10.0
UNKNOWN = as_json(401, {"code": "token.unknown", "detail": "This token is not known here."})


@pytest.fixture
def before():
    with serve_script() as opened:
        yield opened


@pytest.fixture
def after():
    with serve_script() as opened:
        yield opened


def test_a_crowd_that_waits_for_plans_holds_nobody_up(before):
    """More than there are threads for calls that wait in threads."""
    before.script += [*[as_silence()] * CROWD, as_json(200, JOB)]

    async def work():
        async with Service(lambda: Address(before.url, "token")) as service:
            crowd = [asyncio.create_task(service.plan("qwen-72b for A100")) for _ in range(CROWD)]
            for _ in crowd:
                assert await asyncio.to_thread(before.asked.acquire, timeout=SECONDS)
            job = await asyncio.wait_for(service.find_job("j-1"), SECONDS)
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
            return job.job_id

    assert asyncio.run(work()) == "j-1"


def test_a_service_that_moved_is_asked_again_where_it_is_now(before, after):
    before.script.append(UNKNOWN)
    after.script += [as_json(200, JOB), as_stream(an_end(1))]
    places = [Address(before.url, "old"), Address(after.url, "new")]

    async def work():
        async with Service(lambda: places.pop(0) if len(places) > 1 else places[0]) as service:
            assert (await service.find_job("j-1")).job_id == "j-1"
            return [event.sequence async for event in service.follow_job("j-1", 0)]

    assert asyncio.run(work()) == [1]
    assert (len(before.seen), after.seen[0].headers["Authorization"]) == (1, "Bearer new")


def test_a_service_that_did_not_move_refuses_for_good(before):
    before.script.append(UNKNOWN)

    async def work():
        async with Service(lambda: Address(before.url, "old")) as service:
            await service.find_job("j-1")

    with pytest.raises(ContractError, match="not known here"):
        asyncio.run(work())
    assert len(before.seen) == 1
