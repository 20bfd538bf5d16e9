"""The fixture `bitwright`: the command line in this process; status, output and errors of one command."""

import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from planner.main import main


@pytest.fixture(scope="session")
def shared_home(loaded_home, tmp_path_factory):
    """A home with the tables that commands share: what one records, another may see."""
    return Path(shutil.copytree(loaded_home, tmp_path_factory.mktemp("shared-cli") / "home"))


@pytest.fixture
def bitwright(shared_home, monkeypatch, capsys):
    """Run a command: `bitwright("plan", "demo for cpu").status`."""

    def run(*arguments, home=shared_home, stdin=""):
        monkeypatch.setenv("BITWRIGHT_HOME", str(home))
        monkeypatch.setenv("BITWRIGHT_CACHE", str(shared_home / "cache"))
        monkeypatch.setattr(sys, "argv", ["bitwright", *map(str, arguments)])
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return SimpleNamespace(status=ended.value.code or 0, out=written.out, err=written.err)

    return run
