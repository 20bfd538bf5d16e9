"""Progress as people read it, on a terminal and in a pipe."""

import io

from rich.console import Console

from planner.cli.progress import ALWAYS_AHEAD, PlainProgress, describe_stage, draw_stages


def a_stage(stage, done, total, unit="layers", seconds_left=None):
    event = {"event": "stage", "stage": stage, "done": done, "total": total, "unit": unit}
    return {**event, "seconds_left": seconds_left}


def test_one_line_tells_what_is_done_what_is_under_way_and_what_is_ahead():
    told = [a_stage("convert", 272, 272), a_stage("quantize", 31, 80, seconds_left=1020.0)]
    line = draw_stages(told, ALWAYS_AHEAD)
    assert line.plain == "● converted → ◐ quantize 31 of 80 layers, 17 min left → ○ check → ○ publish"


def test_a_stage_that_is_complete_is_told_in_the_past():
    assert draw_stages([a_stage("publish", 1, 1)], ()).plain == "● published"


def test_a_stage_of_one_step_has_no_count():
    assert describe_stage(a_stage("load", 0, 1)) == "load"


def test_a_pipe_gets_a_line_when_a_stage_begins_and_when_it_ends():
    output = io.StringIO()
    with PlainProgress(Console(file=output, width=120)) as progress:
        for done in range(81):
            progress.tell(a_stage("quantize", done, 80))
        progress.tell({"event": "warning", "message": "rows are padded"})
        progress.tell(a_stage("publish", 1, 1, "artifacts"))
    assert output.getvalue().splitlines() == [
        "  quantize 0 of 80 layers …",
        "  quantized",
        "  note: rows are padded",
        "  published",
    ]
