"""Each setting says which variable it is, and no variable is read that no setting names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("planner", "executors", "bot")
SETTINGS = [path for name in PACKAGES if (path := ROOT / name / "settings.py").exists()]
HANDED_ON = {"BITWRIGHT", "BITWRIGHT_LIFELINE", "BITWRIGHT_HANDED_TOKEN"}
"""Not for people: the name alone, and what a process gives to the ones it starts."""
VARIABLE = re.compile(r"BITWRIGHT_[A-Z][A-Z_]*")


def fields_of(path):
    """(field, its docstring, its default as source) of the Settings dataclass."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (settings,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    for node, following in zip(settings.body, [*settings.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign):
            text = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                text = str(following.value.value)
            yield node.target.id, text, ast.unparse(node.value) if node.value else ""


def variables_in(path):
    return set(VARIABLE.findall(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.parent.name)
def test_every_setting_names_its_variable_and_says_what_it_is(path):
    for name, text, _ in fields_of(path):
        assert re.match(r"BITWRIGHT_[A-Z_]+: \S", text), f"{path.parent.name}: {name} is not documented"


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.parent.name)
def test_every_variable_that_is_read_is_a_setting(path):
    documented = {VARIABLE.match(text)[0] for _, text, _ in fields_of(path)}
    read = {
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        if VARIABLE.fullmatch(str(node.args[0].value))
    }
    assert read <= documented


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.parent.name)
def test_a_secret_does_not_print_itself(path):
    for name, _, default in fields_of(path):
        if name.endswith(("token", "secret", "password", "key")):
            assert "repr=False" in default, f"{path.parent.name}: {name} would print itself"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_variable_is_named_anywhere_that_no_setting_documents(package):
    known = {VARIABLE.match(text)[0] for path in SETTINGS for _, text, _ in fields_of(path)}
    named = {}
    for path in (ROOT / package).rglob("*.py"):
        for variable in variables_in(path):
            named.setdefault(variable.rstrip("_"), path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in named.items() if name not in known | HANDED_ON} == {}
