"""The command as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "bitwright"


@pytest.fixture
def start_bitwright():
    """The real command as a process of its own, for what only a process has: limits, locks, a shell."""

    def run(*arguments, home, **options):
        environment = {**os.environ, "BITWRIGHT_HOME": str(home), "BITWRIGHT_CACHE": str(home) + "-cache"}
        return subprocess.run(
            [COMMAND, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    return run
