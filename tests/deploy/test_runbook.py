"""Every command that deploy/ names parses, every code that RUNBOOK.md quotes exists, every file it names is there."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from planner.main import cli

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text(encoding="utf-8")
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for name in ("planner", "executors", "bot")
    for path in (ROOT / name).rglob("*.py")
)
OPEN_ENDED = "…"


def find_commands():
    """Command lines of `bitwright` in the runbook, in comments and exec lines of units, in compose files."""
    found = set()
    for quoted in re.findall(r"`(bitwright [^`]+)`", RUNBOOK):
        found.add(quoted)
    for line in re.findall(r"^\$ (bitwright .*)$", RUNBOOK, re.MULTILINE):
        found.add(line)
    for line in re.findall(r"bitwright executor --server \S+$", RUNBOOK, re.MULTILINE):
        found.add(line)
    for unit in (DEPLOY / "systemd").glob("*.service"):
        found |= set(
            re.findall(r"^ExecStart=/opt/bitwright/bin/(bitwright .*)$", unit.read_text(), re.MULTILINE)
        )
    for service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values():
        found.add(shlex.join(service["command"]))
    pod = yaml.safe_load((DEPLOY / "kubernetes" / "bitwright.yaml").read_text())["spec"]["template"]["spec"]
    found |= {shlex.join(container["args"]) for container in pod["containers"]}
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    found |= {
        " ".join(words) for words in re.findall(r'^CMD \["(bitwright)", "(\w+)"\]', dockerfile, re.MULTILINE)
    }
    return sorted(command for command in found if OPEN_ENDED not in command)


def parse(words):
    """Walk to the command and let it parse its arguments, without running it."""
    command, context = cli, click.Context(cli, info_name="bitwright")
    while isinstance(command, click.Group) and words:
        options, words = split_options(command, context, words)
        del options
        if not words:
            break
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
        context = click.Context(command, info_name=name, parent=context)
    command.make_parser(context).parse_args(args=list(words))


def split_options(group, context, words):
    """A group's own options, and what follows them."""
    _, rest, _ = group.make_parser(context).parse_args(args=list(words))
    return words[: len(words) - len(rest)], rest


@pytest.mark.parametrize("command", find_commands())
def test_a_command_that_is_named_parses(command):
    parse(shlex.split(command)[1:])


def test_enough_commands_were_found():
    assert len(find_commands()) > 15


@pytest.mark.parametrize("words", [["serve", "--prot", "1"], ["no-such"], ["jobs", "cancel", "--now", "j-1"]])
def test_a_command_that_does_not_parse_would_be_noticed(words):
    with pytest.raises((click.ClickException, AssertionError)):
        parse(words)


@pytest.mark.parametrize("code", sorted(set(re.findall(r"\[([a-z_]+\.[a-z_]+)\]", RUNBOOK))))
def test_a_code_that_the_runbook_quotes_is_one_of_ours(code):
    assert f'"{code}"' in SOURCES


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"BITWRIGHT_[A-Z_]+", RUNBOOK))))
def test_a_variable_that_the_runbook_names_is_a_setting(variable):
    settings = "".join((ROOT / name / "settings.py").read_text() for name in ("planner", "executors", "bot"))
    assert f'"""{variable}:' in settings


def test_the_runbook_answers_what_it_promises():
    titles = re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE)
    assert titles[:10] == [
        "Start",
        "Stop",
        "Upgrade",
        "Back up",
        "Restore",
        "A host is gone",
        "A job hangs",
        "The disk is full",
        "A token is lost, or known to others",
        "The database is held",
    ]
