"""Server-sent events, read line by line (WHATWG HTML 9.2): `id`, `event`, `data`, and comments to keep awake."""

import json

from planner.contract.answers import JobEvent
from planner.contract.errors import describe_odd_answer

AGAIN_SECONDS = 0.2
"""Between the end of a stream and the next: a service that breaks every stream is not asked in a rush."""


class EventReader:
    """Makes job events of a stream's lines; comments and events of another kind are passed over."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def feed(self, line: str) -> JobEvent | None:
        """The event that this line completes, if it does.

        Raises:
            ContractError: `service.odd_answer`.
        """
        if not line:
            text, self._data = "\n".join(self._data), []
            return _read_event(text) if text else None
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return None


def _read_event(text: str) -> JobEvent:
    try:
        return JobEvent.model_validate(json.loads(text))
    except ValueError as error:
        raise describe_odd_answer(200) from error
