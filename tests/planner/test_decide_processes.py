"""Processes that decide: the same decisions as here, refusals whole, and nothing lost when one is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from planner.decide_processes import DecideProcesses
from planner.domain.errors import BadInput, Unreachable
from planner.usecases.plan_model import decide_here, draft_plan
from planner.usecases.read_ask import read_ask

ASKS = (
    {"ask": "qwen-72b for 2x A6000"},
    {"ask": "Qwen/Qwen3-8B for RTX 4090", "context": 16384, "objective": "quality"},
    {"ask": "meta-llama/Llama-3.3-70B-Instruct for T4"},
)
FROM_A_PARENT = """
import time
from planner.decide_processes import DecideProcesses
processes = DecideProcesses(1)
print("started", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def processes():
    with closing(DecideProcesses(2)) as opened:
        yield opened


@pytest.fixture
def one_process():
    others = list_processes(os.getpid())
    with closing(DecideProcesses(1)) as opened:
        opened.others = others
        yield opened
    assert list_processes(os.getpid()) == others


@pytest.fixture
def inputs_of(workshop):
    """What the decision of an ask depends on."""
    seen = []

    def note(inputs):
        seen.append(inputs)
        return decide_here(inputs)

    def build(ask):
        draft_plan(replace(workshop, decide=note), read_ask(ask))
        return seen[-1]

    return build


def list_processes(parent):
    """Of a parent, those that decide: their pids."""
    if not Path("/proc").is_dir():
        pytest.skip("processes are looked up in /proc")
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in status and "planner.decide_processes" in command:
            found.add(int(folder.name))
    return found


def is_alive(pid):
    """Whether a process runs: one that nobody asked after stays as a zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask["ask"])
def test_a_process_decides_as_it_is_decided_here(processes, inputs_of, ask):
    inputs = inputs_of(ask)
    here, there = decide_here(inputs), processes(inputs)
    assert there.text == here.text
    assert there.parts == here.parts
    assert there.body["request"] == here.body["request"]


def test_more_than_there_are_processes_are_each_answered_with_their_own(processes, inputs_of):
    every = [inputs_of({"ask": "qwen-72b for 2x A6000", "context": 1024 * n}) for n in range(2, 14)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(processes, every))
    assert [answer.text for answer in answers] == [decide_here(inputs).text for inputs in every]


def test_a_refusal_arrives_with_its_code_and_sentence(processes, inputs_of):
    inputs = inputs_of(ASKS[0])
    beyond = replace(inputs, request=replace(inputs.request, context_tokens=10**9))
    with pytest.raises(BadInput) as here:
        decide_here(beyond)
    with pytest.raises(BadInput) as there:
        processes(beyond)
    assert vars(there.value) == vars(here.value)
    assert str(there.value) == str(here.value)


def test_one_that_was_killed_is_started_anew_and_one_that_is_asked_to_end_stays(one_process, inputs_of):
    inputs = inputs_of(ASKS[0])
    first = one_process(inputs)
    (pid,) = list_processes(os.getpid()) - one_process.others
    os.kill(pid, signal.SIGTERM)  # as a service manager ends a group: who started it decides when it is over
    assert one_process(inputs).text == first.text
    assert list_processes(os.getpid()) - one_process.others == {pid}
    os.kill(pid, signal.SIGKILL)
    assert one_process(inputs).text == first.text
    (another,) = list_processes(os.getpid()) - one_process.others
    assert another != pid


@pytest.mark.parametrize("has_evidence", [True, False], ids=["a plan", "evidence that is new to it"])
def test_one_that_is_silent_too_long_is_started_anew(one_process, inputs_of, monkeypatch, has_evidence):
    inputs = inputs_of(ASKS[0])
    first = one_process(inputs)
    monkeypatch.setattr("planner.decide_processes.ANSWER_SECONDS", 1)
    (pid,) = list_processes(os.getpid()) - one_process.others
    os.kill(pid, signal.SIGSTOP)
    again = inputs if has_evidence else replace(inputs, evidence=replace(inputs.evidence, memo={}))
    assert one_process(again).text == first.text
    assert pid not in list_processes(os.getpid())


def test_of_what_waits_a_process_takes_its_own_models_first(monkeypatch):
    began = SimpleQueue()

    class Holds:
        """Answers when it is let go."""

        def __init__(self):
            self.go_on = threading.Semaphore(0)

        def ask(self, inputs):
            began.put((inputs.model, self))
            assert self.go_on.acquire(timeout=10)
            return {"model": "null"}

    monkeypatch.setattr("planner.decide_processes.DecideProcess", Holds)
    processes = DecideProcesses(2)
    with ThreadPoolExecutor(4) as threads:

        def ask(model):
            asked = threads.submit(processes, SimpleNamespace(model=model))  # a number is its own hash
            time.sleep(0.1)
            return asked

        answers = [ask(model) for model in (0, 1, 3, 2)]
        of = dict(began.get(timeout=10) for _ in range(2))
        of[0].go_on.release()
        assert began.get(timeout=10) == (2, of[0])
        of[0].go_on.release()
        assert began.get(timeout=10) == (3, of[0])
        for process in of.values():
            process.go_on.release()
        assert [answer.result(10).text for answer in answers] == ['{"model":null}'] * 4


def test_closing_ends_what_is_under_way(inputs_of):
    inputs = inputs_of(ASKS[0])
    before = list_processes(os.getpid())
    processes = DecideProcesses(2)
    with ThreadPoolExecutor(6) as threads:

        def ask_on():
            while True:
                processes(inputs)

        answers = [threads.submit(ask_on) for _ in range(6)]
        time.sleep(0.5)
        processes.close()
        for answer in answers:
            with pytest.raises(Unreachable, match="Ask again"):
                answer.result(20)
    assert list_processes(os.getpid()) == before


def test_a_failure_there_is_told_with_its_trace(processes, inputs_of):
    inputs = inputs_of(ASKS[0])
    with pytest.raises(RuntimeError, match="NoneType"):
        processes(replace(inputs, request=None))
    assert processes(inputs).text == decide_here(inputs).text


def test_they_end_with_who_started_them_even_if_it_is_killed():
    parent = subprocess.Popen([sys.executable, "-c", FROM_A_PARENT], stdout=subprocess.PIPE)
    try:
        assert parent.stdout.readline() == b"started\n"
        deadline = time.monotonic() + 10
        while not list_processes(parent.pid) and time.monotonic() < deadline:
            time.sleep(0.05)  # it may not have its name yet
        (pid,) = list_processes(parent.pid)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)
