"""Each scheme really made from the demo model: it loads, generates, is sane, and its manifest is true."""

import hashlib
import json
import struct
import threading
from pathlib import Path

import pytest

from executors.demo_model import DEMO_MODEL_ID, open_demo_model
from executors.errors import BackendFailed
from executors.jobs import run_job

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo_model(real_cache):
    """The demo model's folder, made if it is not there."""
    return open_demo_model(cache=real_cache, on_event=lambda _: None, cancel=threading.Event())


def run_real(cache, artifacts, model_dir, backend, scheme, **changes):
    """Run a job on a real backend; its answer and the events it told."""
    events = []
    job = {
        "job_id": "slow",
        "decision_id": "d-test",
        "model_id": DEMO_MODEL_ID,
        "model_dir": str(model_dir),
        "backend": backend,
        "scheme": scheme,
        "method": "rtn",
        "format": "gguf" if backend == "llamacpp" else "compressed-tensors",
        "calibration_samples": 8,
        "calibration_tokens": 256,
        "needs": {"ram_bytes": 2**30, "disk_bytes": 2**30},
        "threads": 2,
        "evaluation_chunks": 4,
        **changes,
    }
    done = run_job(job, cache=cache, artifacts=artifacts, on_event=events.append, cancel=threading.Event())
    return done, events


# Bounds on perplexity / baseline are wide around what was measured on 4 to 8 windows: Q8_0 1.001, Q4_K_M 1.07,
# FP8 1.02, RTN g64 1.34 to 1.45, GPTQ g64 1.19 to 1.21. Tensor data by hand, with 28,311,552 embeddings (tied),
# 106,168,320 weights and 155,520 rows in 210 linear layers, and 35,136 norm weights:
#   Q8_0   (28,311,552 + 106,168,320) x 34/32 + 35,136 x 4
#   FP8    106,168,320 + 155,520 x 2 + (28,311,552 + 35,136) x 2
#   W4A16  106,168,320 / 2 + 106,168,320 / 64 x 2 + 210 x 16 (weight_shape) + (28,311,552 + 35,136) x 2
# Q4_K_M is as measured: its fallbacks are the planner's to predict.
@pytest.mark.parametrize(
    ("backend", "scheme", "method", "group_size", "worst_ratio", "tensor_data_bytes"),
    [
        pytest.param("llamacpp", "Q8_0", "rtn", None, 1.02, 143_025_408, id="Q8_0"),
        pytest.param("llamacpp", "Q4_K_M", "rtn", None, 1.15, 103_668_480, id="Q4_K_M"),
        pytest.param("llmcompressor", "FP8_DYNAMIC", "rtn", None, 1.08, 163_172_736, id="FP8_DYNAMIC"),
        pytest.param("llmcompressor", "W4A16", "rtn", 64, 1.8, 113_098_656, id="W4A16-rtn-g64"),
        pytest.param("llmcompressor", "W4A16", "gptq", 64, 1.5, 113_098_656, id="W4A16-gptq-g64"),
    ],
)
def test_makes_what_it_says(
    real_cache, demo_model, tmp_path, backend, scheme, method, group_size, worst_ratio, tensor_data_bytes
):
    done, events = run_real(
        real_cache, tmp_path, demo_model, backend, scheme, method=method, group_size=group_size
    )
    measurement, manifest = done["measurement"], done["manifest"]
    assert 0.98 < measurement["perplexity_ratio"] < worst_ratio
    assert 5 < measurement["baseline_perplexity"] < 30
    assert 0 <= measurement["kl_divergence"] < 0.7
    assert measurement["generated"].strip()
    assert measurement["tensor_data_bytes"] == tensor_data_bytes
    assert measurement["peak_ram_bytes"] < 4 * 2**30
    folder = Path(done["artifact_dir"])
    on_disk = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert {file["path"] for file in manifest["files"]} == on_disk
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    assert (manifest["calibration"] is not None) == (method == "gptq")
    stages = {event["stage"] for event in events if event["event"] == "stage"}
    assert {"environment", "load", "quantize", "evaluate", "publish"} <= stages
    assert ("calibrate" in stages) == (method == "gptq")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_demo_model_is_the_packaged_one_in_other_clothes(demo_model):
    """134,515,008 parameters: 49152 x 576 + 30 x (2 x 576^2 + 2 x 192 x 576 + 3 x 1536 x 576 + 2 x 576) + 576."""
    with (demo_model / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__")
    assert len(header) == 272
    assert (demo_model / "model.safetensors").stat().st_size - 8 - length == 2 * 134_515_008


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"group_size": 128}, "backend.group_not_divisible", id="group-128-of-576-columns"),
        pytest.param(
            {"group_size": 64, "method": "gptq", "calibration_samples": 100_000},
            "backend.calibration_too_short",
            id="too-little-calibration-text",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(real_cache, demo_model, tmp_path, changes, code):
    with pytest.raises(BackendFailed) as failure:
        run_real(real_cache, tmp_path, demo_model, "llmcompressor", "W4A16", **changes)
    assert failure.value.code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("backend", "scheme"), [("llamacpp", "Q8_0"), ("llmcompressor", "FP8_DYNAMIC")])
def test_a_cut_off_config_is_refused(real_cache, demo_model, tmp_path, backend, scheme):
    broken, artifacts = tmp_path / "broken", tmp_path / "artifacts"
    broken.mkdir()
    for path in demo_model.iterdir():
        (broken / path.name).symlink_to(path)
    (broken / "config.json").unlink()
    (broken / "config.json").write_text((demo_model / "config.json").read_text()[:100])
    with pytest.raises(BackendFailed) as failure:
        run_real(real_cache, artifacts, broken, backend, scheme)
    assert failure.value.code == "backend.bad_config"
    assert list(artifacts.iterdir()) == []
