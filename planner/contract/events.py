"""Server-sent events, read line by line (WHATWG HTML 9.2): `id`, `event`, `data`, and comments to keep awake."""

import json
from collections.abc import Iterable, Iterator

from planner.contract.answers import JobEvent


def read_events(lines: Iterable[str]) -> Iterator[JobEvent]:
    """The job events of a stream; comments and events of another kind are passed over."""
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        if not line:
            if text := "\n".join(data):
                yield JobEvent.model_validate(json.loads(text))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
