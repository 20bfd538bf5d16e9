"""`bitwright doctor` in a process of its own: each thing that is wrong is one line with what to do."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.nvml.described import Card

from planner.cli.doctor import examine_home
from planner.cli.door import Session
from planner.main import open_workshop, serve_home
from planner.settings import Settings

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture
def examine(tmp_path):
    """Run it, offline; exit status and findings by name."""

    def run(home, **environment):
        offline = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
        places = {"BITWRIGHT_HOME": str(home), "BITWRIGHT_CACHE": str(tmp_path / "cache")}
        done = subprocess.run(
            [sys.executable, "-m", "planner.main", "doctor", "--json"],
            env={**os.environ, **offline, **places, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        checks = json.loads(done.stdout)["checks"]
        return done.returncode, {check["name"]: check for check in checks}

    return run


def test_a_healthy_home_without_network_has_one_warning(examine, home):
    status, checks = examine(home, HF_HUB_OFFLINE="1", BITWRIGHT_SLACK_BOT_TOKEN="xoxb-hidden")
    wrong = {name: check["verdict"] for name, check in checks.items() if check["verdict"] != "ok"}
    assert (status, wrong) == (0, {"registry": "warning", "slack": "warning"})
    assert checks["database"]["message"] == "opens"
    assert checks["backend"]["message"].startswith("llmcompressor: not built")
    assert "HF_HUB_OFFLINE is set" in checks["hub"]["message"]
    assert "hidden" not in json.dumps(checks)


@pytest.mark.slow
def test_a_database_that_another_process_holds_is_a_problem_with_its_pid(examine, home):
    script = f"import duckdb, sys; c = duckdb.connect({str(home / 'bitwright.duckdb')!r}); print(1); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-uc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"1\n"
        status, checks = examine(home)
        holder.stdin.close()
    assert (status, checks["database"]["verdict"]) == (1, "problem")
    assert f"process {holder.pid}" in checks["database"]["message"]


def test_a_lost_card_is_a_warning(examine, home, show_cards):
    status, checks = examine(home, **show_cards(Card(lost=True)))
    assert (status, checks["nvidia"]["verdict"]) == (0, "warning")
    assert "Card 0 is lost" in checks["nvidia"]["message"]


@pytest.fixture
def look_at_home(tmp_path):
    """What is found of a home and its tables, by name."""

    def look(home, data=DATA):
        settings = Settings(home=home, cache=tmp_path / "cache", data=data)
        findings = examine_home(Session(settings, open_workshop, serve_home))
        return {finding.name: finding for finding in findings}

    return look


def test_nothing_is_made_in_a_home_that_is_not_there_yet(look_at_home, tmp_path):
    found = look_at_home(tmp_path / "home")
    assert found["database"].message == "none yet: the first plan makes it"
    assert found["tables"].verdict == "ok"
    assert not (tmp_path / "home").exists()


def test_tables_that_do_not_load_are_a_problem(look_at_home, home, tmp_path):
    broken = Path(shutil.copytree(DATA, tmp_path / "data"))
    (broken / "schemes.csv").write_text("x,y\n1,2\n")
    found = look_at_home(home, broken)["tables"]
    assert found.verdict == "problem"
    assert "BITWRIGHT_DATA" in found.advice


def test_a_home_that_cannot_be_is_a_problem(look_at_home, tmp_path):
    (tmp_path / "file").write_text("")
    assert look_at_home(tmp_path / "file" / "home")["home"].verdict == "problem"


@pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="a file system that takes no folders, whoever asks"
)
def test_a_home_where_no_folder_can_be_made_is_a_problem_that_says_so(look_at_home):
    found = look_at_home(Path("/proc/nope"))["home"]
    assert found.verdict == "problem"
    assert "it cannot be made" in found.message
    assert "BITWRIGHT_HOME" in found.advice


def test_a_file_that_is_no_database_is_a_problem(look_at_home, tmp_path):
    (tmp_path / "bitwright.duckdb").write_text("not one")
    found = look_at_home(tmp_path)["database"]
    assert found.verdict == "problem"
    assert "[database.unreadable]" in found.message


def test_a_server_file_that_a_killed_service_left_is_a_warning(look_at_home, home):
    left = {
        "url": "http://127.0.0.1:9",
        "pid": 2**22 - 1,
        "token": "t0ken",
        "started_at": "2026-01-01T00:00:00",
    }
    (home / "server.json").write_text(json.dumps(left))
    found = look_at_home(home)["service"]
    assert found.verdict == "warning"
    assert "t0ken" not in found.message
