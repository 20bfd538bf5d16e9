"""Text to calibrate with and text to judge with: the docstrings of Python's standard library.

Modules are split by name into two sets that share none, so that nothing is judged on what it was calibrated
with. Sources are parsed, not imported, so that `-OO` changes nothing. The text differs between Python
releases: its SHA-256 goes into the manifest, and scores compare only under one SHA-256. It is English about
programming; calibrate on text of your own domain where you have some.
"""

import ast
import hashlib
import json
import os
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.errors import JobRefused

SKIPPED = ("test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "__pycache__", "_pyrepl")
SHORTEST_DOCSTRING = 60
# Of four modules one is held out: judging needs far less text than calibrating.
HELD_OUT_ONE_IN = 4
SOURCE = "Python standard library docstrings"


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text in a file, and the hash that names it."""

    path: Path
    sha256: str
    source: str  # for people: where it came from


def open_standard_texts(cache: Path, stdlib: Path | None = None) -> tuple[Text, Text]:
    """Calibration text and held-out text from the standard library's docstrings, written to the cache.

    Raises:
        JobRefused: `corpus.no_sources`, where Python was installed without them.
    """
    root = stdlib or Path(sysconfig.get_path("stdlib"))
    if (kept := _find_kept(cache, root)) is not None:
        return kept
    parts: tuple[list[str], list[str]] = ([], [])
    for name, docstrings in read_docstrings(root):
        parts[is_held_out(name)].append(f"{name}\n\n" + "\n\n".join(docstrings))
    if not parts[0] or not parts[1]:
        raise JobRefused(
            "corpus.no_sources",
            f"Python's standard library at {root} has no sources to take text from. Install them.",
        )
    calibration, held_out = ("\n\n\n".join(part) + "\n" for part in parts)
    texts = _keep(cache, "calibration", calibration), _keep(cache, "held-out", held_out)
    _write_whole(_index_of(cache, root), json.dumps([text.path.name for text in texts]))
    return texts


def open_user_text(path: Path, scratch: Path) -> Text:
    """A person's own calibration file as plain text: .jsonl with a "text" in every line, or any text file.

    Raises:
        JobRefused: `corpus.missing`, `corpus.not_text`, `corpus.bad_line`, `corpus.empty`.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise JobRefused(
            "corpus.missing", f"Cannot read {path.name}: {error.strerror}. Check the path."
        ) from None
    except UnicodeDecodeError:
        raise JobRefused("corpus.not_text", f"{path.name} is not UTF-8 text. Convert it first.") from None
    if path.suffix in (".jsonl", ".ndjson"):
        text = "\n\n".join(_read_lines(path.name, text))
    if not text.strip():
        raise JobRefused("corpus.empty", f"{path.name} holds no text. Give a file that does.")
    target = scratch / "calibration.txt"
    target.write_text(text, encoding="utf-8")
    return Text(path=target, sha256=hashlib.sha256(content).hexdigest(), source=path.name)


def read_docstrings(stdlib: Path) -> Iterator[tuple[str, list[str]]]:
    """Module names with their docstrings, in the order of names; modules without any left out."""
    for path in sorted(stdlib.rglob("*.py"), key=lambda found: found.relative_to(stdlib).as_posix()):
        relative = path.relative_to(stdlib)
        if any(part in SKIPPED or part.startswith("config-") for part in relative.parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [ast.get_docstring(node) or "" for node in walk_statements(tree) if isinstance(node, kinds)]
        if docstrings := [text for text in found if len(text) >= SHORTEST_DOCSTRING]:
            yield ".".join(relative.with_suffix("").parts), docstrings


def walk_statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes of `ast.walk`, in its order, but for expressions: most of a tree, and no docstring is in them."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        for field in ("body", "handlers", "orelse", "finalbody", "cases"):
            waiting.extend(getattr(node, field, ()))


def is_held_out(module: str) -> bool:
    """Which of the two sets a module belongs to, by its name alone."""
    return hashlib.sha256(module.encode()).digest()[0] % HELD_OUT_ONE_IN == 0


def _keep(cache: Path, name: str, text: str) -> Text:
    """Write the text under its own hash, once."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = cache / "corpus" / f"{name}-{digest[:16]}.txt"
    if not path.is_file():
        _write_whole(path, text)
    return Text(path=path, sha256=digest, source=SOURCE)


def _find_kept(cache: Path, root: Path) -> tuple[Text, Text] | None:
    """The texts made earlier from this library; parsing a thousand modules takes seconds."""
    try:
        names = json.loads(_index_of(cache, root).read_text(encoding="utf-8"))
        paths = [cache / "corpus" / str(name) for name in names]
        first, second = (
            Text(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), source=SOURCE)
            for path in paths
        )
    except (OSError, ValueError):
        return None
    # A text that someone changed no longer bears its name.
    return (first, second) if all(text.sha256[:16] in text.path.name for text in (first, second)) else None


def _index_of(cache: Path, root: Path) -> Path:
    """Which texts were made from this library, this Python and these rules."""
    parts = (str(root), sys.version, str(SKIPPED), str(SHORTEST_DOCSTRING), str(HELD_OUT_ONE_IN))
    return cache / "corpus" / f"index-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}.json"


def _write_whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _read_lines(name: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            content = row["text"]
        except (ValueError, KeyError, TypeError):
            content = None
        if not isinstance(content, str):
            raise JobRefused(
                "corpus.bad_line",
                f'Line {number} of {name} is no JSON object with a "text". Correct or remove it.',
            )
        yield content
