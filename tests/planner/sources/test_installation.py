"""How Bitwright is installed: packages against their ranges, folders, the registry."""

import importlib.metadata

import pytest

from planner.sources import installation
from planner.sources.installation import ask_registry, find_commands, find_misfits, try_folder


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Makes a distribution that asks for packages, on the path of this process."""

    def make(*asked):
        folder = tmp_path / "asks-1.0.dist-info"
        folder.mkdir()
        lines = [
            "Metadata-Version: 2.1",
            "Name: asks",
            "Version: 1.0",
            *(f"Requires-Dist: {one}" for one in asked),
        ]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return "asks"

    return make


def test_this_installation_fits():
    assert find_misfits() == (
        {},
        len([one for one in importlib.metadata.requires("bitwright") if "extra" not in one]),
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param("click>=99", "was asked for", id="too-old"),
        pytest.param("click<1", "was asked for", id="too-new"),
        pytest.param("no-such-package>=1", "is not installed", id="missing"),
    ],
)
def test_a_package_that_does_not_fit_is_named(distribution, asked, said):
    (misfit,) = find_misfits(distribution(asked, "click>=1", "mypy; extra == 'dev'"))[0].values()
    assert said in misfit


@pytest.mark.parametrize(
    ("version", "sign", "bound", "holds"),
    [
        pytest.param("1.5.10", ">=", "1.5.5", True, id="numbers-are-not-text"),
        pytest.param("1.6.0", "<", "1.6", False, id="trailing-zero"),
        pytest.param("2.0.0rc1", "<", "2", False, id="pre-release"),
        pytest.param("3", "!=", "3.1", True, id="other"),
    ],
)
def test_versions_are_compared_by_their_numbers(version, sign, bound, holds):
    assert installation._holds(version, sign, bound) is holds


def test_the_commands_of_executors_and_bot_load():
    found, failures = find_commands()
    assert ({"executor", "bot"} <= set(found), failures) == (True, {})


def test_a_folder_that_is_not_there_yet_can_be_made(tmp_path):
    why_not, free = try_folder(tmp_path / "a" / "b")
    assert (why_not, free > 0) == ("", True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert try_folder(tmp_path / "file" / "home") == (f"{tmp_path / 'file'} is no folder", 0)


def test_a_registry_that_does_not_answer_is_said_in_time(monkeypatch):
    """Port 9 of this machine answers nobody; the person's other sources are left out."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    monkeypatch.setenv("PIP_NO_INDEX", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    assert "numpy" in ask_registry()
    monkeypatch.setattr(installation, "REGISTRY_SECONDS", 0.01)
    assert "did not answer" in ask_registry()
