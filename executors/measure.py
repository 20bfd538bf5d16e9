"""From an artifact and its scores to one flat measurement, and whether it is fit to be published."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from executors.containers import count_content
from executors.errors import ArtifactRejected

# Scores that the evaluation script must report, all finite.
SCORES = (
    "perplexity", "perplexity_stderr", "baseline_perplexity", "baseline_perplexity_stderr",
    "perplexity_ratio", "perplexity_ratio_stderr", "kl_divergence", "kl_divergence_stderr",
    "top1_agreement", "tokens_scored", "prefill_tokens_per_s", "decode_tokens_per_s", "load_bytes",
)  # fmt: skip

# What it was evaluated with, which need not be what will serve it: its speeds are this engine's on this device.
EVALUATED_ON = ("engine", "device_kind")

# A quantizer that ruins a model silently lands far beyond this (AutoAWQ 0.2.9 on a CPU: 85,000 times); honest
# 2-bit ones below it.
MAX_PERPLEXITY_RATIO = 3.0


def check_scores(scores: Mapping[str, Any], max_ratio: float = MAX_PERPLEXITY_RATIO) -> None:
    """Refuse an artifact whose scores are missing, not finite, of nobody knows what, or say that it was ruined.

    Raises:
        ArtifactRejected: `quality.not_measured`, `quality.runaway`.
    """
    for name in SCORES:
        value = scores.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ArtifactRejected(
                "quality.not_measured", f"The evaluation gave {value!r} as {name}; nothing was published."
            )
    where = scores.get("evaluated_on")
    if not isinstance(where, Mapping) or not all(where.get(name) for name in EVALUATED_ON):
        raise ArtifactRejected(
            "quality.not_measured", "The evaluation does not say what it ran on; nothing was published."
        )
    ratio = float(scores["perplexity"]) / float(scores["baseline_perplexity"])
    if ratio > max_ratio:
        raise ArtifactRejected(
            "quality.runaway",
            f"The artifact's perplexity is {scores['perplexity']:.4g}, {ratio:.3g} times the unquantized "
            f"{scores['baseline_perplexity']:.4g}, against a limit of {max_ratio:g} times. "
            "Nothing was published. Take another method or more bits.",
        )


def take_measurement(
    artifact: Path,
    files: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Any],
    *,
    minutes: Mapping[str, float],
    quantize_peak_ram_bytes: int,
    evaluate_peak_ram_bytes: int,
) -> dict[str, Any]:
    """One flat record: sizes by file and kind, scores and what gave them, minutes by step, peak memory."""
    content = count_content(artifact)
    return {
        "artifact_bytes": content.total,
        "artifact_files": {str(file["path"]): int(file["bytes"]) for file in files},
        "tensor_data_bytes": content.tensor_data,
        "tokenizer_bytes": content.tokenizer,
        "metadata_bytes": content.metadata,
        **{name: scores[name] for name in SCORES},
        "generated": str(scores.get("generated", "")),
        "evaluated_on": {name: str(scores["evaluated_on"][name]) for name in EVALUATED_ON},
        **{f"{step}_minutes": round(value, 4) for step, value in minutes.items()},
        "job_minutes": round(sum(minutes.values()), 4),
        "quantize_peak_ram_bytes": quantize_peak_ram_bytes,
        "evaluate_peak_ram_bytes": evaluate_peak_ram_bytes,
        "peak_ram_bytes": max(quantize_peak_ram_bytes, evaluate_peak_ram_bytes),
    }
