"""Names of everything that can be pressed, and what a press carries back.

A value is the JSON of one of the models below. It is built and read here alone, and validated both ways:
nothing is ever split by hand. Slack allows 2000 characters in a button's value and 255 in a block's id.
"""

from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from planner.contract.requests import CandidateChoice


class ActionId(StrEnum):
    """Buttons and menus."""

    RUN = "run"
    ALTERNATIVES = "alternatives"
    WHY_NOT = "why_not"
    RUN_ALTERNATIVE = "run_alternative"
    APPROVE = "approve"
    CANCEL = "cancel"
    PICK = "pick"


class Carried(BaseModel):
    """What a press carries: written by the bot, signed on its way back by Slack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def as_value(self) -> str:
        """The text that Slack keeps."""
        return self.model_dump_json(exclude_defaults=True)


class PlanValue(Carried):
    """A decision and who asked for it."""

    decision_id: str
    asker: str


class MessageValue(Carried):
    """A decision's message, as a dialog over it remembers it."""

    decision_id: str
    asker: str
    channel: str
    timestamp: str


class ChoiceValue(Carried):
    """A candidate other than the chosen one, to be made."""

    choice: CandidateChoice


class JobValue(Carried):
    """A job, who asked for the plan and who pressed Run."""

    job_id: str
    decision_id: str
    asker: str
    runner: str


class AskValue(Carried):
    """A sentence in which some words mean several things."""

    ask: str
    words: str


class BadValue(Exception):
    """A value that this version of the bot did not write."""


Kind = TypeVar("Kind", bound=Carried)


def read_value(kind: type[Kind], text: str) -> Kind:
    """What a press carries.

    Raises:
        BadValue: the text is not of that kind.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise BadValue(f"a value that is no {kind.__name__}") from error
