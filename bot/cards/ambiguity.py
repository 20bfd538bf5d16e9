"""Words that mean several things: a menu that asks again with the one that was meant."""

from collections.abc import Sequence

from bot.cards.blocks import BLOCK_ID, OPTION_VALUE, Block, actions, escape, menu, section
from bot.ids import ActionId, AskValue


def find_ambiguous_words(ask: str, sentence: str) -> str | None:
    """The words that the refusal opens with in quotes, if the ask has them; None where it does not say."""
    opening, _, rest = sentence.partition('"')
    words, _, _ = rest.partition('"')
    found = ask.lower().find(words.lower()) if words and not opening else -1
    return ask[found : found + len(words)] if found >= 0 else None


def say_meant(value: AskValue, choice: str) -> str:
    """The ask with the choice in place of the words that were not clear."""
    return value.ask.replace(value.words, choice, 1)


def make_menu(ask: str, sentence: str, choices: Sequence[str]) -> list[Block] | None:
    """The refusal with a menu of what may be meant; None where a menu could not carry the ask."""
    words = find_ambiguous_words(ask, sentence)
    if words is None or not choices:
        return None
    carried = AskValue(ask=ask, words=words).as_value()
    # Without what is said of a choice in parentheses: those are the words to ask again with.
    options = [(choice, choice.partition(" (")[0]) for choice in choices]
    if len(carried) > BLOCK_ID or any(len(value) > OPTION_VALUE for _, value in options):
        return None
    return [section(escape(sentence)), actions([menu("Which one?", ActionId.PICK, options)], carried)]
