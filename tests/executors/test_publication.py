"""Manifests, names that are taken, sweeping, and where an artifact's bytes are."""

import json
import struct

import pytest

from executors.containers import count_content
from executors.errors import ArtifactRejected, JobRefused
from executors.locks import hold_lock
from executors.publish import describe_files, open_partial, publish, sweep_partials


def test_a_published_folder_is_readable_by_others(tmp_path):
    with open_partial(tmp_path / "art", "j1") as partial:
        (partial / "model.safetensors").write_bytes(b"w")
        (partial / "model.safetensors").chmod(0o600)
        publish(partial, tmp_path / "art", {"job_id": "j1"})
    assert (tmp_path / "art" / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_link_is_never_published(tmp_path):
    with open_partial(tmp_path / "art", "j1") as partial:
        (partial / "model.gguf").symlink_to("/etc/passwd")
        with pytest.raises(ArtifactRejected) as refusal:
            publish(partial, tmp_path / "art", {})
    assert refusal.value.code == "publish.odd_file"
    assert list(tmp_path.iterdir()) == []


def test_the_same_job_does_not_run_twice_at_once(tmp_path):
    with (
        open_partial(tmp_path / "art", "j1"),
        pytest.raises(JobRefused) as refusal,
        open_partial(tmp_path / "art", "j1"),
    ):
        pass
    assert refusal.value.code == "lock.busy"


def test_a_folder_that_is_no_artifact_is_not_replaced(tmp_path):
    (tmp_path / "art").mkdir()
    with pytest.raises(JobRefused) as refusal, open_partial(tmp_path / "art", "j1"):
        pass
    assert refusal.value.code == "publish.exists"


def test_sweeping_takes_the_dead_and_leaves_the_living(tmp_path):
    dead = tmp_path / "old.partial-j0"
    dead.mkdir()
    (dead / "half").write_bytes(b"x")
    with open_partial(tmp_path / "art", "j1") as living:
        assert sweep_partials(tmp_path) == ["old.partial-j0"]
        assert living.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_waiting_for_a_lock_ends(tmp_path):
    lock = tmp_path / "lock"
    with hold_lock(lock, wait_seconds=0), pytest.raises(JobRefused), hold_lock(lock, wait_seconds=0.2):
        pass
    assert not lock.exists()


def test_bytes_of_a_gguf_are_told_apart(tmp_path):
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    # Pairs: an array of two strings (tokenizer), a 64-byte alignment, an array of two int32.
    tokens = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc")
    aligned = text("general.alignment") + struct.pack("<II", 4, 64)
    numbers = text("x") + struct.pack("<IIQii", 9, 5, 2, 1, 2)
    table = text("w") + struct.pack("<IQIQ", 1, 100, 0, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + tokens + aligned + numbers + table
    head += bytes(-len(head) % 64)
    (tmp_path / "model.gguf").write_bytes(head + bytes(400))
    content = count_content(tmp_path)
    assert (content.tensor_data, content.tokenizer) == (400, len(tokens))
    assert content.total == len(head) + 400


def test_bytes_of_a_checkpoint_are_told_apart(tmp_path):
    head = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + bytes(16))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "config.json").write_text("{ }")
    content = count_content(tmp_path)
    assert (content.tensor_data, content.tokenizer, content.metadata) == (16, 2, 8 + len(head) + 3)


@pytest.mark.parametrize(
    "content", [b"", b"GGUF", b"nope", b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + b"\xff" * 12]
)
def test_an_unreadable_container_is_rejected(tmp_path, content):
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(ArtifactRejected):
        count_content(tmp_path)


def test_files_are_described_by_path_and_hash(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"")
    (tmp_path / "a").write_bytes(b"a")
    # printf a | sha256sum; the empty file's hash is the well-known one.
    assert describe_files(tmp_path) == [
        {
            "path": "a",
            "bytes": 1,
            "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        },
        {
            "path": "b/c",
            "bytes": 0,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        },
    ]
