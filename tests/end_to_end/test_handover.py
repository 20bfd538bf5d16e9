"""A short command meets a service that is ending: it gets its answer, from the service or from the file itself."""

import json
import signal
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from planner.cli.door import Session, open_door
from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.retries import Patience
from planner.live_server import read_server
from planner.main import open_workshop, serve_home
from planner.settings import read_settings

pytestmark = pytest.mark.slow

LONG_BATCH = 4000
SLOW_QUERY = "SELECT count(*) FROM range(6000) AS a, range(100000) AS b WHERE a.range * b.range % 7 = 1"
"""Six seconds of two idle cores; after twenty the service stops it."""


@pytest.fixture
def serve(shell):
    """Starts services of the home, each a process that has said it is ready; all ended at the end."""
    running = []

    def start():
        running.append(shell.start("serve", "--port", "0", "--json"))
        assert json.loads(running[-1].stdout.readline())["pid"] == running[-1].pid
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def service(serve):
    return serve()


@pytest.fixture
def session(shell):
    return Session(read_settings(shell.environment), open_workshop, serve_home)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_a_service_that_goes_away_between_two_questions_is_replaced_by_the_file(service, session, number):
    with open_door(session) as door:
        first = door.plan({"ask": "demo for cpu"})["decision_id"]
        service.send_signal(number)
        service.wait()
        second = door.plan({"ask": "demo for cpu, context 1k"})["decision_id"]
        assert [row["decision_id"] for row in door.list_decisions(5)] == [second, first]


def test_a_service_that_went_away_and_came_again_is_found_where_it_is_now(serve, session, shell):
    first = serve()
    with open_door(session) as door:
        first.kill()
        first.wait()
        second = serve()
        made = door.plan({"ask": "demo for cpu"})["decision_id"]
        assert second.poll() is None
        assert shell.ask("decisions")["decisions"][0]["decision_id"] == made


def test_a_service_that_still_answers_somebody_while_it_ends_is_waited_for(service, shell):
    """It listens no more, and holds the file for as long as it counts."""
    with asking(shell, lambda client: client.audit(SLOW_QUERY)):
        service.terminate()
        time.sleep(0.2)
        assert service.poll() is None
        assert shell.ask("decisions") == {"decisions": []}
        assert service.wait(20) == 0


def test_a_long_batch_does_not_hold_up_the_end_of_a_service(service, shell):
    asks = [{"ask": f"qwen-72b for 2x A6000, context {1024 + at}"} for at in range(LONG_BATCH)]
    with asking(shell, lambda client: client.plan_batch(asks)):
        service.terminate()
        assert service.wait(4) == 0


@contextmanager
def asking(shell, ask):
    """While a thread asks the service, which may answer before it ends."""
    server = read_server(shell.home)

    def work():
        with (
            Client(server.url, server.token, patience=Patience(seconds=0)) as client,
            suppress(ContractError),
        ):
            ask(client)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(1)
    yield
    thread.join(30)
    assert not thread.is_alive()
