"""Events of a job, whatever becomes of the stream; and clients that leave leave nothing open."""

import asyncio
from contextlib import aclosing, closing

import pytest
from fakes.scripted import JOB, an_end, an_event, as_json, as_silence, as_stream

from planner.contract.client import AsyncClient, Client
from planner.contract.errors import ContractError, ServiceGone
from planner.contract.requests import JobReport, JobSubmission

SECONDS = 10.0
RUNNING = as_json(200, {**JOB, "state": "claimed"})
OVER = as_json(200, {**JOB, "state": "completed"})


def follow(client, after=0):
    return [event.sequence for event in client.follow_job("j-1", after)]


def asked_after(scripted):
    """The last event that each request for a stream knew."""
    return [request.headers["Last-Event-ID"] for request in scripted.seen if "/events" in request.path]


def test_events_are_read_to_the_jobs_end_and_comments_passed_over(scripted, ask):
    scripted.script.append(as_stream(an_event(1), an_end(2)))
    assert follow(ask) == [1, 2]
    assert asked_after(scripted) == ["0"]
    assert len(scripted.seen) == 1


def test_a_stream_that_breaks_is_taken_up_where_it_broke(scripted, ask):
    scripted.script += [
        as_stream(an_event(1), an_event(2), missing_bytes=400),
        as_stream(missing_bytes=400),
        as_stream(an_event(3), an_end(4)),
    ]
    assert follow(ask) == [1, 2, 3, 4]
    assert asked_after(scripted) == ["0", "2", "2"]


def test_half_an_event_is_not_told(scripted, ask):
    whole = as_stream(an_event(1), an_event(2))
    scripted.script += [
        type(whole)(**{**vars(whole), "text": whole.text[:-30], "missing_bytes": 30}),
        as_stream(an_event(2), an_end(3)),
    ]
    assert follow(ask) == [1, 2, 3]
    assert asked_after(scripted) == ["0", "1"]


def test_a_stream_that_a_stopping_service_ended_in_good_order_is_taken_up_as_well(scripted, ask):
    scripted.script += [as_stream(an_event(1)), RUNNING, as_stream(an_event(2)), OVER, as_stream(an_end(3))]
    assert follow(ask) == [1, 2, 3]
    assert asked_after(scripted) == ["0", "1", "2"]


def test_a_job_that_was_over_before_has_no_more_events(scripted, ask):
    scripted.script += [as_stream(), OVER, as_stream()]
    assert follow(ask, after=9) == []
    assert asked_after(scripted) == ["9", "9"]


def test_a_stream_is_opened_with_the_same_patience_as_all_else(late, connect):
    late.script.append(as_stream(an_end(1)))
    assert follow(connect(late.url, on_wait=late.begin)) == [1]


def test_a_service_that_does_not_come_back_is_said_to_be_gone(late, connect):
    with pytest.raises(ServiceGone):
        follow(connect(late.url, seconds=0.1))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(as_json(422, {"code": "job.unknown", "detail": "No job."}), "job.unknown", id="refused"),
        pytest.param(as_stream((1, {"sequence": "first"})), "service.odd_answer", id="no event of ours"),
    ],
)
def test_a_stream_that_is_refused_says_why(scripted, ask, answer, code):
    scripted.script.append(answer)
    with pytest.raises(ContractError) as refused:
        follow(ask)
    assert refused.value.code == code


def test_a_real_job_is_followed_to_its_end(service, connect, tiny_plan, a_measurement):
    client = connect(service.url, service.token)
    job = client.submit_job(JobSubmission(decision_id=tiny_plan.decision_id))
    client.approve_job(job.job_id)
    claim = client.claim_job("gpu-1")
    client.report_events(claim.claim_id, [{"event": "stage", "stage": "quantize"}])
    report = JobReport(artifact_dir="/data/tiny", manifest={}, measurement=a_measurement())
    client.complete_job(claim.claim_id, report)
    told = [event.event.get("state") or event.event["stage"] for event in client.follow_job(job.job_id)]
    assert told == ["submitted", "approved", "claimed", "quantize", "completed"]
    assert client.find_job(job.job_id).is_over


def run(scripted, act):
    """Run `act(client)` to its end; the client is still open when the server is asked what it saw."""

    async def work():
        async with AsyncClient(scripted.url, "secret") as client:
            await asyncio.wait_for(act(client), SECONDS)
            assert await asyncio.to_thread(scripted.left.wait, SECONDS), "the connection stayed open"
            scripted.script[:] = [OVER]
            assert (await client.find_job("j-1")).is_over

    asyncio.run(work())


async def cancel_when_asked(scripted, task):
    assert await asyncio.to_thread(scripted.asked.acquire, timeout=SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_cancelled_call_leaves_no_connection(scripted):
    scripted.script.append(as_silence())

    async def act(client):
        await cancel_when_asked(scripted, asyncio.create_task(client.plan({"ask": "qwen-72b for A100"})))

    run(scripted, act)


def test_cancelled_following_leaves_no_connection(scripted):
    scripted.script.append(as_stream(an_event(1), is_open=True))

    async def act(client):
        first = asyncio.Event()

        async def follow_on():
            async for _ in client.follow_job("j-1"):
                first.set()

        task = asyncio.create_task(follow_on())
        await first.wait()
        await cancel_when_asked(scripted, task)

    run(scripted, act)


def test_a_cancelled_wait_between_tries_sends_nothing_more(scripted):
    scripted.script.append(as_json(503, {}))

    async def act():
        async with AsyncClient(scripted.url, "secret") as client:
            await cancel_when_asked(scripted, asyncio.create_task(client.check_health()))
            await asyncio.sleep(0.3)

    asyncio.run(act())
    assert len(scripted.seen) == 1


def test_who_stops_listening_leaves_no_connection(scripted):
    scripted.script.append(as_stream(an_event(1), is_open=True))

    async def act(client):
        async with aclosing(client.follow_job("j-1")) as events:
            assert (await anext(events)).sequence == 1

    run(scripted, act)


def test_who_stops_listening_in_a_thread_leaves_no_connection(scripted):
    scripted.script.append(as_stream(an_event(1), is_open=True))
    with Client(scripted.url, "secret") as client:
        with closing(client.follow_job("j-1")) as events:
            assert next(events).sequence == 1
        assert scripted.left.wait(SECONDS)


def test_calls_of_one_loop_go_out_together(scripted):
    """Twelve jobs are followed at once, and a plan is still answered."""
    scripted.script += [*[as_stream(an_event(1), is_open=True)] * 12, OVER]

    async def act():
        async with AsyncClient(scripted.url, "secret") as client:
            streams = [client.follow_job(f"j-{number}") for number in range(12)]
            firsts = await asyncio.gather(*map(anext, streams))
            assert [event.sequence for event in firsts] == [1] * 12
            assert (await client.find_job("j-1")).is_over
            for stream in streams:
                await stream.aclose()

    asyncio.run(act())
