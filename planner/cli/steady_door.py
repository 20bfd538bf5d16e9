"""A door that stays open when its service ends: what it did not answer is asked of whoever has the home by then.

What is asked twice because only the answer was lost does no harm (see contract/calls.py). A stream of events that
has begun is not begun again elsewhere: without its service, nobody runs the job.
"""

from collections.abc import Callable
from typing import Any, cast

from planner.cli.door import Door
from planner.domain.errors import BitwrightError

MOVED = frozenset({"service.unreachable", "token.unknown"})
"""What is heard of a service that ended, or of another one at its address."""


class SteadyDoor:
    """Passes every question on to a door, and once more to the next door where the first one is gone."""

    def __init__(self, reopen: Callable[[], Door], door: Door) -> None:
        self._reopen = reopen
        self._door = door

    def __getattr__(self, name: str) -> Any:
        """A method of the door."""

        def ask(*arguments: Any, **named: Any) -> Any:
            try:
                return getattr(self._door, name)(*arguments, **named)
            except BitwrightError as error:
                if error.code not in MOVED:
                    raise
                self._door = self._reopen()
                return getattr(self._door, name)(*arguments, **named)

        return ask


def make_steady(door: Door, reopen: Callable[[], Door]) -> Door:
    """The door, steadied; `reopen` opens the next one."""
    return cast("Door", SteadyDoor(reopen, door))
