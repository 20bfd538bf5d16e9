"""The line to the service while a job runs: progress out, and word whether to go on.

One thread sends what was told in batches and renews the lease. A service that is gone or in trouble for a while is
asked again; the work goes on meanwhile and nothing that was told is lost. When the service says that the job is no
longer claimed, or the claim names no job any more, the job is cancelled here.
"""

import logging
import threading
import time
from types import TracebackType
from typing import Any, Self

from planner.contract.answers import ClaimState
from planner.contract.client import Client
from planner.contract.errors import ContractError
from planner.contract.requests import MOST_EVENTS

SEND_SECONDS = 0.25
RENEW_SECONDS = 2.0

log = logging.getLogger("bitwright.executor")


class Line:
    """Tells the service about one claimed job until it is hung up."""

    def __init__(self, client: Client, claim_id: str, cancel: threading.Event) -> None:
        self._client = client
        self._claim_id = claim_id
        self._cancel = cancel
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._hung_up = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hung_up.set()
        self._thread.join()

    def tell(self, event: dict[str, Any]) -> None:
        """Pass one event on, soon."""
        with self._lock:
            self._waiting.append(event)

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._hung_up.wait(SEND_SECONDS):
            self._send_waiting()
            if time.monotonic() - renewed >= RENEW_SECONDS:
                renewed = time.monotonic()
                self._renew()
        self._send_waiting()

    def _send_waiting(self) -> None:
        with self._lock:
            batch = self._waiting[:MOST_EVENTS]
        if not batch:
            return
        try:
            state = self._client.report_events(self._claim_id, batch)
        except ContractError as error:
            self._take_refusal(error)
            return
        with self._lock:
            del self._waiting[: len(batch)]
        self._obey(state)

    def _renew(self) -> None:
        try:
            self._obey(self._client.renew_claim(self._claim_id))
        except ContractError as error:
            self._take_refusal(error)

    def _obey(self, state: ClaimState) -> None:
        if state.state != "claimed" and not self._cancel.is_set():
            log.info("job %s is %s: stopping", state.job_id, state.state)
            self._cancel.set()

    def _take_refusal(self, error: ContractError) -> None:
        if error.may_pass:
            log.warning("%s", error.message)
        else:
            log.warning("the claim is lost: %s [%s]", error.message, error.code)
            self._cancel.set()
