"""Where text for people goes: a terminal is what the system calls one, whatever FORCE_COLOR says.

rich takes FORCE_COLOR for a terminal, and would cut lines of a pipe at eighty columns. Here it asks for colour alone.
"""

import os
import sys

from rich.console import Console


def make_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console on standard output or error; `width` holds in a pipe, a terminal has its own."""
    stream = sys.stderr if stderr else sys.stdout
    is_terminal = stream.isatty()
    wants_colour = bool(os.environ.get("FORCE_COLOR")) and not is_terminal and not os.environ.get("NO_COLOR")
    return Console(
        stderr=stderr,
        highlight=False,
        force_terminal=is_terminal,
        color_system="standard" if wants_colour else "auto",
        width=None if is_terminal else width,
    )
