"""What a job asks for, checked before anything is started."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executors.errors import JobRefused
from executors.measure import MAX_PERPLEXITY_RATIO

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked for, checked."""

    job_id: str
    decision_id: str
    model_id: str
    model_dir: Path
    backend: str
    scheme: str
    method: str
    format: str
    group_size: int | None = None
    engine: str | None = None
    """What it is to be served with, by `tp` and `pp` cards: a part of its name in the record, not of the making."""
    tp: int = 1
    pp: int = 1
    calibration_file: Path | None = None
    calibration_samples: int = 32
    calibration_tokens: int = 512
    needs: Mapping[str, int | None] = field(default_factory=dict)
    free_vram_bytes: int | None = None
    threads: int = 1
    artifact_name: str = ""
    evaluation_context_tokens: int = 512
    evaluation_chunks: int = 8
    max_perplexity_ratio: float = MAX_PERPLEXITY_RATIO
    timeout_seconds: float = 24 * 3600.0
    silence_seconds: float = 1800.0  # one layer of a large model on a slow host, without a word

    @classmethod
    def from_mapping(cls, job: Mapping[str, Any]) -> "Job":
        """Read a job; absent and null fields take their defaults.

        Raises:
            JobRefused: `job.bad`.
        """
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(job) - known):
            raise JobRefused("job.bad", f"The job has a field {unknown[0]!r} that means nothing here.")
        given = {name: value for name, value in job.items() if value is not None}
        for name in ("model_dir", "calibration_file"):
            if name in given:
                given[name] = Path(str(given[name])).absolute()
        try:
            read = cls(**given)
        except TypeError as error:
            raise JobRefused(
                "job.bad", f"The job is incomplete: {str(error).partition(')')[2].strip()}."
            ) from None
        read.check()
        return read

    def check(self) -> None:
        """Refuse names that are unfit for a folder, and numbers that are no counts.

        Raises:
            JobRefused: `job.bad`.
        """
        for name in (self.job_id, self.destination_name()):
            if not isinstance(name, str) or not NAME.fullmatch(name) or ".partial-" in name:
                raise JobRefused(
                    "job.bad", f"{name!r} cannot name a folder: letters, digits, dot, dash and underscore."
                )
        counts = (
            self.threads, self.calibration_samples, self.calibration_tokens,
            self.evaluation_context_tokens, self.evaluation_chunks,
        )  # fmt: skip
        if (
            any(not isinstance(count, int) or count < 1 for count in counts)
            or self.evaluation_context_tokens < 8
        ):
            raise JobRefused(
                "job.bad",
                "Threads, samples, tokens and chunks are whole numbers of 1 or more (a context, 8 or more).",
            )

    def destination_name(self) -> str:
        """The artifact's folder: its own name, or model, scheme, group, method and job."""
        if self.artifact_name:
            return self.artifact_name
        group = f"-g{self.group_size}" if self.group_size else ""
        model = re.sub(r"[^a-z0-9._-]+", "-", self.model_id.rpartition("/")[2].lower()).strip("-.") or "model"
        return f"{model}-{self.scheme.lower()}{group}-{self.method.replace('+', '-')}-{self.job_id}"
