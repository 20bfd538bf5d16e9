"""Everything that can go wrong, as one sentence: the one that the terminal and the REST service say.

ContractError   the service refused: its own code and sentence
Refused         the bot refused: who may do what, what it is missing
BadValue        a press on a message of another version
anything else   a reference that stands in the log with the whole story
"""

import logging
import secrets

from bot.cards.blocks import MESSAGE_TEXT, clip, escape
from bot.ids import BadValue
from planner.contract.errors import ContractError

log = logging.getLogger("bitwright.bot")

ADVICE = {
    "job.key_reused": "This message has made its job: ask again with /quantize for another.",
    "job.no_demo_model": "Then ask again with /quantize.",
    "job.no_weights": "In Slack: /quantize /path/to/checkpoint for this machine",
}
"""What to do in Slack, where the sentence speaks of something else."""


class Refused(Exception):
    """The bot's own refusals: a stable code and one sentence of mrkdwn, so that it can name people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def describe_failure(error: Exception) -> str:
    """What went wrong, as mrkdwn; what nobody foresaw goes to the log under a reference."""
    if isinstance(error, BadValue):
        error = Refused("message.outdated", "This message is of another version. Ask again with /quantize.")
    if not isinstance(error, ContractError | Refused):
        return _describe_surprise(error)
    if isinstance(error, Refused):
        return clip(f"{error.message}  [{error.code}]", MESSAGE_TEXT)
    return clip("\n".join(_describe_refusal(error)), MESSAGE_TEXT)


def _describe_refusal(error: ContractError) -> list[str]:
    lines = [f"{escape(error.message)}  [{escape(error.code)}]"]
    for label, items in (("Choose one of", error.choices), ("Did you mean", error.suggestions)):
        if items and not all(item in error.message for item in items):
            lines.append(f"{label}: {escape(' · '.join(items))}")
    return [*lines, escape(ADVICE[error.code])] if error.code in ADVICE else lines


def _describe_surprise(error: Exception) -> str:
    reference = secrets.token_hex(4)
    log.error("unexpected, reference %s", reference, exc_info=error)
    return (
        f"Something went wrong that nobody foresaw. The bot's log has it under {reference}.  [internal.error]"
    )
