"""Which candidate of a decision a job makes, and what the executor is told about it."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.facts.evidence import DEMO_MODEL

CHOICE_FIELDS = ("scheme", "method", "format", "engine", "group_size", "tp", "pp")
UNFIT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def choose_candidate(decision: Mapping[str, Any], choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The best-ranked candidate of a decision's body that agrees with every field of the choice.

    Raises:
        BadInput: `job.nothing_fits`, or `job.no_such_candidate` with the reason it was rejected for, or those
            there are.
    """
    if decision["chosen"] is None:
        raise BadInput("job.nothing_fits", "Nothing fits in this decision: there is no candidate to make.")
    candidates = [decision["chosen"], *decision["alternatives"]]
    for candidate in candidates:
        if _agrees(candidate, choice):
            return candidate  # type: ignore[no-any-return]
    wanted = ", ".join(f"{name} {choice[name]}" for name in CHOICE_FIELDS if choice.get(name) is not None)
    for rejected in decision["rejected"]:
        if _agrees(rejected, choice):
            raise BadInput("job.no_such_candidate", f"The decision rejected {wanted}: {rejected['message']}.")
    labels = [label_candidate(candidate) for candidate in candidates]
    raise BadInput(
        "job.no_such_candidate",
        f"The decision has no candidate with {wanted}. It has {'; '.join(labels)}.",
        choices=labels,
    )


def label_candidate(candidate: Mapping[str, Any]) -> str:
    """In words: `W4A16 group 64 by gptq, transformers`."""
    group = f" group {candidate['group_size']}" if candidate["group_size"] else ""
    return f"{candidate['scheme']}{group} by {candidate['method']}, {candidate['engine']}"


def name_artifact(candidate: Mapping[str, Any]) -> str:
    """The folder of the artifact: the name that the serve command gives it."""
    named = [part for part in shlex.split(candidate["serve"]) if part.startswith("./")]
    name = named[0][2:] if named else candidate["scheme"]
    return UNFIT_IN_NAMES.sub("-", name.removesuffix(".gguf")).strip("-.")[:150] or "artifact"


def make_specification(
    job_id: str,
    decision_id: str,
    decision: Mapping[str, Any],
    candidate: Mapping[str, Any],
    calibration_file: str | None,
) -> dict[str, Any]:
    """What the executor is given.

    Raises:
        BadInput: `job.nothing_to_make`, `job.no_weights`, `job.no_demo_model`.
    """
    _check_there_is_work(candidate)
    model, cost = decision["model"], candidate["job"]
    if model["path"] is None and model["catalogue_id"] == DEMO_MODEL:
        raise BadInput(
            "job.no_demo_model",
            "The demo model is not on this host yet. Make it once, and plan again: bitwright executor demo-model",
        )
    if model["path"] is None:
        raise BadInput(
            "job.no_weights",
            f"The weights of {model['id']} are not on this host: only its shape is known here. Put the "
            "checkpoint (config.json, tokenizer, safetensors) in a folder and plan for that folder: "
            'bitwright quantize "/path/to/checkpoint for this machine"',
        )
    specification = {
        "job_id": job_id,
        "decision_id": decision_id,
        "model_id": model["id"],
        "model_dir": model["path"],
        "backend": candidate["backend"],
        # All of them: what is measured is compared with the promise of this very candidate.
        **{name: candidate[name] for name in CHOICE_FIELDS},
        "calibration_file": calibration_file,
        "needs": {name: cost[name] for name in ("ram_bytes", "disk_bytes", "vram_bytes")},
        "threads": decision["target"]["cpu_cores"] or 1,
        "artifact_name": name_artifact(candidate),
    }
    if cost["calibration_samples"]:
        specification["calibration_samples"] = cost["calibration_samples"]
        specification["calibration_tokens"] = cost["calibration_tokens"]
    return specification


def _check_there_is_work(candidate: Mapping[str, Any]) -> None:
    if candidate.get("prebuilt"):
        raise BadInput(
            "job.nothing_to_make",
            f"Nothing to make: {candidate['prebuilt']['repo']} is published. Serve it with: {candidate['serve']}",
        )
    if candidate["backend"] is None:
        raise BadInput(
            "job.nothing_to_make",
            f"Nothing to make: {candidate['scheme']} is the model as released. Serve it with: "
            f"{candidate['serve']}",
        )


def _agrees(candidate: Mapping[str, Any], choice: Mapping[str, Any]) -> bool:
    return all(choice.get(name) in {None, candidate.get(name)} for name in CHOICE_FIELDS)
