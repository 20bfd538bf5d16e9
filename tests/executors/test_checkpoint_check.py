"""Broken checkpoints are refused before anything is loaded, by every backend's script."""

import importlib
import json
import struct
import sys
from pathlib import Path

import pytest

BACKENDS = Path(__file__).parents[2] / "executors" / "backends"


@pytest.fixture
def scripts(monkeypatch):
    """The modules that backend scripts share, importable as they are there."""
    monkeypatch.syspath_prepend(str(BACKENDS))
    yield importlib.import_module("checkpoint"), importlib.import_module("jobwire")
    for name in ("checkpoint", "jobwire"):
        sys.modules.pop(name, None)


@pytest.fixture
def whole(tmp_path):
    """Two shards, one tensor each, with an index."""
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    write_shard(tmp_path / "a.safetensors", "x.weight")
    write_shard(tmp_path / "b.safetensors", "y.weight")
    weight_map = {"x.weight": "a.safetensors", "y.weight": "b.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (tmp_path / "tokenizer.json").write_text("{}")
    return tmp_path


def write_shard(path, name):
    """One 2 by 8 tensor of 16 bits: 32 bytes."""
    head = json.dumps({name: {"dtype": "BF16", "shape": [2, 8], "data_offsets": [0, 32]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(32))


def test_a_whole_checkpoint_gives_its_shapes(scripts, whole):
    checkpoint, _ = scripts
    assert checkpoint.read_config(whole)["architectures"] == ["LlamaForCausalLM"]
    assert checkpoint.read_shapes(whole) == {"x.weight": [2, 8], "y.weight": [2, 8]}
    checkpoint.check_tokenizer(whole)


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        pytest.param(lambda f: (f / "config.json").unlink(), "backend.no_config", id="no-config"),
        pytest.param(
            lambda f: (f / "config.json").write_text('{"arch'), "backend.bad_config", id="config-cut"
        ),
        pytest.param(
            lambda f: (f / "config.json").write_text("{}"), "backend.bad_config", id="no-architecture"
        ),
        pytest.param(lambda f: (f / "b.safetensors").unlink(), "backend.missing_shard", id="missing-shard"),
        pytest.param(lambda f: shorten(f / "b.safetensors", 1), "backend.truncated_shard", id="data-cut"),
        pytest.param(lambda f: shorten(f / "b.safetensors", 60), "backend.truncated_shard", id="header-cut"),
        pytest.param(lambda f: (f / "b.safetensors").write_bytes(b""), "backend.truncated_shard", id="empty"),
        pytest.param(
            lambda f: write_shard(f / "b.safetensors", "z"), "backend.missing_tensor", id="other-tensor"
        ),
        pytest.param(
            lambda f: (f / "model.safetensors.index.json").write_text("{"),
            "backend.bad_index",
            id="index-cut",
        ),
        pytest.param(lambda f: (f / "tokenizer.json").unlink(), "backend.no_tokenizer", id="no-tokenizer"),
    ],
)
def test_a_broken_checkpoint_is_refused_with_what_to_do(scripts, whole, harm, code):
    checkpoint, jobwire = scripts
    harm(whole)
    with pytest.raises(jobwire.JobError) as refusal:
        check_all(checkpoint, whole)
    assert refusal.value.code == code


def check_all(checkpoint, folder):
    """What every quantize.py asks first."""
    checkpoint.read_config(folder)
    checkpoint.read_shapes(folder)
    checkpoint.check_tokenizer(folder)


def shorten(path, count):
    """Cut bytes off the end."""
    path.write_bytes(path.read_bytes()[:-count])
