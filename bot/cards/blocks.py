"""Block Kit by builders that keep Slack's limits, so that no card can be refused for its length.

The limits are Slack's (docs.slack.dev, Block Kit reference). The total over all blocks is not documented:
messages with 9,600 characters of text are taken and with 11,300 refused as `msg_blocks_too_long` (slackapi/bolt-js
issue 2867), so a card stays below 9,000.
"""

from collections.abc import Iterable, Sequence
from typing import Any

Block = dict[str, Any]

MOST_BLOCKS = 50
MOST_MODAL_BLOCKS = 100
MOST_TEXT = 9000
SECTION_TEXT = 3000
HEADER_TEXT = 150
BUTTON_TEXT = 75
BUTTON_VALUE = 2000
OPTION_TEXT = 75
OPTION_VALUE = 150
BLOCK_ID = 255
MOST_OPTIONS = 100
MOST_ACTIONS = 25
MOST_CONTEXT = 10
MODAL_TITLE = 24
MESSAGE_TEXT = 4000
"""What chat.update takes as fallback text; chat.postMessage takes more."""


class TooLarge(Exception):
    """A value that must not be cut, longer than Slack keeps."""


def escape(text: str) -> str:
    """Text in which Slack sees no link, mention or entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def inline_code(text: str) -> str:
    """Text in fixed width inside a line; backticks in it would end it."""
    plain = text.replace("`", "'")
    return f"`{escape(plain)}`"


def code(text: str, limit: int = SECTION_TEXT) -> str:
    """Fixed-width lines of their own."""
    plain = text.replace("```", "'''")
    return f"```{clip(escape(plain), limit - 6)}```"


def clip(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis; an escaped character is never cut in half."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    start = kept.rfind("&")
    if start >= 0 and ";" not in kept[start:]:
        kept = kept[:start]
    return kept + "…"


def header(text: str) -> Block:
    """A large line; plain text, so nothing in it is escaped."""
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": clip(text, HEADER_TEXT), "emoji": False},
    }


def section(text: str, accessory: Block | None = None) -> Block:
    """A paragraph of mrkdwn."""
    block: Block = {"type": "section", "text": _mrkdwn(clip(text, SECTION_TEXT))}
    return block if accessory is None else {**block, "accessory": accessory}


def context(*texts: str) -> Block:
    """Small print."""
    kept = [_mrkdwn(clip(text, SECTION_TEXT)) for text in texts if text]
    return {"type": "context", "elements": kept[:MOST_CONTEXT]}


def divider() -> Block:
    """A line across."""
    return {"type": "divider"}


def actions(elements: Sequence[Block], block_id: str | None = None) -> Block:
    """A row of buttons and menus.

    Raises:
        TooLarge: the block id, which carries data, is too long.
    """
    block: Block = {"type": "actions", "elements": list(elements)[:MOST_ACTIONS]}
    return block if block_id is None else {**block, "block_id": _whole(block_id, BLOCK_ID)}


def button(
    text: str, action_id: str, value: str, *, style: str | None = None, confirm: Block | None = None
) -> Block:
    """A button.

    Raises:
        TooLarge: its value is too long.
    """
    block: Block = {
        "type": "button",
        "action_id": action_id,
        "text": _plain(clip(text, BUTTON_TEXT)),
        "value": _whole(value, BUTTON_VALUE),
    }
    block |= {"style": style} if style else {}
    return block | ({"confirm": confirm} if confirm else {})


def confirm(title: str, text: str, yes: str, no: str) -> Block:
    """A question before a press counts."""
    return {
        "title": _plain(clip(title, 100)),
        "text": _plain(clip(text, 300)),
        "confirm": _plain(clip(yes, 30)),
        "deny": _plain(clip(no, 30)),
    }


def menu(placeholder: str, action_id: str, options: Iterable[tuple[str, str]]) -> Block:
    """A menu of texts and values.

    Raises:
        TooLarge: a value is too long.
    """
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": _plain(clip(placeholder, 150)),
        "options": [
            {"text": _plain(clip(text, OPTION_TEXT)), "value": _whole(value, OPTION_VALUE)}
            for text, value in list(options)[:MOST_OPTIONS]
        ],
    }


def modal(title: str, blocks: Sequence[Block], private_metadata: str = "") -> Block:
    """A dialog to read."""
    view: Block = {
        "type": "modal",
        "title": _plain(clip(title, MODAL_TITLE)),
        "close": _plain("Close"),
        "blocks": list(blocks)[:MOST_MODAL_BLOCKS],
    }
    return view | ({"private_metadata": private_metadata} if private_metadata else {})


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _whole(value: str, limit: int) -> str:
    if len(value) > limit:
        raise TooLarge(f"{len(value)} characters where Slack keeps {limit}")
    return value
