"""Cards of plans, against stored snapshots that can be pasted into Slack's Block Kit Builder.

Where a card is to change: BITWRIGHT_UPDATE_SNAPSHOTS=1 pytest tests/bot/cards, then read the difference.
"""

import copy

import pytest
from fakes.slack_limits import LARGEST_MESSAGE, count_text, find_faults
from fakes.slack_person import find_button, say

from bot.cards.ambiguity import make_menu
from bot.cards.choices import (
    make_alternatives_dialog,
    make_refused_dialog,
    make_submitted_dialog,
    make_why_not_dialog,
)
from bot.cards.plan import make_plan_card, summarise_plan
from bot.ids import MessageValue

MESSAGE = MessageValue(decision_id="d-1", asker="U1", channel="C1", timestamp="1.2")


def test_a_published_checkpoint_is_taken_not_made(a_decision, check_card):
    """The choice, its bar at 26 of 43 GiB, MMLU −0.6 with its interval; where to fetch it and no Run button.

    Under "Why not": group 128 does not divide over two cards (115.5 groups), and four ways out.
    """
    card = make_plan_card(a_decision("qwen_72b_for_2x_a6000"), "U1", needs_approval=False)
    check_card("plan_published", card)
    assert find_button(card, "run") is None
    assert "115.5 groups of 128" in say(card)
    assert "group 64 or 32" in say(card)


def test_what_is_to_be_made_has_a_run_button(a_decision, check_card):
    """Minutes, RAM and disk of the job; Run asks once more, and says that someone else has to approve."""
    card = make_plan_card(a_decision("llama_70b_for_2x_a6000"), "U1", needs_approval=True)
    check_card("plan_to_make", card)
    assert "Someone else has to approve it." in find_button(card, "run")["confirm"]["text"]["text"]


def test_nothing_fits_and_what_would(a_decision, check_card):
    """No choice and no Run; four A100 would do; why 16 bits do not fit, with need and have."""
    decision = a_decision("llama_405b_for_rtx_3060")
    card = make_plan_card(decision, "U1", needs_approval=False)
    check_card("plan_nothing_fits", card)
    assert "4 × A100 80GB PCIe" in say(card)
    assert find_button(card, "run") is None
    assert summarise_plan(decision).endswith("nothing that is allowed fits")


def test_sixteen_bits_need_no_making(a_decision):
    """The model as released: quality unchanged, and the command that serves it."""
    decision = a_decision("llama_70b_for_2x_a6000")
    decision["chosen"] |= {"scheme": "BF16", "method": "none", "backend": None, "group_size": None}
    card = make_plan_card(decision, "U1", needs_approval=False)
    assert find_button(card, "run") is None
    assert "unchanged: the weights stay as released" in say(card)
    assert "serves the model as released" in say(card)


def test_unknown_quality_and_speed_are_said(a_decision):
    """No number is shown where there is none."""
    decision = a_decision("llama_70b_for_2x_a6000")
    for predicted in decision["chosen"]["quality"].values():
        predicted |= {"expected_delta": None, "loss": None}
    decision["chosen"]["speed"] |= {"decode_tokens_per_s": None, "intervals": {}}
    text = say(make_plan_card(decision, "U1", needs_approval=False))
    assert "MMLU: no measurements to go by" in text
    assert "no measurement to predict from yet" in text


def test_alternatives_in_a_dialog(a_decision, check_card):
    """One paragraph each: loss, speed, memory to spare; "Run this" only beside what can be made."""
    view = make_alternatives_dialog(a_decision("qwen_72b_for_2x_a6000"), MESSAGE)
    check_card("alternatives", view["blocks"])
    buttons = [block for block in view["blocks"] if "accessory" in block]
    published = [block for block in view["blocks"] if "nothing to make" in say([block])]
    assert buttons
    assert published
    assert not any(block in buttons for block in published)


def test_reasons_in_a_dialog(a_decision, check_card):
    """Every scheme's first reason, shapes and cards before memory before taste; ways out under an arrow."""
    check_card("why_not", make_why_not_dialog(a_decision("qwen_72b_for_2x_a6000"))["blocks"])


def test_dialogs_after_a_press(check_card):
    """What became of it, in one line."""
    check_card("dialog_submitted", make_submitted_dialog("j-1")["blocks"])
    check_card("dialog_refused", make_refused_dialog("Nothing to make.  [job.nothing_to_make]")["blocks"])


def test_ambiguous_words_get_a_menu(check_card):
    """The terminal's sentence and a menu of the cards it may be."""
    sentence = (
        '"RTX 6000" is several cards: Quadro RTX 6000 (24 GiB, Turing), RTX 6000 Ada (48 GiB). Say which.'
    )
    choices = ["Quadro RTX 6000 (24 GiB, Turing)", "RTX 6000 Ada (48 GiB)"]
    check_card("ambiguity", make_menu("qwen-72b for 2x RTX 6000", sentence, choices))


@pytest.mark.parametrize("long", ["<&>" * 3000, "`" * 9000, "wide " * 2000], ids=["markup", "ticks", "words"])
def test_no_length_of_anything_exceeds_what_slack_takes(a_decision, long):
    decision = fill(a_decision("qwen_72b_for_2x_a6000"), long)
    card = make_plan_card(decision, "U1", needs_approval=True)
    assert find_faults(card) == []
    assert count_text(card) <= LARGEST_MESSAGE
    decision["alternatives"] *= 50
    decision["rejected"] = [{**item, "code": f"x.{n}"} for n, item in enumerate(decision["rejected"] * 50)]
    for view in (make_alternatives_dialog(decision, MESSAGE), make_why_not_dialog(decision)):
        assert find_faults(view["blocks"], most=100) == []


def test_nobody_is_called_by_what_was_typed(a_decision):
    """`<!channel>` in a path or a sentence stays text, in blocks and in notifications."""
    decision = fill(a_decision("qwen_72b_for_2x_a6000"), "<!channel>")
    card = make_plan_card(decision, "U1", needs_approval=False)
    assert "<!channel>" not in say([block for block in card if block["type"] != "header"])
    assert card[0]["text"]["type"] == "plain_text"
    assert "<!channel>" not in summarise_plan(decision)


def fill(decision, long):
    """A decision in which everything that is free text is long."""
    decision = copy.deepcopy(decision)
    decision["model"]["id"] = decision["target"]["label"] = decision["request"]["text"] = long
    decision["warnings"] = [long] * 30
    for item in (decision["chosen"], *decision["alternatives"]):
        item |= {"why": long, "serve": long}
        if item.get("prebuilt"):
            item["prebuilt"]["repo"] = long
    for item in decision["rejected"]:
        item |= {"message": long, "way_out": [long] * 5}
    return decision
