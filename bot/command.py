"""From what was typed after `/quantize` to a sentence for the planner, or to a wish for help.

Slack sends `&`, `<` and `>` escaped, turns quotes into curly ones on some keyboards, and people paste the
sentence with the quotes or backticks that they saw around it.
"""

import html
from dataclasses import dataclass

LONGEST_ASK = 1000
HELP_WORDS = frozenset({"", "help", "?"})
WRAPPINGS = ("``", '""', "“”", "„“", "\u2018\u2019", "''")


@dataclass(frozen=True, slots=True)
class Ask:
    """A sentence to plan."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Help:
    """Nothing to plan: say how to ask."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """A sentence that nobody typed on purpose."""

    characters: int


def read_command(text: str) -> Ask | Help | TooLong:
    """What the slash command's text asks for."""
    sentence = " ".join(html.unescape(text).split())
    for pair in WRAPPINGS:
        if len(sentence) > 1 and sentence[0] + sentence[-1] == pair:
            sentence = sentence[1:-1].strip()
    if sentence.lower() in HELP_WORDS:
        return Help()
    if len(sentence) > LONGEST_ASK:
        return TooLong(len(sentence))
    return Ask(sentence)
