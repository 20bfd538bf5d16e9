"""A card as a picture: Block Kit drawn as HTML that looks like Slack's light theme, for a browser to photograph.

    bitwright plan "qwen-72b for 2x A6000" --json | python -m bot.cards.preview > card.html
    chromium --headless --no-sandbox --hide-scrollbars --screenshot=card.png --window-size=760,900 card.html

Blocks may be given in place of a decision: {"blocks": […]}, as tests/bot/cards/snapshots hold them. Only what
our cards use is drawn.
"""

import html
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bot.cards.plan import make_plan_card

Block = Mapping[str, Any]

STYLE = """
body{margin:0;padding:18px 20px;background:#fff;color:#1d1c1d;width:680px;
 font:15px/1.46 Lato,"Helvetica Neue","Liberation Sans",Arial,sans-serif}
.who{display:flex;gap:10px}.face{width:36px;height:36px;border-radius:6px;background:#1f3a5f;color:#fff;
 font:700 17px/36px "Liberation Sans",Arial;text-align:center;flex:none}
.name{font-weight:900}.app{background:#e8e8e8;color:#616061;font-size:10px;font-weight:700;border-radius:2px;
 padding:1px 3px;margin:0 6px;vertical-align:1px}.time,.context{color:#616061;font-size:12px}
.card{flex:1;min-width:0}.header{font-size:18px;font-weight:900;margin:6px 0 2px}
.section{margin:8px 0;white-space:pre-wrap;display:flex;gap:12px;justify-content:space-between}
.section>div:first-child{min-width:0;flex:1}
.context{margin:6px 0;white-space:pre-wrap}hr{border:0;border-top:1px solid #ddd}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;margin:4px 0;white-space:pre-wrap;
 word-break:break-word;font:12px/1.5 Monaco,"DejaVu Sans Mono",monospace}
code{background:#f8f8f8;border:1px solid #ddd;border-radius:3px;padding:1px 3px;color:#c01343;
 font:12px "DejaVu Sans Mono",monospace}
.person{background:#e8f5fa;color:#1264a3;border-radius:3px;padding:0 2px}
.actions{display:flex;gap:8px;margin:10px 0 0;flex-wrap:wrap}
.button{border:1px solid #bbb;border-radius:4px;padding:5px 12px;font-weight:700;font-size:14px;background:#fff;
 white-space:nowrap;align-self:flex-start}
.primary{background:#007a5a;border-color:#007a5a;color:#fff}.danger{border-color:#e01e5a;color:#e01e5a}
"""


def draw_page(blocks: Sequence[Block], people: Mapping[str, str] | None = None) -> str:
    """A message of the bot as a page; `people` names user ids."""
    body = "\n".join(_draw(block, people or {}) for block in blocks)
    head = '<span class="name">Bitwright</span><span class="app">APP</span><span class="time">10:42</span>'
    return (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>'
        f'<div class="who"><div class="face">B</div><div class="card">{head}\n{body}</div></div>'
    )


def _draw(block: Block, people: Mapping[str, str]) -> str:
    if block["type"] == "header":
        return f'<div class="header">{html.escape(block["text"]["text"])}</div>'
    if block["type"] == "divider":
        return "<hr>"
    if block["type"] == "actions":
        return f'<div class="actions">{"".join(_draw_element(one) for one in block["elements"])}</div>'
    if block["type"] == "context":
        texts = [_draw_text(element["text"], people) for element in block["elements"]]
        return f'<div class="context">{" · ".join(texts)}</div>'
    beside = _draw_element(block["accessory"]) if "accessory" in block else ""
    return f'<div class="section"><div>{_draw_text(block["text"]["text"], people)}</div>{beside}</div>'


def _draw_element(element: Block) -> str:
    text = element.get("text") or element.get("placeholder") or {"text": ""}
    arrow = " ▾" if element["type"] == "static_select" else ""
    return f'<div class="button {element.get("style", "")}">{html.escape(text["text"])}{arrow}</div>'


def _draw_text(text: str, people: Mapping[str, str]) -> str:
    """Slack's mrkdwn: its escapes are HTML's, so only its own marks are replaced; code stays as it is."""
    drawn = []
    for place, part in enumerate(re.split(r"```(.*?)```", text, flags=re.DOTALL)):
        drawn.append(f"<pre>{part}</pre>" if place % 2 else _draw_marks(part.strip("\n"), people))
    return "".join(drawn)


def _draw_marks(text: str, people: Mapping[str, str]) -> str:
    text = re.sub(r"<@(\w+)>", lambda found: _draw_person(found[1], people), text)
    text = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", text)
    return re.sub(r"(?<![\w*])\*(?! )([^*\n]+)(?<! )\*(?![\w*])", r"<b>\1</b>", text)


def _draw_person(user: str, people: Mapping[str, str]) -> str:
    return f'<span class="person">@{html.escape(people.get(user, user))}</span>'


def main() -> None:
    """Read a decision or blocks, write a page."""
    given = json.load(sys.stdin)
    blocks = given.get("blocks") or make_plan_card(given, "U1", needs_approval=False)
    sys.stdout.write(draw_page(blocks, {"U1": "maria", "U2": "jonas", "U7": "ml-infra"}))


if __name__ == "__main__":
    main()
