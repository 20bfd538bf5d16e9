"""What the quantization job itself takes: minutes, host memory, device memory, disk.

    minutes  starting and scoring (fixed) + moving the weights (bytes over a rate) + calibration (seconds for
             each parameter and token)
    RAM      llm-compressor holds all 16-bit weights and has one layer at work, but what it made is scored in
             32 bits afterwards, and that is the peak; llama.cpp maps its file and holds a few copies of the
             largest matrix
    VRAM     one layer in 16 bits, its activations, and GPTQ's Hessian of the widest input (K x K in 32 bits, twice)
    disk     the source where it has to be fetched, any 16-bit intermediate file, and the artifact

Rates stand in `data/job_costs.csv`, several of them marked as guesses; minutes measured by jobs on this kind
of device, for models of about this size, replace the guess.
Known error: a factor of two or more until a job of the kind has been run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from planner.domain.facts.evidence import EvidenceBase, JobRate, size_class
from planner.domain.facts.hardware import DeviceKind
from planner.domain.facts.model import ModelFacts
from planner.domain.predict.constants import Constant

CALIBRATION_SAMPLES = 512
CALIBRATION_TOKENS = 2048
CPU_CALIBRATION_SAMPLES = 32
CPU_CALIBRATION_TOKENS = 512

ENOUGH_JOBS = 3
FEW_JOBS_SPREAD = 1.4
"""Fewer past jobs than that say little about their spread: 1.4 either way, a guess from reruns on a busy machine."""

JobConstants = Mapping[tuple[str, str, str, str], Constant]
"""(backend, method or *, gpu | cpu | any, term) → constant, from `data/job_costs.csv`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobCost:
    """What a job needs, likely values with the interval of its minutes and memory. Told apart by identity."""

    backend: str | None
    minutes: float
    minutes_low: float
    minutes_high: float
    ram_bytes: int
    ram_low_bytes: int
    ram_high_bytes: int
    vram_bytes: int
    disk_bytes: int
    calibration_samples: int
    calibration_tokens: int
    basis: str
    sources: tuple[str, ...]


NOTHING_TO_MAKE = JobCost(
    backend=None,
    minutes=0.0,
    minutes_low=0.0,
    minutes_high=0.0,
    ram_bytes=0,
    ram_low_bytes=0,
    ram_high_bytes=0,
    vram_bytes=0,
    disk_bytes=0,
    calibration_samples=0,
    calibration_tokens=0,
    basis="measured",
    sources=("nothing to make",),
)


def predict_job_cost(
    model: ModelFacts,
    *,
    backend: str,
    method: str,
    calibrated: bool,
    kind: DeviceKind,
    artifact_bytes: int,
    constants: JobConstants,
    past: JobRate | None = None,
) -> JobCost:
    """Cost of making an artifact of `artifact_bytes` from the 16-bit checkpoint on a device of this kind.

    What past jobs of this kind and size took (`find_rate`), where there were some, is believed before the tables.
    """
    source_bytes = 2 * model.params_total
    on_gpu = kind == "gpu" and backend != "llamacpp"
    where = "gpu" if on_gpu else "cpu"
    samples, tokens = (
        (CALIBRATION_SAMPLES, CALIBRATION_TOKENS)
        if on_gpu
        else (CPU_CALIBRATION_SAMPLES, CPU_CALIBRATION_TOKENS)
    )
    terms = [_term(constants, backend, method, "any", "fixed_seconds")]
    rates = ["convert_rate"] + (["quantize_rate"] if backend == "llamacpp" and method != "none" else [])
    terms += [_moving(source_bytes, _term(constants, backend, method, "any", rate)) for rate in rates]
    if calibrated:
        work = model.params_total * samples * tokens
        rate = _term(constants, backend, method, where, "seconds_per_param_token")
        terms.append(Constant(work * rate.low, work * rate.likely, work * rate.high, rate.source))
    seconds = [
        sum(term.low for term in terms),
        sum(term.likely for term in terms),
        sum(term.high for term in terms),
    ]
    basis, sources = "prior", [term.source for term in terms]
    if past is not None:
        spread = 1.0 if past.count >= ENOUGH_JOBS else FEW_JOBS_SPREAD
        ends = (past.low / spread, past.likely, past.high * spread)
        seconds = [60 * model.params_total * minutes for minutes in ends]
        basis, sources = "measured", [f"{past.count} jobs of this kind and size on {past.device}"]
    ram = _ram_bytes(model, backend, source_bytes, constants)
    intermediate = source_bytes if backend == "llamacpp" else 0
    to_fetch = 0 if model.path else source_bytes
    return JobCost(
        backend=backend,
        minutes=seconds[1] / 60,
        minutes_low=seconds[0] / 60,
        minutes_high=seconds[2] / 60,
        ram_bytes=int(ram.likely),
        ram_low_bytes=int(ram.low),
        ram_high_bytes=int(ram.high),
        vram_bytes=_vram_bytes(model, method) if on_gpu else 0,
        disk_bytes=to_fetch + intermediate + artifact_bytes,
        calibration_samples=samples if calibrated else 0,
        calibration_tokens=tokens if calibrated else 0,
        basis=basis,
        sources=tuple(sources),
    )


def find_rate(
    evidence: EvidenceBase, backend: str, method: str, device_name: str, params: float
) -> JobRate | None:
    """What jobs of this home took on such a device with a model of about this size; None where there were none."""
    return evidence.jobs.get((backend, method, device_name, size_class(params)))


def _moving(size_bytes: int, rate: Constant) -> Constant:
    """Seconds to move so many bytes at a rate in bytes a second: the high rate is the low time."""
    return Constant(size_bytes / rate.high, size_bytes / rate.likely, size_bytes / rate.low, rate.source)


def _term(constants: JobConstants, backend: str, method: str, where: str, term: str) -> Constant:
    for key in ((backend, method, where, term), (backend, "*", where, term)):
        if key in constants:
            return constants[key]
    raise KeyError(f"data/job_costs.csv has no {term} for {backend}, {method}, {where}")


def _ram_bytes(model: ModelFacts, backend: str, source_bytes: int, constants: JobConstants) -> Constant:
    """Bytes of host memory: a fixed part, and copies of the largest matrix or of all 16-bit weights."""
    fixed = _term(constants, backend, "*", "any", "ram_fixed")
    if backend == "llamacpp":
        unit = 2 * model.hidden_size * max(model.vocab_size, model.intermediate_size)
        copies = _term(constants, backend, "*", "any", "ram_matrices")
    else:
        unit = source_bytes
        copies = _term(constants, backend, "*", "any", "ram_weights")
    return Constant(
        fixed.low + copies.low * unit,
        fixed.likely + copies.likely * unit,
        fixed.high + copies.high * unit,
        copies.source,
    )


def _vram_bytes(model: ModelFacts, method: str) -> int:
    layer_params = (model.params_total - 2 * model.vocab_size * model.hidden_size) // model.num_layers
    widest = max(model.intermediate_size, model.hidden_size)
    hessian = 2 * 4 * widest * widest if method == "gptq" else 0
    activations = 8 * CALIBRATION_TOKENS * model.hidden_size * 2
    return 2 * layer_params + hessian + activations
