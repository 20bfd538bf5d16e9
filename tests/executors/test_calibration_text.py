"""Calibration and held-out text: disjoint, the same every time, and a person's own file read with care."""

import hashlib
import os

import pytest

from executors import references
from executors.corpus import is_held_out, open_standard_texts, open_user_text, read_docstrings
from executors.errors import JobRefused
from executors.preflight import available_ram_bytes

LONG = "A sentence that is long enough to be taken as documentation of something or other."


@pytest.fixture
def stdlib(tmp_path):
    """A small standard library, some of it unreadable."""
    root = tmp_path / "lib"
    (root / "test").mkdir(parents=True)
    for number in range(12):
        (root / f"module{number}.py").write_text(f'"""{LONG} {number}"""\n')
    (root / "broken.py").write_text("def (:\n")
    (root / "short.py").write_text('"""Short."""\n')
    (root / "test" / "test_x.py").write_text(f'"""{LONG}"""\n')
    return root


def test_the_two_texts_share_no_module(stdlib, tmp_path):
    calibration, held_out = open_standard_texts(tmp_path / "cache", stdlib)
    for number in range(12):
        sentence = f"{LONG} {number}\n"
        in_held_out = sentence in held_out.path.read_text()
        assert in_held_out == is_held_out(f"module{number}")
        assert in_held_out != (sentence in calibration.path.read_text())


def test_the_texts_are_the_same_every_time_and_named_by_hash(stdlib, tmp_path):
    first = open_standard_texts(tmp_path / "one", stdlib)
    second = open_standard_texts(tmp_path / "two", stdlib)
    kept = open_standard_texts(tmp_path / "two", stdlib)
    assert (
        [text.sha256 for text in first] == [text.sha256 for text in second] == [text.sha256 for text in kept]
    )
    assert hashlib.sha256(first[0].path.read_bytes()).hexdigest() == first[0].sha256


def test_a_kept_text_that_was_changed_is_made_again(stdlib, tmp_path):
    calibration, _ = open_standard_texts(tmp_path, stdlib)
    calibration.path.write_text("tampered")
    calibration.path.unlink()
    assert open_standard_texts(tmp_path, stdlib)[0].sha256 == calibration.sha256


def test_leaves_out_tests_and_what_cannot_be_parsed(stdlib):
    names = [name for name, _ in read_docstrings(stdlib)]
    assert names == sorted(names, key=lambda name: f"{name}.py")
    assert len(names) == 12


def test_says_so_when_python_has_no_sources(tmp_path):
    (tmp_path / "lib").mkdir()
    with pytest.raises(JobRefused) as refusal:
        open_standard_texts(tmp_path / "cache", tmp_path / "lib")
    assert refusal.value.code == "corpus.no_sources"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("a.txt", b"\xef\xbb\xbfone\n", "one\n", id="plain-with-byte-order-mark"),
        pytest.param("a.jsonl", b'{"text": "one"}\n\n{"text": "two", "id": 2}\n', "one\n\ntwo", id="jsonl"),
    ],
)
def test_reads_a_persons_own_file(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    text = open_user_text(tmp_path / name, tmp_path)
    assert text.path.read_text() == expected
    assert text.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        pytest.param("a.txt", None, "corpus.missing", id="missing"),
        pytest.param("a.txt", b" \n", "corpus.empty", id="empty"),
        pytest.param("a.txt", b"\xff\xfe", "corpus.not_text", id="not-text"),
        pytest.param(
            "a.jsonl", b'{"text": "one"}\n{"prompt": 1}\n', "corpus.bad_line", id="line-without-text"
        ),
        pytest.param("a.jsonl", b'{"text": "one"', "corpus.bad_line", id="cut-off"),
    ],
)
def test_refuses_a_file_it_cannot_use(tmp_path, name, content, code):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(JobRefused) as refusal:
        open_user_text(tmp_path / name, tmp_path)
    assert refusal.value.code == code


def test_free_memory_heeds_a_control_groups_limit(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    1000 kB\n")
    assert available_ram_bytes(tmp_path / "meminfo", tmp_path) == 1_024_000
    (tmp_path / "memory.max").write_text("600000\n")
    (tmp_path / "memory.current").write_text("100000\n")
    assert available_ram_bytes(tmp_path / "meminfo", tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_ram_bytes(tmp_path / "meminfo", tmp_path) == 1_024_000


def test_kept_references_stay_within_a_limit_newest_first(tmp_path, monkeypatch):
    monkeypatch.setattr(references, "KEPT_REFERENCES_BYTES", 25)
    for age, name in enumerate(("new.logprobs", "old-bf16.gguf", "older.logprobs", "oldest.logprobs")):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    references.prune_references(tmp_path, keep=("oldest.logprobs",))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "new.logprobs",
        "old-bf16.gguf",
        "oldest.logprobs",
    ]


def test_half_written_references_of_the_dead_are_swept(tmp_path):
    for name, changed in (("a.logprobs.partial-1", 0), ("b.logprobs.partial-2", None)):
        (tmp_path / name).write_bytes(b"x")
        if changed is not None:
            os.utime(tmp_path / name, (changed, changed))
    references.sweep_references(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.logprobs.partial-2"]
