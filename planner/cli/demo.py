"""`bitwright demo`: the main job in front of you, a famous plan and then two real quantizations, one a backend."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from planner.cli.door import Session, open_server_door
from planner.cli.home_service import open_service
from planner.cli.making import Wish, run_quantize
from planner.cli.outcome import print_outcome
from planner.cli.processes import end_like_ctrl_c
from planner.cli.quantize import make_job_console, show_plan
from planner.cli.wrapping import print_wrapped

FAMOUS_ASK = "qwen-72b for 2x A6000"
DEMO_ASK = "demo for this machine"
LABEL, HEADING, COMMAND = 12, 3, 4
"""Columns under which lines of the choice, headings and commands wrap."""


@dataclass(frozen=True, slots=True)
class Act:
    """One quantization of the demo: what it shows, and the options that pick it."""

    title: str
    options: Mapping[str, Any]


ACTS = (
    Act("llama.cpp makes a Q4_K_M file", {"scheme": "Q4_K_M", "engine": "llama.cpp"}),
    Act("llm-compressor makes an FP8 checkpoint", {"scheme": "FP8_DYNAMIC", "engine": "transformers"}),
)
"""One scheme a backend."""


@click.command()
@click.pass_obj
def demo(session: Session) -> int:
    """Plan qwen-72b for 2x A6000, then plan, quantize, measure and record a small real model here."""
    console = make_job_console(as_json=False)
    environments = session.settings.cache / "environments"
    first = not environments.is_dir()
    say(
        console,
        0,
        "This plans a 72B model for two cards, then really quantizes a 135M model on this machine: once with "
        "llama.cpp, once with llm-compressor. ",
        "The first run builds both tools' environments from the package registry (3 GiB on disk): three to eight "
        "minutes on two cores."
        if first
        else "One to three minutes: the tools' environments are there already.",
    )
    end_like_ctrl_c()
    with open_service(session.settings) as service, open_server_door(service.server) as door:
        head(console, f'bitwright plan "{FAMOUS_ASK}"')
        show_plan(door.plan({"ask": FAMOUS_ASK}))
        outcomes = []
        for act in ACTS:
            options = " ".join(f"--{name} {value}" for name, value in act.options.items())
            head(console, f'bitwright quantize "{DEMO_ASK}" {options} --yes', act.title)
            wish = Wish(
                ask={"ask": DEMO_ASK, "must_quantize": True, **act.options},
                calibration_file=None,
                artifacts=None,
                is_approved=True,
                show_plan=lambda decision: show_choice(console, decision),
            )
            outcomes.append(run_quantize(session.settings, service, door, wish, console))
    for act, (decision, job) in zip(ACTS, outcomes, strict=True):
        head(console, f"predicted beside measured: {act.title}")
        print_outcome(console, decision, job)
    say_what_next(console, outcomes[0][0]["decision_id"])
    return 0


def show_choice(console: Console, decision: Mapping[str, Any]) -> None:
    """A plan in two lines."""
    chosen = decision["chosen"]
    if chosen is None:
        show_plan(decision)
        return
    model, target = decision["model"]["id"], decision["target"]["label"]
    say(console, LABEL, f"take        {chosen['scheme']} by {chosen['method']} of {model} on {target}")
    say(console, LABEL, f"            {chosen['why']}")


def say_what_next(console: Console, decision_id: str) -> None:
    """Commands that go on from here."""
    head(console, "what to type next")
    bitwright = "bitwright" if shutil.which("bitwright") else os.path.relpath(sys.argv[0])
    for arguments, meaning in (
        (f"decisions show {decision_id}", "all of it, predicted beside measured"),
        (f"replay {decision_id}", "the same decision again, to the bit"),
        ('plan "demo for this machine"', "what the new evidence changes"),
        ('audit "SELECT * FROM predicted_vs_measured"', "the record, by SQL"),
        ('plan "qwen-14b for 1x 4090"', "a model and a card of yours"),
    ):
        say(console, COMMAND, f"  {bitwright} {arguments:<48} {meaning}")


def head(console: Console, command: str, title: str = "") -> None:
    """A heading between two parts."""
    console.print()
    line = Text(f"── {command} ", style="bold")
    line.append(f" {title}" if title else "", style="not bold dim")
    print_wrapped(console, line, HEADING)


def say(console: Console, hang: int, *parts: str) -> None:
    """One line, on a terminal as many as it takes; those after the first start at column `hang`."""
    print_wrapped(console, Text("".join(parts)), hang)
