"""Errors as the command line shows them: one sentence on standard error, or one JSON object."""

import json
import sys
from typing import Any

import click

from planner.domain.errors import BitwrightError


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
    click.echo(f"error: {error.message}  [{error.code}]", err=True)
    for label, items in (("choose one of", error.choices), ("did you mean", error.suggestions)):
        if items and not all(item in error.message for item in items):
            click.echo(f"  {label}: {' · '.join(items)}", err=True)
    sys.stderr.flush()
    return error.exit_status
