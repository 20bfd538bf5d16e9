"""Predicted artifact beside the files that executors really wrote, where this machine has any of the demo model."""

import json

import pytest

from planner.main import open_workshop
from planner.settings import read_settings
from planner.usecases.estimate_candidate import estimate_candidate

pytestmark = pytest.mark.slow
DEMO = "local/smollm2-135m-instruct-from-q4_1"
TOLERANCE = 0.005


def published():
    """Manifests of the demo model's artifacts in the home that this environment names."""
    found = []
    for path in sorted((read_settings().home / "artifacts").glob("*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest.get("model_id") == DEMO:
            found.append(manifest)
    return found


def test_every_artifact_of_the_demo_model_is_predicted_within_half_a_percent(tmp_path):
    manifests = published()
    if not manifests:
        pytest.skip("no artifact of the demo model in this home: make demo writes some")
    settings = read_settings()
    workshop = open_workshop(type(settings)(home=tmp_path, cache=settings.cache, data=settings.data))
    try:
        if not workshop.catalog.find_model("demo").model.path:
            pytest.skip("the demo model is not in the cache, so its tokenizer cannot be counted")
        for manifest in manifests:
            fields = {name: manifest[name] for name in ("scheme", "method", "format", "group_size")}
            answer = estimate_candidate(workshop, {"model": "demo", "device": "cpu", **fields})
            written = sum(file["bytes"] for file in manifest["files"])
            assert answer["artifact_bytes"] == pytest.approx(written, rel=TOLERANCE), manifest["scheme"]
    finally:
        workshop.close()
