"""What was got: a job's measurement beside what its decision promised, and as evidence for the next one.

Shares of peak are the ones that `predict/speed.py` multiplies with:

    decode   tokens/s x bytes of weights that a token reads / memory bandwidth
    prefill  tokens/s x 2 x parameters / FLOP/s

The evaluation's own KV cache, a few dozen tokens, is left out of the bytes: under 1 % of the weights. Speeds count
only where the artifact was evaluated with the engine and on the kind of device that the plan is for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.domain.facts.hardware import DeviceKind

SOURCE_TITLE = "measured here"
SPEEDS = frozenset({"decode_tokens_per_s", "prefill_tokens_per_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number beside its prediction; None where nothing was promised."""

    name: str
    predicted: float | None
    predicted_low: float | None
    predicted_high: float | None
    measured: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was measured, as evidence rows name it."""

    decision_id: str
    job_id: str
    model_label: str
    model_id: str
    family: str
    params: float
    scheme: str
    method: str
    group_size: int | None
    bits: float
    """Nominal, as in the published rows."""
    engine: str
    backend: str
    device: str
    device_kind: DeviceKind
    bandwidth_bytes_per_s: float | None
    fp16_flops: float | None
    weights_bytes_read: int
    """Bytes of weights that one token reads."""
    formula_minutes: float
    """Likely minutes of the cost formula alone, with no past job in it."""


def compare_with_promise(
    chosen: Mapping[str, Any], device_kind: DeviceKind, measured: Mapping[str, Any]
) -> list[Figure]:
    """Every figure of a measurement beside what the chosen candidate promised on this kind of device."""
    has_speeds = _ran_as_planned(chosen["engine"], device_kind, measured)
    job, speed, memory = chosen["job"], chosen["speed"], chosen["memory"]
    minutes, ram = job["intervals"]["minutes"], job["intervals"]["ram_bytes"]
    start = "decode_at_start_tokens_per_s"  # an evaluation is one user with a short prompt
    decode = speed["intervals"].get(start, (None, None))
    promises: tuple[tuple[str, float | None, float | None, float | None, str], ...] = (
        ("artifact_bytes", chosen["artifact_bytes"], None, None, "bytes"),
        ("load_bytes", memory["weights_bytes"], None, None, "bytes"),
        ("job_minutes", job["minutes"], *minutes, "minutes"),
        ("peak_ram_bytes", job["ram_bytes"], *ram, "bytes"),
        ("decode_tokens_per_s", speed.get(start), *decode, "tokens/s"),
        ("prefill_tokens_per_s", speed["prefill_tokens_per_s"], None, None, "tokens/s"),
        ("kl_divergence", None, None, None, "nats"),
        ("top1_agreement", None, None, None, "share"),
    )
    figures = [
        Figure(
            name=name,
            predicted=likely,
            predicted_low=low,
            predicted_high=high,
            measured=float(measured[name]),
            unit=unit,
        )
        for name, likely, low, high, unit in promises
        if measured.get(name) is not None and (has_speeds or name not in SPEEDS)
    ]
    return [*figures, _perplexity_figure(chosen["quality"].get("perplexity"), measured)]


def _ran_as_planned(engine: str, device_kind: DeviceKind, measured: Mapping[str, Any]) -> bool:
    """Whether the evaluation is one of the planned engine on the planned kind of device."""
    return measured.get("evaluated_on") == {"engine": engine, "device_kind": device_kind}


def _perplexity_figure(promise: Mapping[str, Any] | None, measured: Mapping[str, Any]) -> Figure:
    """Change of perplexity in percent: above zero is worse."""
    likely = low = high = None
    if promise is not None and promise["loss"] is not None:
        likely, high = 100 * promise["loss"], 100 * promise["loss_high"]
        # Deltas are proportional to losses; the good end is promised as a delta only.
        if promise["high_delta"]:
            low = high * promise["low_delta"] / promise["high_delta"]
    return Figure(
        name="perplexity_change_percent",
        predicted=likely,
        predicted_low=low,
        predicted_high=high,
        measured=100 * (measured["perplexity"] / measured["baseline_perplexity"] - 1),
        unit="%",
    )


def make_evidence(subject: Subject, measured: Mapping[str, Any], at: str) -> list[dict[str, Any]]:
    """The rows that planning looks at next time: quality, size, shares of peak, and minutes over the formula."""
    rows: list[dict[str, Any]] = [
        {
            "subject": "quality",
            "metric": "perplexity",
            "higher_is_better": False,
            "value": measured["perplexity"],
            "baseline": measured["baseline_perplexity"],
            "unit": "perplexity",
            "engine": (measured.get("evaluated_on") or {}).get("engine"),
        },
        {"subject": "size", "metric": "artifact", "value": measured["artifact_bytes"], "unit": "bytes"},
    ]
    for metric, share in _shares_of_peak(subject, measured).items():
        rows.append(
            {
                "subject": "efficiency",
                "metric": metric,
                "value": share,
                "unit": "share of peak",
                "engine": subject.engine,
                "device": subject.device,
            }
        )
    if subject.formula_minutes > 0:
        rows.append(
            {
                "subject": "job_ratio",
                "metric": "minutes",
                "value": measured["job_minutes"] / subject.formula_minutes,
                "baseline": subject.formula_minutes,
                "unit": "measured / formula",
                "engine": subject.backend,
                "device": subject.device,
            }
        )
    return [{**_common_columns(subject, measured, at), **row} for row in rows]


def _shares_of_peak(subject: Subject, measured: Mapping[str, Any]) -> dict[str, float]:
    shares: dict[str, float] = {}
    if not _ran_as_planned(subject.engine, subject.device_kind, measured):
        return shares
    if subject.bandwidth_bytes_per_s and measured.get("decode_tokens_per_s"):
        rate = measured["decode_tokens_per_s"] * subject.weights_bytes_read
        shares["decode"] = rate / subject.bandwidth_bytes_per_s
    if subject.fp16_flops and measured.get("prefill_tokens_per_s"):
        shares["prefill"] = measured["prefill_tokens_per_s"] * 2 * subject.params / subject.fp16_flops
    return shares


def _common_columns(subject: Subject, measured: Mapping[str, Any], at: str) -> dict[str, Any]:
    return {
        "model_label": subject.model_label,
        "model_id": subject.model_id,
        "family": subject.family.lower(),
        "params": subject.params,
        "scheme": subject.scheme,
        "method": subject.method,
        "group_size": subject.group_size,
        "bits": subject.bits,
        "source_title": SOURCE_TITLE,
        "source_ref": f"decision {subject.decision_id}, job {subject.job_id}",
        "source_date": at[:10],
        "detail": dict(measured),
        "decision_id": subject.decision_id,
        "job_id": subject.job_id,
        "recorded_at": at,
    }
