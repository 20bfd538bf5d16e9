"""The systemd units: what systemd itself says of them where it is there, and what has to be in them anywhere."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
COMMAND = Path(sys.executable).parent / "bitwright"
NEEDS_SYSTEMD = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here"
)
MOST_EXPOSURE = 40
"""Of 100; the executor, which opens cards and runs native code, has 37, the others 20 and less."""


def read_unit(path):
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    unit.read(path)
    return unit


@pytest.fixture(params=UNITS, ids=lambda path: path.stem)
def unit(request):
    return request.param


@pytest.fixture
def installed(unit, tmp_path):
    """The unit with the command of this environment, which exists."""
    path = tmp_path / unit.name
    path.write_text(unit.read_text().replace("/opt/bitwright/bin/bitwright", str(COMMAND)))
    return path


def test_there_is_one_for_each_process():
    assert [path.stem for path in UNITS] == ["bitwright-bot", "bitwright-executor", "bitwright"]


def test_it_runs_as_its_own_user_and_comes_back(unit):
    service = read_unit(unit)["Service"]
    assert service["User"] == "bitwright"
    assert service["Restart"] == "on-failure"
    assert service["StateDirectory"] == "bitwright"
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
    assert service["CapabilityBoundingSet"] == ""


def test_it_holds_no_secret(unit):
    text = unit.read_text()
    assert "xoxb-" not in text
    assert "xapp-" not in text
    assert "TOKEN=" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_the_executor_is_told_alone_to_end(unit):
    if "executor" not in unit.name:
        pytest.skip("the executor's own rule")
    service = read_unit(unit)["Service"]
    assert service["KillMode"] == "mixed"
    assert "BindsTo" not in unit.read_text(), "a job outlives a service that is away"


@NEEDS_SYSTEMD
def test_systemd_finds_no_fault(installed):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(installed)], capture_output=True, text=True, check=False
    )
    faults = [line for line in done.stderr.splitlines() if installed.name in line]
    assert faults == []
    assert done.returncode == 0


@NEEDS_SYSTEMD
def test_systemd_finds_it_little_exposed(installed):
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={MOST_EXPOSURE}",
        str(installed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
