"""What Slack refuses in blocks, in Slack's own words: the limits of its Block Kit reference.

Written apart from bot/cards/blocks.py on purpose: a limit that one of them has wrong shows. Real refusals read
`invalid_blocks` with `must be less than 3001 characters [json-pointer:/blocks/0/text/text]`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

BLOCK_TYPES = {"header", "section", "context", "divider", "actions"}
TEXT_LIMITS = {"section": 3000, "header": 150}
LARGEST_MESSAGE = 9600
"""Characters of text in all blocks that Slack is known to take; it does not document where it stops."""


def find_faults(blocks: Sequence[dict[str, Any]], *, most: int = 50) -> list[str]:
    """Everything that Slack would refuse, with where it is; empty where it would take the blocks."""
    faults = [] if 0 < len(blocks) <= most else [f"must have 1 to {most} items [json-pointer:/blocks]"]
    for place, block in enumerate(blocks):
        faults += [f"{fault} [json-pointer:/blocks/{place}]" for fault in _judge_block(block)]
    identities = [block["block_id"] for block in blocks if "block_id" in block]
    if len(identities) != len(set(identities)):
        faults.append("`block_id` must be unique [json-pointer:/blocks]")
    return faults


def count_text(blocks: Sequence[dict[str, Any]]) -> int:
    """Characters of text in all blocks."""
    return sum(len(text) for block in blocks for text in _texts(block))


def _judge_block(block: dict[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    if kind not in BLOCK_TYPES:
        yield f"unsupported type: {kind}"
    if len(block.get("block_id", "")) > 255:
        yield "block_id must be less than 256 characters"
    if kind in TEXT_LIMITS:
        yield from _judge_text(block.get("text"), TEXT_LIMITS[kind], plain=kind == "header")
    if kind == "context":
        yield from _judge_context(block.get("elements", []))
    if kind == "actions":
        if not 1 <= len(block.get("elements", [])) <= 25:
            yield "actions must have 1 to 25 elements"
        ids = [element.get("action_id") for element in block["elements"]]
        if len(ids) != len(set(ids)):
            yield "`action_id` must be unique within a block"
    for element in [*(block["elements"] if kind == "actions" else []), *_accessory(block)]:
        yield from _judge_element(element)


def _judge_context(elements: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not 1 <= len(elements) <= 10:
        yield "context must have 1 to 10 elements"
    for element in elements:
        yield from _judge_text(element, 3000)


def _judge_element(element: dict[str, Any]) -> Iterator[str]:
    if not 1 <= len(element.get("action_id", "")) <= 255:
        yield "action_id must have 1 to 255 characters"
    if element.get("type") == "button":
        yield from _judge_text(element.get("text"), 75, plain=True)
        if len(element.get("value", "")) > 2000:
            yield "value must be less than 2001 characters"
        if element.get("style", "primary") not in {"primary", "danger"}:
            yield "style must be primary or danger"
    elif element.get("type") == "static_select":
        yield from _judge_menu(element)
    else:
        yield f"unsupported element: {element.get('type')}"
    for name, limit in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        if "confirm" in element:
            yield from _judge_text(element["confirm"].get(name), limit)


def _judge_menu(element: dict[str, Any]) -> Iterator[str]:
    yield from _judge_text(element.get("placeholder"), 150, plain=True)
    options = element.get("options", [])
    if not 1 <= len(options) <= 100:
        yield "options must have 1 to 100 items"
    for option in options:
        yield from _judge_text(option.get("text"), 75)
        if not 1 <= len(option.get("value", "")) <= 150:
            yield "option value must have 1 to 150 characters"


def _judge_text(text: Any, limit: int, *, plain: bool = False) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in {"plain_text", "mrkdwn"}:
        yield "text must be a text object"
        return
    if plain and text["type"] != "plain_text":
        yield "text must be plain_text"
    if not 1 <= len(text.get("text", "")) <= limit:
        yield f"must be less than {limit + 1} characters and more than 0"


def _accessory(block: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["accessory"]] if "accessory" in block else []


def _texts(item: Any) -> Iterator[str]:
    if isinstance(item, dict):
        if isinstance(item.get("text"), str):
            yield item["text"]
        for value in item.values():
            yield from _texts(value)
    elif isinstance(item, list):
        for value in item:
            yield from _texts(value)
