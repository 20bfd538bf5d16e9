"""Errors as the command line shows them: one sentence on standard error, or one JSON object.

What nobody foresaw is told by a reference; its traceback stands under that reference in the home's log.
"""

import errno
import json
import sys
import traceback
import uuid
from pathlib import Path
from typing import Any

import click

from planner.cli.saying import say
from planner.domain.errors import BadInput, BitwrightError, MachineRefused

STOPPED = 130
"""Exit status after Ctrl-C."""
LOG_NAME = "errors.log"


def describe_failure(error: BitwrightError) -> dict[str, Any]:
    """The one error shape: `{"error": {code, message, choices?, suggestions?}}`."""
    described: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.choices:
        described["choices"] = list(error.choices)
    if error.suggestions:
        described["suggestions"] = list(error.suggestions)
    return {"error": described}


def report_failure(error: BitwrightError, *, as_json: bool) -> int:
    """Say what went wrong.

    Returns:
        the exit status.
    """
    if as_json:
        click.echo(json.dumps(describe_failure(error), ensure_ascii=False))
        return error.exit_status
    say(f"error: {error.message}  [{error.code}]", len("error: "), err=True)
    for label, items in (("choose one of", error.choices), ("did you mean", error.suggestions)):
        if items and not all(item in error.message for item in items):
            say(f"  {label}: {' · '.join(items)}", 4, err=True)
    sys.stderr.flush()
    return error.exit_status


def report_usage(error: click.ClickException, *, as_json: bool) -> int:
    """Say what was wrong with the command line itself.

    Returns:
        the exit status.
    """
    if not as_json:
        error.show()
        return BadInput.exit_status
    return report_failure(BadInput("usage", error.format_message()), as_json=True)


def report_unexpected(error: Exception, home: Path, *, as_json: bool) -> int:
    """Say that something unforeseen happened, and keep the traceback under a reference in the home's log.

    Returns:
        the exit status.
    """
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        refused = MachineRefused(
            "output.disk_full", f"No space left to write the answer ({error.filename or 'output'})."
        )
        return report_failure(refused, as_json=False)  # standard output is what is full
    reference = f"e-{uuid.uuid4().hex[:8]}"
    log = home / LOG_NAME
    try:
        home.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{reference}\n{''.join(traceback.format_exception(error))}\n")
        where = f"Its details stand under {reference} in {log}"
    except OSError:
        where = f"Its log {log} cannot be written"
    unforeseen = MachineRefused(
        "unexpected", f"Something unforeseen happened ({type(error).__name__}). {where}: please report it."
    )
    return report_failure(unforeseen, as_json=as_json)
