"""JSON lines in, one JSON line out for each, in order: a bad line is answered by an error, never skipped."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from planner.cli.failures import describe_failure
from planner.domain.errors import BadInput, BitwrightError

JSON_LINES = click.File("r", encoding="utf-8", errors="replace")
"""A file of JSON lines, or - for standard input."""


def answer_lines(answer_one: Callable[[Mapping[str, Any]], dict[str, Any]], lines: Iterable[str]) -> int:
    """Answer each line that is not blank; how many were refused is said on standard error.

    Returns:
        the exit status: 0, for every line was answered.
    """
    answered = refused = 0
    for line in lines:
        if not line.strip():
            continue
        answered += 1
        try:
            answer = answer_one(read_line(line))
        except BitwrightError as error:
            answer = describe_failure(error)
            refused += 1
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    if refused:
        click.echo(
            f'{refused} of {answered} lines were refused; the "error" in each answer says why', err=True
        )
    return 0


def read_line(line: str) -> Mapping[str, Any]:
    """One line's fields.

    Raises:
        BadInput: `batch.not_json`.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput("batch.not_json", f"Not a JSON line: {error}.") from error
    if not isinstance(fields, dict):
        raise BadInput("batch.not_json", "A batch line is one JSON object.")
    return fields
