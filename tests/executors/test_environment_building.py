"""A backend's environment is built once, whole, by one process at a time."""

import dataclasses
import socket
import threading
import time

import pytest

from executors.environments import EnvironmentSpec, explain_pip, find_interpreter, open_environment
from executors.errors import EnvironmentFailed, JobCancelled, JobRefused


@pytest.fixture
def spec(tmp_path):
    """No packages, so that no network is asked."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# none\n")
    return EnvironmentSpec(
        name="empty",
        requirements=requirements,
        expected_seconds=1,
        expected_disk_bytes=1,
        expected_packages=0,
    )


def build(spec, tmp_path, cancel=None):
    """Open the environment in a cache of the test's own."""
    return open_environment(
        spec,
        cache=tmp_path / "cache",
        log=tmp_path / "log",
        on_build=lambda *_: None,
        cancel=cancel or threading.Event(),
    )


def test_is_built_once_and_found_again(spec, tmp_path):
    first = build(spec, tmp_path)
    assert first.python.is_file()
    stamp = (first.folder / "complete.json").stat().st_mtime_ns
    assert build(spec, tmp_path) == first
    assert (first.folder / "complete.json").stat().st_mtime_ns == stamp


def test_other_pins_are_another_environment(spec, tmp_path):
    first = build(spec, tmp_path)
    spec.requirements.write_text("# none, but said otherwise\n")
    assert build(spec, tmp_path).folder != first.folder


def test_an_interrupted_build_is_never_taken_for_a_finished_one(spec, tmp_path):
    folder = build(spec, tmp_path).folder
    (folder / "complete.json").unlink()
    left_over = folder.with_name(folder.name + ".building-1")
    left_over.mkdir()
    assert (build(spec, tmp_path).folder / "complete.json").is_file()
    assert not left_over.exists()


def test_two_at_once_build_one(spec, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(build(spec, tmp_path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert len(list((tmp_path / "cache" / "environments").iterdir())) == 1


@pytest.mark.slow
def test_a_package_that_is_not_there_is_told_in_pips_words(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    spec.requirements.write_text("bitwright-no-such-package==1\n")
    with pytest.raises(EnvironmentFailed) as failure:
        build(spec, tmp_path)
    assert failure.value.code == "environment.pip"
    assert "bitwright-no-such-package" in failure.value.message
    assert list((tmp_path / "cache" / "environments").iterdir()) == []


@pytest.mark.slow
def test_cancel_ends_the_build_and_leaves_nothing(spec, tmp_path, monkeypatch):
    # pip waits for an index that never answers: a listening socket that accepts nobody.
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        spec.requirements.write_text("anything==1\n")
        cancel = threading.Event()
        timer = threading.Timer(0.5, cancel.set)
        timer.start()
        started = time.monotonic()
        with pytest.raises(JobCancelled):
            build(spec, tmp_path, cancel)
        timer.join()
    assert time.monotonic() - started < 20
    assert list((tmp_path / "cache" / "environments").iterdir()) == []


def test_refuses_when_the_disk_is_too_small(spec, tmp_path):
    with pytest.raises(JobRefused) as refusal:
        build(dataclasses.replace(spec, expected_disk_bytes=10**18), tmp_path)
    assert refusal.value.code == "preflight.disk"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param("OSError: [Errno 28] No space left on device", "environment.disk_full", id="disk"),
        pytest.param("Temporary failure in name resolution", "environment.no_network", id="network"),
        pytest.param("ERROR: ResolutionImpossible", "environment.pip", id="conflict"),
    ],
)
def test_pips_failures_are_told_apart(said, code):
    assert explain_pip("x", ["Collecting x", said]).code == code


def test_no_fitting_python_is_said(spec):
    with pytest.raises(EnvironmentFailed) as failure:
        find_interpreter(dataclasses.replace(spec, python_at_least=(3, 90), python_below=(3, 91)))
    assert failure.value.code == "environment.python"
