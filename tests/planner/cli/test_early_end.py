"""A command that ends before its time says why: told to stop, or broken in a way that stands in the log."""

import importlib.util
import json
import py_compile
import re
import sys
from pathlib import Path

import pytest

from planner.main import Bitwright

MODULE = "planner.cli.decisions"


@pytest.fixture
def cut_module(tmp_path, monkeypatch):
    """The compiled module of a command, cut off after its header, as by a full disk."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    source = importlib.util.find_spec(MODULE).origin
    compiled = Path(py_compile.compile(source))
    compiled.write_bytes(compiled.read_bytes()[:16])
    monkeypatch.delitem(sys.modules, MODULE, raising=False)


def test_a_damaged_module_is_unexpected_with_its_reference_and_no_stop(bitwright, home, cut_module):
    ran = bitwright("decisions", home=home)
    assert (ran.status, ran.out) == (1, "")
    assert "stopped" not in ran.err
    reference = re.search(r"\(EOFError\)\..* under (e-[0-9a-f]{8}) in", ran.err.replace("\n", " "))[1]
    log = (home / "errors.log").read_text()
    assert log.startswith(reference)
    assert "EOFError: EOF read where object expected" in log


def test_a_damaged_module_is_one_json_object_where_one_is_asked_for(bitwright, home, cut_module):
    ran = bitwright("decisions", "--json", home=home)
    assert (ran.status, json.loads(ran.out)["error"]["code"]) == (1, "unexpected")


def test_ctrl_d_at_a_question_is_a_stop(bitwright, tmp_path, monkeypatch):
    (tmp_path / "asking.py").write_text(
        "import click\n\n\n@click.command()\ndef ask():\n    click.confirm('Make it?')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(Bitwright.modules, "ask", "asking")
    ran = bitwright("ask", stdin="")
    assert (ran.status, ran.err.splitlines()[-1]) == (130, "stopped")
