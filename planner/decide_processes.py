"""Processes that decide for a service, one for each core.

Python computes in one thread at a time, so plans that are asked for together would wait for each other on one core.
A decision is a pure function of its inputs: they go through a pipe to a process that is free, and the written body
comes back. Tables and evidence, which are large and stay, go to each process once.
"""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import planner
from planner.domain.canonical import Json, Written
from planner.domain.choose.candidates import Tables
from planner.domain.choose.predictor import PlanInputs
from planner.domain.errors import BitwrightError, Unreachable
from planner.domain.facts.evidence import EvidenceBase
from planner.domain.facts.hardware import Target
from planner.domain.facts.model import ModelFacts
from planner.domain.record.decision import WrittenBody, join_parts
from planner.usecases.plan_model import decide_here

MOST = 4
"""More would wait for the service itself, which takes 3 ms of its interpreter for a plan that takes 5 to decide."""
ANSWER_SECONDS = 60.0
"""A plan takes milliseconds; a process that is silent for so long is killed."""
SMALL = ("request", "model_id", "notes", "versions")
"""Inputs of one plan alone. Model and target are packed once, and one object in a process, whose caches go by it."""

Answer = dict[str, Json] | Exception
"""The parts of a decision's body; or what is to be raised."""


class DecideProcess:
    """One of them, and the tables and evidence that it has."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, out of reach of the terminal's Ctrl-C; it reads what is sent when it is ready."""
        self._pipe, there = Pipe()
        own = str(Path(planner.__file__).parents[1])  # where this process has its modules from
        paths = os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))
        with there:
            self._running = subprocess.Popen(
                [sys.executable, "-P", "-m", "planner.decide_processes", str(there.fileno())],
                env={**os.environ, "PYTHONPATH": paths},
                stdin=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                process_group=0,
            )
        self._tables: Tables | None = None
        self._evidence: EvidenceBase | None = None

    def kill(self) -> None:
        """End it, whatever it does; who waits for its answer is told."""
        self._running.kill()
        self._running.wait()

    def restart(self) -> None:
        """Start it anew once it has ended."""
        self.kill()
        self._pipe.close()
        self.start()

    def ask(self, inputs: PlanInputs) -> Answer:
        """Send inputs, and wait for what it answers.

        Raises:
            EOFError, OSError: it ended, or was silent for a minute.
        """
        if self._tables is not inputs.tables:
            self._send_large({"tables": inputs.tables})
            self._tables = inputs.tables
        if self._evidence is not inputs.evidence:
            # Without what was worked out from it, which others add to meanwhile.
            self._send_large({"evidence": replace(inputs.evidence, memo={})})
            self._evidence = inputs.evidence
        shared = {"model": _pack(inputs.model), "target": _pack(inputs.target)}
        self._pipe.send(shared | {name: getattr(inputs, name) for name in SMALL})
        if not self._pipe.poll(ANSWER_SECONDS):
            raise EOFError
        answer: Answer = self._pipe.recv()
        return answer

    def _send_large(self, part: dict[str, Tables | EvidenceBase]) -> None:
        """Send more than the pipe holds: it waits for the other end to read."""
        too_long = threading.Timer(ANSWER_SECONDS, self._running.kill)
        too_long.start()
        try:
            self._pipe.send(part)
        finally:
            too_long.cancel()


@dataclass(slots=True, eq=False)
class Waiting:
    """A plan for which no process is free, and the process that knows its model best."""

    own: DecideProcess
    given: Future[DecideProcess] = field(default_factory=Future)


class DecideProcesses:
    """Decides as many plans at once as there are processes; any number of threads may ask.

    Of the plans that wait, a process takes those of its own models first: it has worked out much of them before.
    """

    def __init__(self, count: int) -> None:
        self._all = [DecideProcess() for _ in range(count)]
        self._free = list(self._all)
        self._waiting: list[Waiting] = []
        self._turn = threading.Lock()
        self._is_closed = False

    def __call__(self, inputs: PlanInputs) -> WrittenBody:
        """The body of the decision.

        Raises:
            BadInput: as `decide` does.
            Unreachable: `service.interrupted`, its process ended or was silent twice.
            RuntimeError: it failed.
        """
        process = self._take(inputs.model)
        try:
            answer = self._ask(process, inputs)
        finally:
            self._give_back(process)
        if isinstance(answer, Exception):
            raise answer
        text = join_parts(answer)
        return WrittenBody(Written(text), answer, text)

    def close(self) -> None:
        """End them, whatever they do."""
        with self._turn:
            self._is_closed = True
            for process in self._all:
                process.kill()

    def _take(self, model: ModelFacts) -> DecideProcess:
        own = self._all[hash(model) % len(self._all)]
        with self._turn:
            if self._free:
                process = own if own in self._free else self._free[0]
                self._free.remove(process)
                return process
            waiting = Waiting(own)
            self._waiting.append(waiting)
        return waiting.given.result()

    def _give_back(self, process: DecideProcess) -> None:
        with self._turn:
            if not self._waiting:
                self._free.append(process)
                return
            of_its_own = (waiting for waiting in self._waiting if waiting.own is process)
            next_one = next(of_its_own, self._waiting[0])
            self._waiting.remove(next_one)
        next_one.given.set_result(process)

    def _ask(self, process: DecideProcess, inputs: PlanInputs) -> Answer:
        """What a process answers; one that was killed is started anew, for all that it knew is known here too."""
        for _ in range(2):
            try:
                return process.ask(inputs)
            except (EOFError, OSError):
                with self._turn:
                    if self._is_closed:
                        break
                    process.restart()
        raise Unreachable("service.interrupted", "What decides was ended before it answered. Ask again.")


def count_processes() -> int:
    """One for each core, and not too many."""
    return min(MOST, os.cpu_count() or 1)


@lru_cache(maxsize=512)
def _pack(facts: ModelFacts | Target) -> bytes:
    return pickle.dumps(facts, pickle.HIGHEST_PROTOCOL)


_unpack = lru_cache(maxsize=512)(pickle.loads)


def serve_pipe(pipe: Connection) -> None:
    """Decide what comes through a pipe until its other end is closed."""
    large: dict[str, Any] = {}
    with suppress(EOFError, OSError):
        while True:
            received = pipe.recv()
            if "request" not in received:
                large |= received
                gc.freeze()  # thousands of rows that stay: the collector need not walk them at every plan
                continue
            shared = {name: _unpack(received[name]) for name in ("model", "target")}
            pipe.send(_answer(PlanInputs(**{**received, **shared, **large})))


def _answer(inputs: PlanInputs) -> Answer:
    try:
        return dict(decide_here(inputs).parts)
    except BitwrightError as error:
        return error
    except Exception:  # noqa: BLE001 - told where it was asked
        return RuntimeError(traceback.format_exc())


if __name__ == "__main__":
    # It ends with the pipe: SIGTERM to all of a service's processes must not end what the service waits for.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve_pipe(Connection(int(sys.argv[1])))
