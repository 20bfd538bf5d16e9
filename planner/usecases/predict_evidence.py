"""Fields → what one benchmark loses under one scheme and method, from the evidence. Nothing is recorded."""

import difflib
from collections.abc import Mapping
from statistics import median
from typing import Any

from planner.domain.canonical import round_significant
from planner.domain.choose.candidates import Tables
from planner.domain.choose.named_candidate import PER_CHANNEL
from planner.domain.errors import BadInput
from planner.domain.facts.evidence import EvidenceBase
from planner.domain.facts.scheme import nominal_bits
from planner.domain.facts.spellings import shorten
from planner.domain.predict.quality import QualityAsk, QualityPrediction, predict_quality
from planner.usecases.read_estimate import read_scheme, read_word
from planner.usecases.workshop import Workshop

NEEDED = ("model", "scheme", "benchmark")
FIELDS = frozenset({*NEEDED, "method", "group_size", "baseline_value"})


def predict_evidence(workshop: Workshop, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The benchmark's expected value and change with a 90 % interval, and what they stand on.

    Raises:
        BadInput: `evidence.unknown_field`, `.missing_field`, `.bad_field`, or a word that names nothing.
        UnknownModel: no model of that name.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    _check_names(given)
    spellings = workshop.knowledge.spellings()
    version = workshop.knowledge.version()
    tables = workshop.knowledge.tables(version)
    model = workshop.catalog.find_model(str(given["model"])).model
    words = read_scheme(str(given["scheme"]), spellings)
    scheme, group_size = words.scheme, words.group_size
    benchmark = _read_benchmark(str(given["benchmark"]), workshop, tables)
    method = read_word("method", given.get("method"), spellings) or _usual_method(scheme, tables)
    evidence = workshop.knowledge.evidence(version, benchmark)
    prediction = predict_quality(
        QualityAsk(
            model_id=model.model_id,
            params=model.params_total,
            scheme=scheme,
            method="none" if scheme in {"BF16", "F16", "F32"} else method,
            group_size=_number(given, "group_size", group_size),
            bits=_bits(scheme, evidence, tables),
            benchmark=benchmark,
            related=_relatives(benchmark, tables),
            baseline=_baseline(given),
        ),
        evidence,
    )
    answer: dict[str, Any] = round_significant(_describe(prediction))
    return answer


def _check_names(given: Mapping[str, Any]) -> None:
    unknown = sorted(set(given) - FIELDS)
    if unknown:
        known = sorted(FIELDS)
        raise BadInput(
            "evidence.unknown_field",
            f'A prediction has no field "{shorten(unknown[0])}". Fields: {", ".join(known)}.',
            choices=known,
        )
    missing = [name for name in NEEDED if not str(given.get(name) or "").strip()]
    if missing:
        raise BadInput("evidence.missing_field", f"A prediction needs {', '.join(missing)}.")


def _read_benchmark(text: str, workshop: Workshop, tables: Tables) -> str:
    planned = sorted({name for names in tables.benchmarks.values() for name in names})
    word = workshop.knowledge.spellings().read("benchmark", text)
    if word is not None or text.strip().lower() in planned:
        return word or text.strip().lower()
    near = difflib.get_close_matches(text.lower(), planned, n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]}?" if near else f" Among them: {', '.join(planned[:8])}."
    raise BadInput(
        "benchmark.unknown", f'No evidence names a benchmark "{shorten(text)}".{hint}', suggestions=near
    )


def _usual_method(scheme: str, tables: Tables) -> str:
    return next((recipe.method for recipe in tables.recipes if recipe.scheme == scheme), "rtn")


def _relatives(benchmark: str, tables: Tables) -> tuple[str, ...]:
    for names in tables.benchmarks.values():
        if benchmark in names:
            return tuple(name for name in names if name != benchmark)
    return ()


def _bits(scheme: str, evidence: EvidenceBase, tables: Tables) -> float:
    """Stored bits: from the scheme's table, else as its evidence says, else as its name does."""
    for (name, _), row in tables.schemes.items():
        if name == scheme:
            return row.weight_bits
    stated = [
        row.bits for rows in evidence.quality.values() for row in rows if row.scheme == scheme and row.bits
    ]
    bits = median(stated) if stated else nominal_bits(scheme)
    if bits is None:
        raise BadInput(
            "scheme.unknown", f"Nothing says how many bits {scheme} stores: there is no way to compare it."
        )
    return bits


def _number(given: Mapping[str, Any], name: str, default: int | None) -> int | None:
    value = given.get(name, default)
    if value is None or value == PER_CHANNEL:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(
            "evidence.bad_field", f'{name} is a whole number above 0, not "{shorten(str(value))}".'
        )
    return value


def _baseline(given: Mapping[str, Any]) -> float | None:
    value = given.get("baseline_value")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise BadInput(
            "evidence.bad_field", f'baseline_value is a number above 0, not "{shorten(str(value))}".'
        )
    return float(value)


def _describe(prediction: QualityPrediction) -> dict[str, Any]:
    names = ("expected", "low", "high", "expected_delta", "low_delta", "high_delta", "n_measurements")
    return {
        "benchmark": prediction.benchmark,
        **{name: getattr(prediction, name) for name in names},
        "sources": list(prediction.sources),
        "basis": prediction.basis,
    }
