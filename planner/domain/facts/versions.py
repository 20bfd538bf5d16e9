"""Versions of engines as people write them, compared by their leading numbers.

Free text holds them in many ways (`0.6.3.post1`, `>=0.10.0`, `0.7.x V1`, `0.10.0.dev`): the first dotted number
counts. A build that carries no release (`0.1.dev16944`, a commit, `nightly 2025-11`) is taken for the newest.
"""

import re

Version = tuple[int, ...]

DOTTED = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)(\.?dev\d+)?")
PARTS = 4
"""Numbers that are compared."""
LINE = 2
"""Numbers that name a line of releases."""
LAST_OF_LINE = 1 << 30
UNTAGGED = (0, 1)
"""What setuptools-scm calls a build of a checkout without tags: no release at all."""


def just_after(version: Version) -> Version:
    """The least version above a release: where what is missing in it may have come."""
    return (*_pad(version)[: PARTS - 1], 1)


def read_version(text: str | None) -> Version | None:
    """The first version in a text; None where it names none, which means the newest known."""
    for found in DOTTED.finditer(text or ""):
        version = tuple(int(part) for part in found[1].split("."))
        if found[2] and version == UNTAGGED:
            continue
        return version
    return None


def write_version(version: Version | None) -> str:
    """`0.10.1`; empty for the newest known."""
    return ".".join(map(str, version)) if version else ""


def is_within(
    version: Version | None, since: Version | None, before: Version | None, *, whole_line: bool = False
) -> bool:
    """Whether a version (None: the newest) is at least `since` and below `before`; None bounds nothing.

    A version of two numbers (`0.4` of `0.4.x`) is a whole line: within when any of its releases is, or when all
    of them are with `whole_line`.
    """
    if version is None:
        return before is None
    first = last = _pad(version)
    if len(version) <= LINE:
        last = _pad((*version, LAST_OF_LINE))
    low, high = (first, last) if whole_line else (last, first)
    return (since is None or low >= _pad(since)) and (before is None or high < _pad(before))


def is_newer_than(version: Version, known: Version) -> bool:
    """Whether a version is of a later release line (its first two numbers) than any that is known."""
    return _pad(version)[:LINE] > _pad(known)[:LINE]


def _pad(version: Version) -> Version:
    return (*version, *(0,) * PARTS)[:PARTS]
