"""Cards drawn as HTML for pictures."""

import html
import json
import re
from pathlib import Path

import pytest

from bot.cards.preview import draw_page

SNAPSHOTS = sorted((Path(__file__).parent / "snapshots").glob("*.json"))


@pytest.mark.parametrize("path", SNAPSHOTS, ids=[path.stem for path in SNAPSHOTS])
def test_draws_every_card_that_there_is(path):
    blocks = json.loads(path.read_text())["blocks"]
    page = draw_page(blocks)
    shown = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert "```" not in shown
    for block in blocks:
        for word in re.findall(r"\w{4,}", html.unescape(block.get("text", {}).get("text", ""))):
            assert word in shown


def test_draws_marks_people_and_code():
    text = "*Take* `a*b*c` <@U1> 2 * 3 * 4\n```x &lt; y```"
    page = draw_page([{"type": "section", "text": {"type": "mrkdwn", "text": text}}], {"U1": "maria"})
    assert "<b>Take</b>" in page
    assert '<span class="person">@maria</span>' in page
    assert "2 * 3 * 4" in page
    assert "<pre>x &lt; y</pre>" in page


def test_nothing_in_a_card_is_markup_of_the_page():
    page = draw_page([{"type": "header", "text": {"type": "plain_text", "text": "<script>x</script>"}}])
    assert "<script>" not in page
