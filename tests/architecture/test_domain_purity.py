"""The domain imports itself, numpy and an allow-list of the standard library: no clock, file, network or chance."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOMAIN = ROOT / "planner" / "domain"
FILES = sorted(DOMAIN.rglob("*.py"))
PURE = frozenset(
    {
        *(
            "bisect",
            "collections",
            "collections.abc",
            "dataclasses",
            "difflib",
            "enum",
            "fractions",
            "functools",
        ),
        *(
            "hashlib",
            "itertools",
            "json",
            "json.encoder",
            "math",
            "operator",
            "re",
            "shlex",
            "statistics",
            "typing",
        ),
        *("unicodedata", "numpy"),
    }
)
"""Modules that compute and nothing else. json and hashlib make text and hashes of values that are at hand."""
REACHING_OUT = frozenset({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(DOMAIN).as_posix())
def test_a_domain_module_reaches_nothing_outside(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    foreign = {name for name in imported(tree) if name not in PURE and not name.startswith("planner.domain.")}
    assert foreign == set()
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert calls & REACHING_OUT == set()


def test_there_is_a_domain_to_look_at():
    assert len(FILES) > 20
