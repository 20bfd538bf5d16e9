"""JSON lines in, one JSON line out for each, in order; a bad line is answered and stops nothing."""

import json

import pytest

LINES = [
    ('{"ask": "qwen-72b for 2x A6000"}', None),
    ('{"ask": "qwen-72b for 2x A600"}', "gpu.unknown"),
    ("{not json", "batch.not_json"),
    ("[1, 2]", "batch.not_json"),
    ("null", "batch.not_json"),
    ("[" * 50_000, "batch.not_json"),
    ('{"ask": "qwen-72b for RTX 6000"}', "gpu.ambiguous"),
    ('{"ask": "nothing-9b for A6000"}', "model.unknown"),
    ('{"colour": "red"}', "request.unknown_field"),
    ("{}", "request.empty"),
    ('{"ask": 7}', "request.no_device"),
    ('{"model": "qwen3-8b", "on": "4090", "context": 4096}', None),
]


@pytest.fixture
def answers(bitwright):
    ran = bitwright("plan", "--batch", "-", stdin="\n".join(line for line, _ in LINES) + "\n")
    assert ran.status == 0
    return [json.loads(line) for line in ran.out.splitlines()]


def test_every_line_is_answered_in_order(answers):
    assert len(answers) == len(LINES)
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [code for _, code in LINES]


def test_an_error_line_has_the_one_error_shape(answers):
    for answer in answers:
        if "error" in answer:
            assert set(answer) == {"error"}
            assert set(answer["error"]) <= {"code", "message", "choices", "suggestions"}
            assert answer["error"]["message"]


def test_how_many_lines_were_refused_stands_on_standard_error(bitwright):
    stdin = '{"ask": "qwen3-8b for 4090"}\n\n{"question": "qwen3-8b for 4090"}\n'
    ran = bitwright("plan", "--batch", "-", stdin=stdin)
    assert (ran.status, len(ran.out.splitlines())) == (0, 2)
    assert ran.err.startswith("1 of 2 lines were refused")
    assert bitwright("plan", "--batch", "-", stdin=stdin.splitlines()[0]).err == ""


def test_help_names_the_field_of_a_line(bitwright):
    assert '{"ask":' in bitwright("plan", "--help").out


def test_nothing_is_recorded(bitwright):
    before = bitwright("decisions", "--json").out
    ran = bitwright("plan", "--batch", "-", stdin='{"ask": "qwen-72b for 2x A6000"}\n')
    assert "decision_id" not in json.loads(ran.out)
    assert bitwright("decisions", "--json").out == before


@pytest.mark.parametrize(
    ("stdin", "lines"),
    [
        pytest.param("", 0, id="nothing"),
        pytest.param("\n  \n\n", 0, id="blank-lines"),
        pytest.param('{"ask": "qwen3-8b for 4090"}', 1, id="no-newline-at-the-end"),
        pytest.param('{"ask": "qwen3-8b for 4090"}\r\n', 1, id="windows-line-ends"),
        pytest.param(b'\xff\xfe{"ask": "x"}\n', 1, id="no-text"),
    ],
)
def test_odd_input_is_answered_line_by_line(bitwright, stdin, lines):
    ran = bitwright("plan", "--batch", "-", stdin=stdin)
    assert (ran.status, len(ran.out.splitlines())) == (0, lines)


def test_a_file_is_read_like_standard_input(bitwright, tmp_path):
    path = tmp_path / "asks.jsonl"
    path.write_text('{"ask": "qwen3-8b for 4090"}\n', encoding="utf-8")
    assert len(bitwright("plan", "--batch", path).out.splitlines()) == 1
    assert bitwright("plan", "--batch", tmp_path / "nowhere.jsonl").status == 2


@pytest.mark.parametrize(
    ("command", "good", "bad"),
    [
        pytest.param(
            ["estimate"],
            {"model": "qwen3-8b", "scheme": "FP8-dynamic", "device": "4090"},
            {"model": "qwen3-8b", "scheme": "W5A17", "device": "4090"},
            id="estimate",
        ),
        pytest.param(
            ["evidence", "predict"],
            {"model": "qwen3-8b", "scheme": "W4A16", "benchmark": "mmlu"},
            {"model": "qwen3-8b", "scheme": "W4A16", "benchmark": "mmlo"},
            id="evidence-predict",
        ),
    ],
)
def test_estimates_and_predictions_take_batches_as_well(bitwright, command, good, bad):
    stdin = "\n".join(json.dumps(fields) for fields in (good, bad, good)) + "\n"
    ran = bitwright(*command, "--batch", "-", stdin=stdin)
    first, second, third = (json.loads(line) for line in ran.out.splitlines())
    assert ran.status == 0
    assert first == third
    assert "error" not in first
    assert "error" in second
