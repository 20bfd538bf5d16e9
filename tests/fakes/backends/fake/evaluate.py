"""Gives good scores, or a ruined model's, or none that is a number."""

import json
import sys
from pathlib import Path

job = json.loads(sys.stdin.read())
artifact = Path(job["artifact_dir"])
assert (artifact / "model.gguf").is_file()
assert Path(job["text_file"]).read_text()
scheme = artifact.name.split("-")[1]
perplexity = {"ruined": 434273.0, "not_finite": float("nan")}.get(scheme, 5.25)
scores = {
    "perplexity": perplexity,
    "perplexity_stderr": 0.1,
    "baseline_perplexity": 5.0,
    "baseline_perplexity_stderr": 0.1,
    "perplexity_ratio": perplexity / 5,
    "perplexity_ratio_stderr": 0.01,
    "kl_divergence": 0.02,
    "kl_divergence_stderr": 0.001,
    "top1_agreement": 0.9,
    "tokens_scored": 1000,
    "prefill_tokens_per_s": 100.0,
    "decode_tokens_per_s": 10.0,
    "load_bytes": 32,
    "evaluated_on": {"engine": "fake", "device_kind": "cpu"},
}
if scheme == "nowhere":
    del scores["evaluated_on"]
print(
    json.dumps({"event": "stage", "stage": "evaluate", "done": 1, "total": 1, "unit": "samples"}), flush=True
)
print(
    json.dumps({"event": "result", "generated": " Paris.", "tool_versions": {"fake": "1"}, **scores}),
    flush=True,
)
