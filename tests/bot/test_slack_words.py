"""What is typed and what is carried: commands, values, numbers, bars."""

import pytest

from bot.cards.ambiguity import find_ambiguous_words, make_menu, say_meant
from bot.cards.blocks import TooLarge, button, clip, code, escape, inline_code
from bot.charts import CELLS, draw_memory
from bot.command import Ask, Help, TooLong, read_command
from bot.figures import format_change, format_duration, format_figure, format_size
from bot.ids import AskValue, BadValue, ChoiceValue, JobValue, PlanValue, read_value
from planner.contract.requests import CandidateChoice

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("qwen-72b for 2x A6000", Ask("qwen-72b for 2x A6000"), id="a sentence"),
        pytest.param(
            "  qwen-72b\u00a0for  2x A6000 ", Ask("qwen-72b for 2x A6000"), id="odd spaces from a phone"
        ),
        pytest.param("“qwen-72b for A100”", Ask("qwen-72b for A100"), id="curly quotes"),
        pytest.param("`qwen-72b for A100`", Ask("qwen-72b for A100"), id="pasted as code"),
        pytest.param("a &amp; b &lt;c&gt;", Ask("a & b <c>"), id="Slack's own escapes"),
        pytest.param("", Help(), id="nothing"),
        pytest.param(" HELP ", Help(), id="help"),
        pytest.param("x" * 1001, TooLong(1001), id="a page"),
    ],
)
def test_reads_what_follows_the_command(text, expected):
    assert read_command(text) == expected


def test_values_come_back_as_they_were_sent():
    value = JobValue(job_id="j-1", decision_id="d-1-2", asker="U1", runner="U2")
    assert read_value(JobValue, value.as_value()) == value
    choice = ChoiceValue(choice=CandidateChoice(scheme="W4A16", group_size=64))
    assert choice.as_value() == '{"choice":{"scheme":"W4A16","group_size":64}}'
    assert read_value(ChoiceValue, choice.as_value()) == choice


@pytest.mark.parametrize(
    "text",
    [
        "",
        "j-1",
        "null",
        '{"decision_id": "d-1"}',
        '{"decision_id": 1, "asker": "U1"}',
        '{"decision_id": "d-1", "asker": "U1", "admin": true}',
    ],
)
def test_refuses_values_it_did_not_write(text):
    with pytest.raises(BadValue):
        read_value(PlanValue, text)


def test_escapes_what_slack_would_read_as_a_link_or_a_mention():
    assert escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert inline_code("a`b<c") == "`a'b&lt;c`"
    assert code("```rm```") == "```'''rm'''```"


def test_clips_no_escaped_character_in_half():
    assert clip("abc", 3) == "abc"
    assert clip("abcd", 3) == "ab…"
    assert clip("ab&amp;cd", 6) == "ab…"
    assert clip("&amp;abcd", 8) == "&amp;ab…"


def test_refuses_to_cut_a_value():
    with pytest.raises(TooLarge):
        button("Run", "run", "x" * 2001)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (format_size(20_799_078_400), "19.4 GiB"),  # 20799078400 / 2^30 = 19.37
        (format_size(97_517_568), "93.0 MiB"),  # 93 x 2^20
        (format_duration(89), "89 s"),
        (format_duration(2280), "38 min"),
        (format_duration(9000), "2.5 h"),
        (format_change(-0.55), "−0.6"),
        (format_change(-0.04), "0.0"),
        (format_figure(0.95, "share"), "95.0 %"),
        (format_figure(50.0, "tokens/s"), "50 tokens/s"),
        (format_figure(36.4, "minutes"), "36 min"),
        (format_figure(1.94, "%"), "+1.9 %"),
    ],
)
def test_writes_numbers_for_people(written, expected):
    assert written == expected


def test_draws_every_part_of_memory_and_what_is_free():
    # 16 of 32 GiB are weights: half of 32 cells; 4 GiB of KV: 4 cells; tiny parts get a cell each.
    memory = {
        "weights_bytes": 16 * GIB,
        "kv_cache_bytes": 4 * GIB,
        "activation_bytes": GIB // 10,
        "overhead_bytes": GIB // 10,
        "total_bytes": 20.2 * GIB,
        "usable_bytes": 32 * GIB,
    }
    bar, legend = draw_memory(memory).split("\n")
    assert bar == "█" * 16 + "▓" * 4 + "▒░" + "·" * 10 + "  20.2 of 32.0 GiB"
    assert legend == "█ weights 16.00  ▓ KV 4.00  ▒ activations 0.10  ░ overhead 0.10"


def test_draws_no_more_than_the_card():
    memory = dict.fromkeys(("kv_cache_bytes", "activation_bytes", "overhead_bytes"), GIB)
    memory |= {"weights_bytes": 100 * GIB, "total_bytes": 103 * GIB, "usable_bytes": 10 * GIB}
    assert draw_memory(memory).startswith("█" * CELLS + "  103.0 of 10.0 GiB")


def test_asks_again_with_the_card_that_was_meant():
    ask = "qwen-72b for 2x rtx 6000, 8k"
    sentence = (
        '"RTX 6000" is several cards: Quadro RTX 6000 (24 GiB, Turing), RTX 6000 Ada (48 GiB). Say which.'
    )
    choices = ["Quadro RTX 6000 (24 GiB, Turing)", "RTX 6000 Ada (48 GiB)"]
    assert find_ambiguous_words(ask, sentence) == "rtx 6000"
    blocks = make_menu(ask, sentence, choices)
    menu = blocks[1]["elements"][0]
    assert [option["text"]["text"] for option in menu["options"]] == choices
    value = read_value(AskValue, blocks[1]["block_id"])
    assert say_meant(value, menu["options"][1]["value"]) == "qwen-72b for 2x RTX 6000 Ada, 8k"


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        pytest.param("qwen-72b for 2x A6000", '"RTX 6000" is several cards.', id="words that were not typed"),
        pytest.param("qwen-72b for 2x A6000", "Say which card.", id="no words in quotes"),
        pytest.param(
            "q" * 250 + " for RTX 6000", '"RTX 6000" is several cards.', id="an ask too long to carry"
        ),
    ],
)
def test_makes_no_menu_that_could_not_ask_again(ask, sentence):
    assert make_menu(ask, sentence, ["Quadro RTX 6000"]) is None
