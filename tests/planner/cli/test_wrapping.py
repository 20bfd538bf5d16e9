"""Long lines: wrapped between words on a terminal, whole in a pipe, and never cut."""

import io
import json
import re
import shlex

import pytest
from rich.console import Console
from rich.text import Text

from planner.cli import demo
from planner.cli.outcome import tabulate_figures
from planner.cli.render import describe_devices, print_plan
from planner.cli.saying import wrap_plain
from planner.cli.tables import print_rows
from planner.cli.wrapping import print_wrapped, wrap_command
from planner.domain.units import GIB

SERVE = "vllm serve 'my models/Qwen' --max-model-len 8192 --gpu-memory-utilization 0.90"


def a_console(width, *, is_terminal=True):
    return Console(
        file=io.StringIO(), width=width, force_terminal=is_terminal, color_system=None, highlight=False
    )


def written(console):
    return console.file.getvalue().splitlines()


@pytest.fixture(scope="session")
def recorded():
    return {}


@pytest.fixture
def decision(bitwright, recorded):
    if not recorded:
        recorded.update(json.loads(bitwright("plan", "qwen-72b for 2x A6000", "--json").out))
    return recorded


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_every_line_of_a_plan_fits_the_terminal_and_no_word_is_lost(decision, width):
    narrow, pipe = a_console(width), a_console(width, is_terminal=False)
    print_plan(decision, narrow)
    print_plan(decision, pipe)
    lines = written(narrow)
    assert max(map(len, lines)) <= width
    shown = " ".join(lines).replace(" \\", "").split()
    words = [word for line in written(pipe) for word in line.split() if "each device" not in line]
    assert [word for word in words if word not in shown] == []


def test_wrapped_lines_start_under_their_text(decision):
    console = a_console(80)
    print_plan(decision, console)
    labels = {line[:13].strip() for line in written(console)}
    assert labels == {
        *("", "understood", "take", "each device", "expected", "making it", "also", "not", "mind"),
        "not modelled",
    }


def test_a_plan_in_a_pipe_is_not_wrapped(decision):
    console = a_console(80, is_terminal=False)
    print_plan(decision, console)
    lines = written(console)
    assert any(line.endswith(decision["chosen"]["why"]) for line in lines)
    assert any(line.endswith(decision["chosen"]["serve"]) for line in lines)


def test_a_wrapped_command_is_the_same_command_when_pasted():
    lines = wrap_command(a_console(40), SERVE, 13)
    assert len(lines) > 2
    joined = "\n".join(lines).replace("\\\n", "")  # as a shell reads it
    assert shlex.split(joined) == shlex.split(SERVE)
    assert "'my models/Qwen'" in " ".join(lines)
    assert wrap_command(a_console(40, is_terminal=False), SERVE, 13) == [SERVE]


def test_a_word_wider_than_the_terminal_stays_whole():
    console = a_console(20)
    print_wrapped(console, Text("artifact    /a/very/long/path/that/is/wider made"), 12)
    assert written(console) == ["artifact    /a/very/long/path/that/is/wider", " " * 12 + "made"]
    assert wrap_plain("error: /a/very/long/path", 10, 7) == ["error:", " " * 7 + "/a/very/long/path"]


ROW = ("d-0123456789", "2026-11-25T00:03:18.706+00:00", "publisher/a-model-of-some-name", "a sentence " * 5)
NAMES = ("decision_id", "created_at", "model", "request")


@pytest.mark.parametrize("width", [45, 60, 80, 120, 200])
def test_ids_are_whole_and_nothing_is_cut_at_any_width(width):
    console = a_console(width)
    print_rows(NAMES, [ROW], ("created_at",), console)
    lines = written(console)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "d-0123456789" in text
    assert "…" not in text
    assert text.count("sentence") == 5


def test_a_narrow_terminal_says_which_columns_it_goes_without():
    console = a_console(60)
    print_rows(NAMES, [ROW], ("created_at",), console)
    assert written(console)[-1] == "too narrow for created_at; see --json"


def test_a_terminal_too_narrow_for_columns_gets_a_block_a_row():
    console = a_console(30)
    print_rows(NAMES, [ROW], (), console)
    assert written(console)[0] == "decision_id  d-0123456789"


def test_units_of_measured_figures_are_whole():
    row = {
        "name": "decode_tokens_per_s",
        "unit": "tokens/s",
        "predicted_low": 19.93,
        "predicted": 24.91,
        "predicted_high": 31.14,
        "measured": 25.02,
    }
    console = a_console(60)
    console.print(tabulate_figures([row]))
    text = " ".join(written(console))
    assert "…" not in text
    assert text.count("tokens/s") == 4


def test_cards_of_different_size_are_each_told_with_their_own():
    big, small = (
        {"name": "A6000", "total_bytes": 48 * GIB},
        {"name": "4090", "total_bytes": 24 * GIB},
    )
    mixed = {"label": "3 × A6000 + 1 × 4090", "devices": [big, big, big, small]}
    assert describe_devices(mixed) == "3 × A6000 of 48.0 GiB + 1 × 4090 of 24.0 GiB"
    assert describe_devices({"label": "2 × A6000", "devices": [big, big]}) == "2 × A6000, 48.0 GiB each"


def test_forced_colour_in_a_pipe_is_colour_alone(capsys, monkeypatch, decision):
    """FORCE_COLOR asks for colour; it does not make a pipe a terminal of eighty columns."""
    print_plan(decision)
    plain = capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_plan(decision)
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    assert max(map(len, plain.splitlines())) > 80
    monkeypatch.setenv("NO_COLOR", "1")
    print_plan(decision)
    assert capsys.readouterr().out == plain


@pytest.mark.parametrize("width", [40, 60])
def test_what_the_demo_says_is_not_cut_in_a_word(width):
    narrow, pipe = a_console(width), a_console(width, is_terminal=False)
    for console in (narrow, pipe):
        demo.head(
            console, 'bitwright quantize "demo for this machine" --yes', "llama.cpp makes a Q4_K_M file"
        )
        demo.say(console, 12, "take        Q4_K_M by imatrix of local/smollm2-135m on 1 × CPU AMD EPYC")
    lines = written(narrow)
    assert max(map(len, lines)) <= width
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(written(pipe)).split())
    assert lines[-1].startswith(" " * 12)
