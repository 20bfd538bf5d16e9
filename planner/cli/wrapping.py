"""Long styled lines: wrapped between words under their own column on a terminal, whole in a pipe.

A word is never cut, so that a path or an id can be copied; one that is wider than the terminal stands alone.
"""

import re

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

WIDE_ENOUGH = 40
"""Columns that text beside a head wants; with fewer it goes beneath the head."""
BENEATH = 2
CONTINUED = " \\"
SPACED_WORD = re.compile(r"\s*(?P<word>\S+)")
SHELL_WORD = re.compile(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+")


def print_wrapped(console: Console, line: Text, hang: int) -> None:
    """Print one styled line; on a terminal what follows the first line starts at column `hang`."""
    for part in wrap_styled(console, line, hang) if console.is_terminal else [line]:
        console.print(part, soft_wrap=True)


def wrap_styled(console: Console, line: Text, hang: int) -> list[Text]:
    """Lines of a styled text whose first `hang` columns are its label."""
    label, rest = line[:hang], line[hang:]
    parts = _break_between_words(rest, console.width - hang)
    indents = [label, *[Text(" " * hang)] * (len(parts) - 1)]
    return [indent + part for indent, part in zip(indents, parts, strict=True)]


def _break_between_words(text: Text, width: int) -> list[Text]:
    starts, end = [0], 0
    for word in SPACED_WORD.finditer(text.plain):
        if end and cell_len(text.plain[starts[-1] : word.end()]) > width:
            starts.append(word.start("word"))
        end = word.end()
    parts = [text[start:stop] for start, stop in zip(starts, [*starts[1:], len(text)], strict=True)]
    for part in parts:
        part.rstrip()
    return parts


def set_beside(console: Console, head: Text, tail: Text, column: int, indent: int) -> list[Text]:
    """A head with its text beside it at `column`, or beneath it where a terminal leaves too little room."""
    room = console.width - indent - column
    if console.is_terminal and room < min(len(tail), WIDE_ENOUGH):
        hang = indent + BENEATH
        beneath = wrap_styled(console, Text(" " * hang) + tail[_count_leading(tail) :], hang)
        above = wrap_lines(console, head, indent) if head else []
        return [*above, *(part[indent:] for part in beneath)]
    line = head.copy()
    line.pad_right(max(0, column - len(line)))
    if not console.is_terminal:
        return [line + tail]
    whole = wrap_styled(console, Text(" " * indent) + line + tail, indent + max(column, len(head)))
    return [part[indent:] for part in whole]


def _count_leading(text: Text) -> int:
    return len(text.plain) - len(text.plain.lstrip())


def wrap_lines(console: Console, text: Text, indent: int) -> list[Text]:
    """Lines of a styled text that starts at column `indent`, without that indent."""
    if not console.is_terminal:
        return [text]
    return [part[indent:] for part in wrap_styled(console, Text(" " * indent) + text, indent)]


def wrap_command(console: Console, command: str, indent: int) -> list[str]:
    """Lines of a shell command, broken between its words with a backslash so that it can be pasted."""
    if not console.is_terminal or len(command) <= console.width - indent:
        return [command]
    lines = [""]
    for word in SHELL_WORD.findall(command):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else f"{lines[-1]}{word}"
        if lines[-1].strip() and len(longer) + len(CONTINUED) > console.width - indent:
            lines[-1] += CONTINUED
            lines.append(" " * BENEATH + word)
        else:
            lines[-1] = longer
    return lines
