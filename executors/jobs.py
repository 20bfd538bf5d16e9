"""One job, from a plain dictionary to a published artifact and its measurement, or to an error.

preflight -> environment -> quantize -> evaluate -> check -> measure -> publish. Whatever stops it, also a
kill of this process, leaves no artifact under its final name; a partial folder left by a killed process is
swept up by the next job on the same folder. A job that was published before, and asked for again under the
same id, is answered from its manifest.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from executors.backend import BACKENDS_FOLDER, Backend, Recipe, read_backend
from executors.corpus import Text, open_standard_texts, open_user_text
from executors.environments import Environment, EnvironmentSpec, open_environment
from executors.errors import BackendFailed, tell_host_failures
from executors.job import Job
from executors.measure import check_scores, take_measurement
from executors.preflight import check_disk, check_ram, check_vram
from executors.process import Event, ScriptRun, run_script
from executors.progress import Teller
from executors.publish import describe_files, open_partial, publish, read_manifest, sweep_partials
from executors.references import (
    drop_large_baseline,
    fingerprint_checkpoint,
    prune_references,
    sweep_references,
)

OnEvent = Callable[[Event], None]

PROMPT = "The capital of France is"
NEW_TOKENS = 32


def run_job(
    job: Mapping[str, Any],
    *,
    cache: Path,
    artifacts: Path,
    on_event: OnEvent,
    cancel: threading.Event,
    backends_folder: Path = BACKENDS_FOLDER,
    ask_leave: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run the whole job; `{"artifact_dir", "manifest", "measurement"}`. `ask_leave`: see publish.py.

    Events, in the order they come: `{"event": "stage", "stage", "done", "total", "unit", "seconds_left":
    number | null}` with stage one of environment, load, convert, calibrate, quantize, save, evaluate,
    publish; and `{"event": "warning", "message"}`.

    Raises:
        ExecutorError: one of its kinds (see errors.py), with a code and one sentence.
    """
    asked = Job.from_mapping(job)
    backend = read_backend(asked.backend, backends_folder)
    with tell_host_failures(f"job {asked.job_id}"):
        return _run_checked(
            asked,
            backend,
            cache=cache.absolute(),
            artifacts=artifacts.absolute(),
            on_event=on_event,
            cancel=cancel,
            ask_leave=ask_leave,
        )


def _run_checked(
    asked: Job,
    backend: Backend,
    *,
    cache: Path,
    artifacts: Path,
    on_event: OnEvent,
    cancel: threading.Event,
    ask_leave: Callable[[], None],
) -> dict[str, Any]:
    recipe = backend.find_recipe(
        scheme=asked.scheme, method=asked.method, artifact_format=asked.format, group_size=asked.group_size
    )
    destination = artifacts / asked.destination_name()
    if (published := read_manifest(destination)) is not None and published.get("job_id") == asked.job_id:
        return {
            "artifact_dir": str(destination),
            "manifest": published,
            "measurement": published["measurement"],
        }
    artifacts.mkdir(parents=True, exist_ok=True)
    for folder in (artifacts, cache / "scratch"):
        sweep_partials(folder)
    sweep_references(cache / "references")
    _check_room(asked, artifacts, cache)
    tell = Teller(on_event)
    logs = cache / "logs" / asked.job_id
    scratch_id = f"{asked.job_id}-{secrets.token_hex(4)}"  # homes share the cache, and may use the same ids
    with (
        open_partial(destination, asked.job_id) as partial,
        open_partial(cache / "scratch" / "job", scratch_id) as scratch,
    ):
        environment = _open_environment(backend, cache, logs, tell, cancel)
        run = JobRun(asked, backend, environment, cache, scratch, logs, tell, cancel)
        calibration, held_out = run.open_texts(recipe)
        try:
            made = run.quantize(partial, calibration)
            scored = run.evaluate(partial, held_out)
        finally:
            drop_large_baseline(run.baseline_file())
        check_scores(scored.result, asked.max_perplexity_ratio)
        if not str(scored.result.get("generated", "")).strip():
            tell(
                {
                    "event": "warning",
                    "message": f"Asked to continue {PROMPT!r}, the artifact generated nothing.",
                }
            )
        tell({"event": "stage", "stage": "publish", "done": 0, "total": 1, "unit": "artifacts"})
        measurement = run.measure(partial, made, scored)
        facts = run.describe(made, scored, calibration, held_out, measurement)
        manifest = publish(partial, destination, facts, ask_leave=ask_leave)
    tell({"event": "stage", "stage": "publish", "done": 1, "total": 1, "unit": "artifacts"})
    return {"artifact_dir": str(destination), "manifest": manifest, "measurement": measurement}


@dataclass(frozen=True)
class JobRun:
    """The steps of one job, with what they all need."""

    job: Job
    backend: Backend
    environment: Environment
    cache: Path
    scratch: Path
    logs: Path
    tell: Teller
    cancel: threading.Event

    def open_texts(self, recipe: Recipe) -> tuple[Text | None, Text]:
        """Calibration text where the recipe uses some, and held-out text."""
        standard, held_out = open_standard_texts(self.cache)
        if not recipe.needs_calibration:
            return None, held_out
        if self.job.calibration_file is None:
            return standard, held_out
        return open_user_text(self.job.calibration_file, self.scratch), held_out

    def quantize(self, out: Path, calibration: Text | None) -> ScriptRun:
        """Run the backend's quantize.py into the folder."""
        text = calibration and {
            "file": str(calibration.path),
            "samples": self.job.calibration_samples,
            "sequence_tokens": self.job.calibration_tokens,
        }
        self.references().mkdir(parents=True, exist_ok=True)
        run = self._run_script(
            "quantize.py",
            {
                "model_dir": str(self.job.model_dir),
                "scheme": self.job.scheme,
                "method": self.job.method,
                "format": self.job.format,
                "group_size": self.job.group_size,
                "calibration": text,
                "out_dir": str(out),
                "cache_dir": str(self.references()),
            },
        )
        _check_files(out, run.result)
        return run

    def evaluate(self, artifact: Path, held_out: Text) -> ScriptRun:
        """Run the backend's evaluate.py on what was made."""
        context, chunks = self.job.evaluation_context_tokens, self.job.evaluation_chunks
        name = f"{self.baseline_key()}-{self.backend.name}-{held_out.sha256[:8]}-{chunks}x{context}.logprobs"
        prune_references(self.references(), keep=(name, self.baseline_file().name))
        return self._run_script(
            "evaluate.py",
            {
                "baseline_dir": str(self.job.model_dir),
                "artifact_dir": str(artifact),
                "text_file": str(held_out.path),
                "context_tokens": context,
                "chunks": chunks,
                "reference_file": str(self.references() / name),
                "prompt": PROMPT,
                "max_new_tokens": NEW_TOKENS,
            },
        )

    def measure(self, artifact: Path, made: ScriptRun, scored: ScriptRun) -> dict[str, Any]:
        """The flat measurement; the time to build the environment is not in it."""
        return take_measurement(
            artifact,
            describe_files(artifact),
            scored.result,
            minutes={"quantize": made.seconds / 60, "evaluate": scored.seconds / 60},
            quantize_peak_ram_bytes=max(made.peak_ram_bytes, int(made.result.get("peak_ram_bytes", 0))),
            evaluate_peak_ram_bytes=max(scored.peak_ram_bytes, int(scored.result.get("peak_ram_bytes", 0))),
        )

    def describe(
        self,
        made: ScriptRun,
        scored: ScriptRun,
        calibration: Text | None,
        held_out: Text,
        measurement: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The manifest but for the files."""
        job = self.job
        return {
            "manifest_version": 1,
            "job_id": job.job_id,
            "decision_id": job.decision_id,
            "model_id": job.model_id,
            "scheme": job.scheme,
            "method": job.method,
            "format": job.format,
            "group_size": job.group_size,
            "engines": list(self.backend.engines),
            "backend": {
                "name": self.backend.name,
                "requirements_sha256": self.backend.requirements_sha256,
                "tool_versions": made.result.get("tool_versions", {}),
                "evaluation_tool_versions": scored.result.get("tool_versions", {}),
            },
            "calibration": calibration
            and {
                "sha256": calibration.sha256,
                "source": calibration.source,
                "samples": job.calibration_samples,
                "sequence_tokens": job.calibration_tokens,
            },
            "evaluation": {
                "sha256": held_out.sha256,
                "source": held_out.source,
                "chunks": job.evaluation_chunks,
                "context_tokens": job.evaluation_context_tokens,
            },
            "baseline_key": self.baseline_key(),
            "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "stage_seconds": made.result.get("stage_seconds", {}),
            "measurement": dict(measurement),
        }

    def references(self) -> Path:
        """Where baselines' converted files and log-probabilities are kept."""
        return self.cache / "references"

    def baseline_key(self) -> str:
        """Names the checkpoint's bytes without reading all of them."""
        return fingerprint_checkpoint(self.job.model_dir)

    def baseline_file(self) -> Path:
        """Where a backend that converts keeps the 16-bit file."""
        return self.references() / f"{self.baseline_key()}-bf16.gguf"

    def _run_script(self, name: str, job: Mapping[str, object]) -> ScriptRun:
        return run_script(
            self.environment.python,
            self.backend.folder / name,
            {**job, "threads": self.job.threads, "baseline_key": self.baseline_key()},
            shared_modules=self.backend.folder.parent,
            scratch=self.scratch,
            log=self.logs / f"{Path(name).stem}.log",
            on_event=self.tell,
            cancel=self.cancel,
            timeout_seconds=self.job.timeout_seconds,
            silence_seconds=self.job.silence_seconds,
        )


def _check_room(job: Job, artifacts: Path, cache: Path) -> None:
    what = f"making {job.scheme} of {job.model_id}"
    fingerprint_checkpoint(job.model_dir)
    for folder in (artifacts, cache):
        check_disk(folder, job.needs.get("disk_bytes") or 0, what)
    check_ram(job.needs.get("ram_bytes") or 0, what)
    check_vram(job.needs.get("vram_bytes") or 0, job.free_vram_bytes, what)


def _open_environment(
    backend: Backend, cache: Path, logs: Path, tell: Teller, cancel: threading.Event
) -> Environment:
    def on_build(done: int, total: int, seconds_left: float) -> None:
        event = {"event": "stage", "stage": "environment", "done": done, "total": total, "unit": "packages"}
        tell({**event, "seconds_left": round(seconds_left, 1)})

    spec = EnvironmentSpec(
        name=backend.name,
        requirements=backend.requirements,
        expected_seconds=backend.install_seconds,
        expected_disk_bytes=backend.install_disk_bytes,
        expected_packages=backend.install_packages,
        python_at_least=backend.python_at_least,
        python_below=backend.python_below,
    )
    environment = open_environment(
        spec, cache=cache, log=logs / "environment.log", on_build=on_build, cancel=cancel
    )
    on_build(backend.install_packages, backend.install_packages, 0.0)
    return environment


def _check_files(out: Path, result: Event) -> None:
    """The backend must have written what it says, and something."""
    files = [str(name) for name in result.get("files", [])]
    lost = [name for name in files if not (out / name).is_file()]
    if not files or lost:
        raise BackendFailed(
            "backend.no_files",
            f"The backend says that it wrote {lost or 'nothing'}, and it is not there. See the log.",
        )
