"""What a machine refuses is status 1 in one sentence: no home, a held file, a full disk; nothing is half-written."""

import json
import os
import resource
import subprocess
import sys

import pytest


def test_a_home_that_cannot_be_made_is_status_1(bitwright, tmp_path):
    (tmp_path / "file").write_text("")
    ran = bitwright("plan", "qwen-72b for A6000", home=tmp_path / "file" / "home")
    assert (ran.status, ran.out) == (1, "")
    assert "[home.not_writable]" in ran.err
    assert "BITWRIGHT_HOME" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable to root")
def test_a_home_that_may_not_be_written_is_status_1(bitwright, tmp_path):
    (tmp_path / "home").mkdir(mode=0o500)
    ran = bitwright("plan", "qwen-72b for A6000", home=tmp_path / "home")
    assert (ran.status, ran.out) == (1, "")
    assert "[home.not_writable]" in ran.err


def test_a_database_held_by_another_process_is_status_1_with_its_pid(bitwright, home, monkeypatch):
    monkeypatch.setattr("planner.store.connection.LOCK_WAIT_S", 0.1)
    script = f"import duckdb, sys; c = duckdb.connect({str(home / 'bitwright.duckdb')!r}); print(1); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-uc", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"1\n"
        ran = bitwright("plan", "qwen-72b for A6000", home=home)
        holder.stdin.close()
    assert (ran.status, ran.out) == (1, "")
    assert "[database.held]" in ran.err
    assert str(holder.pid) in ran.err


@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(4096, id="at-the-first-page"),
        pytest.param(30_000, id="while-tables-are-made", marks=pytest.mark.slow),
        pytest.param(3_000_000, id="while-the-tables-are-filled", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_status_1_and_leaves_a_home_that_works_later(
    start_bitwright, tmp_path, monkeypatch, limit
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # Python would keep a compiled module cut at the limit

    def allow_small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    home = tmp_path / "home"
    ran = start_bitwright("plan", "qwen-72b for A6000", home=home, preexec_fn=allow_small_files_only)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "[home.disk_full]" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    later = start_bitwright("decisions", "--json", home=home)
    assert (later.returncode, json.loads(later.stdout)) == (0, {"decisions": []})


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_reader_that_has_gone_is_no_failure(home, options):
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-m", "planner.main", "plan", "qwen-72b for A6000 and 24k context", *options],
        env={**os.environ, "BITWRIGHT_HOME": str(home)},
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_the_command_itself_ends_with_its_status(start_bitwright, home):
    ran = start_bitwright("plan", "qwen-72b for 2x A600", home=home)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "A6000" in ran.stderr
