"""Plain sentences on standard output or error: wrapped between words on a terminal, one whole line in a pipe."""

import shutil
import sys
import textwrap

import click


def say(text: str, hang: int = 0, *, err: bool = False, mark: str = "", colour: str | None = None) -> None:
    """Print one line of plain text, on a terminal as many as it takes.

    Args:
        text: the line.
        hang: column at which the lines after the first start.
        err: to standard error.
        mark: the first word, to be coloured.
        colour: its colour.
    """
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        text = "\n".join(wrap_plain(text, shutil.get_terminal_size().columns, hang))
    click.echo(click.style(mark, fg=colour) + text.removeprefix(mark) if mark else text, err=err)


def wrap_plain(text: str, width: int, hang: int) -> list[str]:
    """Lines of plain text, broken at spaces only."""
    return textwrap.wrap(
        text,
        width,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
