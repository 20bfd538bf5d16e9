"""The real command in real processes, over a home and a cache of its own, with a backend that does as told."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

FAKE = Path(__file__).parents[1] / "fakes" / "backends" / "fake"


class Shell:
    """Runs `bitwright` as a person does; knows which of its processes still live."""

    def __init__(self, home, cache, backends=None):
        self.home = home
        self.environment = {**os.environ, "BITWRIGHT_HOME": str(home), "BITWRIGHT_CACHE": str(cache)}
        if backends is not None:
            self.environment["BITWRIGHT_BACKENDS"] = str(backends)

    def start(self, *arguments, stdin=None):
        return subprocess.Popen(
            [sys.executable, "-m", "planner.main", *arguments],
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, exit_status=0):
        process = self.start(*arguments)
        output, complaints = process.communicate()
        assert process.returncode == exit_status, complaints + output
        return output

    def ask(self, *arguments):
        return json.loads(self.run(*arguments, "--json"))

    def processes(self):
        """Every living process of this home: the service, the executor, the backend."""
        mark = f"BITWRIGHT_HOME={self.home}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                is_ours = mark in (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if command and (is_ours or str(self.home.parent) in command):
                found[int(entry.name)] = command
        return found

    def find_process(self, words):
        return next(pid for pid, command in self.processes().items() if words in command)

    @staticmethod
    def wait_until(condition, seconds=20.0):
        """Wait for something to become true; what it answered."""
        deadline = time.monotonic() + seconds
        while not (answer := condition()):
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)
        return answer

    def artifacts(self):
        folder = self.home / "artifacts"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture(scope="session")
def fake_cache(tmp_path_factory):
    """One cache for these tests: the fake backend's empty environment is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def real_shell():
    """Builds a shell over a home and a cache, with the backends that came with the package."""
    return Shell


@pytest.fixture
def shell(home, tmp_path, fake_cache):
    """A shell whose `llamacpp` behaves as `shell.behave` says."""
    backends = tmp_path / "backends"
    opened = Shell(home, fake_cache, backends)
    opened.behave = lambda how: make_backend(backends / "llamacpp", how)
    opened.behave("GOOD")
    return opened


def make_backend(folder, how):
    """A copy of the fake backend under llama.cpp's name, which behaves one way whatever the scheme."""
    shutil.copytree(FAKE, folder, dirs_exist_ok=True)
    described = (FAKE / "backend.toml").read_text()
    described = described.replace('name = "fake"', 'name = "llamacpp"').replace('"GOOD"', '"GOOD", "Q8_0"')
    (folder / "backend.toml").write_text(described)
    script = (FAKE / "quantize.py").read_text()
    (folder / "quantize.py").write_text(script.replace('scheme = job["scheme"]', f'scheme = "{how}"'))
