"""Score an artifact against its unquantized checkpoint, the same way for every format.

As llama-perplexity does: windows of `context_tokens` tokens, one after the other; in each only the second
half is scored, so that every scored token has at least half a window before it (n/2 - 1 tokens a window).
KL(baseline || artifact) in nats over the whole vocabulary.

The baseline's log-probabilities are kept as float16 in the job's `reference_file` and found again by key
(baseline, text, windows, tool); they are renormalised when read, which leaves noise of about 1e-5 nats. Size:
windows x (n/2 - 1) x vocabulary x 2 bytes. Because they are kept, one model is in memory at a time: the baseline
is given back before the artifact is loaded.

Shared by the backends' evaluate.py, like jobwire.py; needs numpy.
"""

import ctypes
import gc
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jobwire import JobError, Wire

Floats = np.ndarray[Any, np.dtype[np.float32]]


class ScoredModel(Protocol):
    """What scoring needs of a loaded model, whatever runs it."""

    vocab_size: int
    load_bytes: int  # what the weights take as loaded
    bos: int | None  # set where the tokenizer puts one before every text

    def tokenize(self, text: str) -> list[int]:
        """Token ids of the text alone."""
        ...

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of the tokens."""
        ...

    def ends_text(self, token: int) -> bool:
        """Whether generation stops at this token."""
        ...

    def score(self, window: Sequence[int], first: int) -> Floats:
        """Logits at the positions from `first` to the last but one of a fresh window."""
        ...

    def start(self, tokens: Sequence[int]) -> Floats:
        """Forget everything, run the tokens, return the last position's logits."""
        ...

    def step(self, token: int) -> Floats:
        """Append one token, return its logits."""
        ...


@dataclass(frozen=True, kw_only=True)
class TextPlan:
    """Which tokens are scored."""

    text: str
    context_tokens: int
    chunks: int

    @classmethod
    def from_job(cls, job: dict[str, Any]) -> "TextPlan":
        """Read the held-out text named in the job."""
        text = Path(job["text_file"]).read_text(encoding="utf-8")
        return cls(text=text, context_tokens=int(job["context_tokens"]), chunks=int(job["chunks"]))

    def windows(self, model: ScoredModel) -> list[list[int]]:
        """The text's first windows; a BOS, where wanted, takes the place of each one's first token."""
        needed = self.context_tokens * self.chunks
        tokens = model.tokenize(self.text)
        if len(tokens) < needed:
            raise JobError(
                "backend.text_too_short",
                f"The held-out text has {len(tokens)} tokens; {self.chunks} windows of "
                f"{self.context_tokens} need {needed}. "
                "Give a longer text or fewer windows.",
            )
        windows = [
            tokens[start : start + self.context_tokens] for start in range(0, needed, self.context_tokens)
        ]
        return [[model.bos, *window[1:]] for window in windows] if model.bos is not None else windows


def score_artifact(
    job: dict[str, Any],
    wire: Wire,
    tool: str,
    open_baseline: Callable[[], AbstractContextManager[ScoredModel]],
    open_artifact: Callable[[], AbstractContextManager[ScoredModel]],
) -> dict[str, object]:
    """Scores, an answer, speeds and loaded size of an artifact; the reference is made where none fits."""
    plan = TextPlan.from_job(job)
    reference = Path(job["reference_file"])
    parts = [job["baseline_key"], plan.text, plan.context_tokens, plan.chunks, tool]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    passes = 1 if _read_key(reference) == key else 2
    wire.stage("evaluate", 0, passes * plan.chunks, "samples")
    if passes == 2:
        with wire.timed("reference"):
            _make_reference(reference, key, open_baseline, plan, wire)
        _give_memory_back()
    with wire.timed("evaluate"), open_artifact() as artifact:
        load_bytes = artifact.load_bytes
        scores, seconds = _compare(artifact, plan.windows(artifact), reference, passes, wire)
        generated, decode_speed = _generate(
            artifact, str(job["prompt"]), int(job["max_new_tokens"]), plan.context_tokens
        )
    return {
        **scores,
        "load_bytes": load_bytes,
        "generated": generated,
        "prefill_tokens_per_s": plan.chunks * plan.context_tokens / seconds,
        "decode_tokens_per_s": decode_speed,
    }


def log_softmax(logits: Floats) -> Floats:
    """Row by row, with the maximum taken out first."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float64)).astype(
        np.float32
    )
    return result


def _make_reference(
    path: Path,
    key: str,
    open_baseline: Callable[[], AbstractContextManager[ScoredModel]],
    plan: TextPlan,
    wire: Wire,
) -> None:
    """A function of its own, so that nothing holds the baseline once it returns."""
    with open_baseline() as baseline:
        _write_reference(path, key, baseline, plan.windows(baseline), wire)


def _give_memory_back() -> None:
    """Free what a model left: it holds itself in cycles, and glibc keeps freed matrices of a few MiB for itself."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _write_reference(path: Path, key: str, model: ScoredModel, windows: list[list[int]], wire: Wire) -> None:
    """Keep one JSON line with the key, then a float16 block a window; whole or not at all."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    first = len(windows[0]) // 2
    head = {
        "key": key,
        "rows": len(windows[0]) - 1 - first,
        "vocab": model.vocab_size,
        "windows": len(windows),
    }
    try:
        with partial.open("wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            for done, window in enumerate(windows, start=1):
                file.write(log_softmax(model.score(window, first)).astype(np.float16).tobytes())
                wire.stage("evaluate", done, 2 * len(windows), "samples")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read_key(path: Path) -> str | None:
    """The key of a kept reference, if there is one that is whole."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        try:
            head = json.loads(file.readline())
            end = file.tell() + head["windows"] * head["rows"] * head["vocab"] * 2
        except (ValueError, KeyError, TypeError):
            return None
    return str(head["key"]) if end == path.stat().st_size else None


def _read_reference(path: Path, vocab_size: int) -> Iterator[Floats]:
    """Log-probabilities of the baseline, window by window."""
    with path.open("rb") as file:
        head = json.loads(file.readline())
        rows, vocab = head["rows"], head["vocab"]
        if vocab != vocab_size:
            raise JobError(
                "backend.other_vocabulary", f"The artifact has {vocab_size} tokens, the baseline {vocab}."
            )
        for _ in range(head["windows"]):
            stored = np.frombuffer(file.read(rows * vocab * 2), dtype=np.float16).reshape(rows, vocab)
            yield log_softmax(stored.astype(np.float32))


def _compare(
    model: ScoredModel, windows: list[list[int]], reference: Path, passes: int, wire: Wire
) -> tuple[dict[str, object], float]:
    """The artifact's scores beside the baseline's, and the seconds that running it took."""
    nll: list[float] = []
    baseline_nll: list[float] = []
    divergence: list[float] = []
    same_top: list[bool] = []
    seconds = 0.0
    for done, (window, theirs) in enumerate(
        zip(windows, _read_reference(reference, model.vocab_size), strict=True), start=1
    ):
        first = len(window) // 2
        started = time.monotonic()
        logits = model.score(window, first)
        seconds += time.monotonic() - started
        mine = log_softmax(logits)
        targets, rows = np.array(window[first + 1 :]), np.arange(len(mine))
        nll += (-mine[rows, targets]).tolist()
        baseline_nll += (-theirs[rows, targets]).tolist()
        divergence += (np.exp(theirs) * (theirs - mine)).sum(axis=1, dtype=np.float64).tolist()
        same_top += (mine.argmax(axis=1) == theirs.argmax(axis=1)).tolist()
        wire.stage("evaluate", (passes - 1) * len(windows) + done, passes * len(windows), "samples")
    return _summarize(nll, baseline_nll, divergence, same_top), seconds


def _summarize(
    nll: list[float], baseline_nll: list[float], divergence: list[float], same_top: list[bool]
) -> dict[str, object]:
    """Means with standard errors; a perplexity's is the delta-method one that llama-perplexity prints."""
    mean, error = _mean_and_error(nll)
    baseline_mean, baseline_error = _mean_and_error(baseline_nll)
    divergence_mean, divergence_error = _mean_and_error(divergence)
    # Paired: both models saw the same tokens, so this is far tighter than the two perplexities' own errors.
    difference, difference_error = _mean_and_error([a - b for a, b in zip(nll, baseline_nll, strict=True)])
    # exp(700) is near the largest float.
    if not all(map(math.isfinite, (mean, baseline_mean, divergence_mean))) or max(mean, baseline_mean) > 700:
        raise JobError(
            "backend.not_finite",
            f"The artifact's scores are not finite (mean loss {mean}, baseline {baseline_mean}). "
            "It is not usable: try another method or scheme.",
        )
    return {
        "perplexity": math.exp(mean),
        "perplexity_stderr": math.exp(mean) * error,
        "baseline_perplexity": math.exp(baseline_mean),
        "baseline_perplexity_stderr": math.exp(baseline_mean) * baseline_error,
        "perplexity_ratio": math.exp(difference),
        "perplexity_ratio_stderr": math.exp(difference) * difference_error,
        "kl_divergence": divergence_mean,
        "kl_divergence_stderr": divergence_error,
        "top1_agreement": sum(same_top) / len(same_top),
        "tokens_scored": len(nll),
    }


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return mean, math.sqrt(variance / len(values))


def _generate(model: ScoredModel, prompt: str, max_new_tokens: int, context_tokens: int) -> tuple[str, float]:
    """The likeliest continuation, token by token, and tokens a second without the prompt's own pass."""
    tokens = model.tokenize(prompt)[: context_tokens - max_new_tokens - 1]
    if model.bos is not None:
        tokens = [model.bos, *tokens]
    last = int(model.start(tokens)[0].argmax())
    new: list[int] = []
    started = time.monotonic()
    while len(new) < max_new_tokens and not model.ends_text(last):
        new.append(last)
        last = int(model.step(last)[0].argmax())
    return model.detokenize(new), len(new) / max(time.monotonic() - started, 1e-9)
