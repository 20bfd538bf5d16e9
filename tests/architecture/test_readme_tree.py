"""README's tree under "Where things are" names every source file, one a line, and none that is gone."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADING = "## Where things are"
PACKAGES = ("planner", "executors")
LINE = re.compile(r"(?P<indent>[\s│├└─|`+-]*)(?P<name>[\w./<>{}*-]+)")


@pytest.fixture(scope="module")
def tree():
    """Every path that the tree names."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert HEADING in readme
    block = re.search(r"```\w*\n(.*?)```", readme.split(HEADING, 1)[1], re.DOTALL)
    assert block is not None, f"{HEADING} holds no fenced tree"
    return set(read_tree(block[1]))


def read_tree(text):
    """Paths from an indented tree: a name that ends in / holds what stands further in below it."""
    folders: list[tuple[int, str]] = []
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None or not line.strip():
            continue
        depth = len(found["indent"])
        while folders and folders[-1][0] >= depth:
            folders.pop()
        path = "".join(name for _, name in folders) + found["name"]
        if path.endswith("/"):
            folders.append((depth, found["name"]))
        yield path


def source_files():
    for package in PACKAGES:
        for suffix in ("*.py", "*.sql"):
            for path in (ROOT / package).rglob(suffix):
                if path.name != "__init__.py":
                    yield path.relative_to(ROOT).as_posix()


def test_reads_a_tree_of_either_kind():
    plain = "planner/   chooses\n  main.py   meets\n  domain/\n    units.py\nexecutors/\n  job.py\n"
    drawn = "planner/\n├── main.py\n└── domain/\n    └── units.py\nexecutors/\n└── job.py\n"
    files = {"planner/main.py", "planner/domain/units.py", "executors/job.py"}
    for text in (plain, drawn):
        assert {path for path in read_tree(text) if not path.endswith("/")} == files


def test_the_tree_names_every_source_file(tree):
    assert sorted(set(source_files()) - tree) == []


def test_every_file_the_tree_names_exists(tree):
    named = {path for path in tree if path.endswith((".py", ".sql")) and not re.search(r"[<>{}*]", path)}
    assert sorted(path for path in named if not (ROOT / path).exists()) == []
