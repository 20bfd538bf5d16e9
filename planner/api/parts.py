"""What handlers are given: the workshop, the word that the service is ending, and an act out of a path."""

from collections.abc import Callable, Mapping
from typing import Any

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from planner.api.recorder import Recorder
from planner.domain.errors import BadInput
from planner.domain.record.token import Caller
from planner.usecases.workshop import Workshop

InWorkshop = NamedDependency[SkipValidation[Workshop]]
InRecorder = NamedDependency[SkipValidation[Recorder]]
IsStopping = NamedDependency[SkipValidation[Callable[[], bool]]]
"""True once the service was asked to end: streams and long polls let go."""
FromCaller = NamedDependency[SkipValidation[Caller]]
"""Whose token the request carries; handlers call it `caller`."""


def split_act(act: str, acts: Mapping[str, Any]) -> tuple[str, Any]:
    """`d-1:replay` as the id and what `acts` has for `replay`: Litestar matches whole path segments only.

    Raises:
        BadInput: `route.unknown_act`.
    """
    name, _, verb = act.rpartition(":")
    if not name or verb not in acts:
        known = ", ".join(f"ID:{known}" for known in acts)
        raise BadInput("route.unknown_act", f"This route is POST …/{known}.", choices=list(acts))
    return name, acts[verb]
