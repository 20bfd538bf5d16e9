"""Fields → numbers and verdicts of one candidate. Nothing is recorded."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.domain.canonical import as_plain, round_significant
from planner.domain.choose.estimate import estimate_candidate as estimate
from planner.domain.choose.named_candidate import (
    as_published,
    choose_engine,
    make_candidate,
    name_usual_engine,
    place_candidate,
)
from planner.domain.choose.predictor import PlanInputs
from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, Target
from planner.domain.facts.hardware_cpu import SYSTEM_BYTES
from planner.domain.facts.model_names import ModelMatch
from planner.domain.facts.request import Request, make_workload
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.facts.request_words import CPU, HOST_MARK, THIS_MACHINE
from planner.domain.units import format_gib
from planner.usecases.find_devices import find_devices
from planner.usecases.plan_model import say_others
from planner.usecases.read_engine_options import read_engine_options
from planner.usecases.read_estimate import NO_ACCELERATOR, EstimateFields, read_estimate
from planner.usecases.workshop import Workshop


def estimate_candidate(workshop: Workshop, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers come back also when it does not fit or may not load: the verdicts say so.

    Raises:
        BadInput: a field that cannot be read, or a part that is not modelled.
        Ambiguous: words that mean several cards or models.
        UnknownModel: no model of that name.
    """
    options = read_engine_options(fields, workshop)
    asked = read_estimate(options.fields, workshop.knowledge.spellings())
    asked = replace(asked, candidate=options.complete(asked.candidate))
    version = workshop.knowledge.version()
    tables = workshop.knowledge.tables(version)
    match = _find_original(workshop, asked.model)
    first = find_devices(workshop, (replace(asked.devices[0], count=1),))
    words = " + ".join(ask.words for ask in asked.devices)
    if asked.count == NO_ACCELERATOR and first.kind == "gpu":
        raise BadInput("estimate.bad_field", f"count is 0, and {words} is an accelerator.")
    named = name_usual_engine(asked.candidate, match.model, first.devices[0], tables)
    asked = replace(asked, candidate=named)
    engine = choose_engine(asked.candidate, first.kind, tables)
    is_here = words in {THIS_MACHINE, CPU} or words.startswith(HOST_MARK)
    count = asked.count or (len(first.devices) if is_here else None)
    placement = place_candidate(asked.candidate, engine, count, tables)
    target = first if is_here else _widen(workshop, asked.devices, max(count or 1, placement.devices))
    if placement.devices > len(target.devices):
        raise BadInput(
            "estimate.placement",
            f"{placement.label} needs {placement.devices} devices, {words} has {len(target.devices)}.",
        )
    request = _as_request(asked)
    inputs = PlanInputs(
        request=request,
        model=match.model,
        model_id=match.typed,
        notes=(*_notes(match), *asked.notes, *options.notes),
        target=replace(
            target,
            devices=tuple(
                _hold(_without_graphics(device) if asked.on_cpu else device, asked.free_bytes)
                for device in target.devices[: placement.devices]
            ),
        ),
        tables=tables,
        evidence=workshop.knowledge.evidence(version),
        versions={},
    )
    candidate = make_candidate(asked.candidate, engine, match.model, tables, placement)
    candidate = as_published(candidate, asked.model, tables)
    workload = make_workload(request, match.model.max_position, target.kind)
    answer: dict[str, Any] = as_plain(
        round_significant(estimate(inputs, candidate, workload, asked.candidate))
    )
    return {**answer, "evidence_version": version.evidence_version}


def _find_original(workshop: Workshop, words: str) -> ModelMatch:
    """The model of that name; of a quantized checkpoint the original, for the scheme is a field of its own."""
    try:
        return workshop.catalog.find_model(words)
    except BadInput as error:
        if error.code != "model.quantized":
            raise
        return workshop.catalog.find_model(error.suggestions[0])


def _as_request(asked: EstimateFields) -> Request:
    """The request that this candidate answers; its scheme counts as asked for by name."""
    return Request(
        text="",
        model=asked.model,
        devices=asked.devices,
        context_tokens=asked.context,
        concurrency=asked.concurrency,
        schemes=(asked.candidate.scheme,),
    )


def _widen(workshop: Workshop, asks: tuple[DeviceAsk, ...], count: int) -> Target:
    """So many devices; of a mix, what was not told apart counts as more of its smallest card."""
    if len(asks) == 1:
        return find_devices(workshop, (replace(asks[0], count=count),))
    more = count - sum(ask.count for ask in asks)
    singles = [find_devices(workshop, (replace(ask, count=1),)).devices[0] for ask in asks]
    smallest = min(range(len(asks)), key=lambda index: singles[index].available_bytes)
    widened = tuple(
        replace(ask, count=ask.count + more) if index == smallest else ask for index, ask in enumerate(asks)
    )
    target = find_devices(workshop, widened if more > 0 else asks)
    told = (
        (f"{more} of the devices were not told apart: taken as {asks[smallest].words}",) if more > 0 else ()
    )
    return replace(target, assumed=(*target.assumed, *told))


def _notes(match: ModelMatch) -> tuple[str, ...]:
    return (say_others(match.note, match.others),) if match.note else ()


def _without_graphics(device: Device) -> Device:
    """A chip's processor with all memory that it shares with its graphics, which are left out; else as it is."""
    if device.kind != "unified":
        return device
    return replace(device, kind="cpu", reserved_bytes=min(device.reserved_bytes, SYSTEM_BYTES))


def _hold(device: Device, free_bytes: int | None) -> Device:
    """The device with exactly `free_bytes` free, as somebody read it off.

    Raises:
        BadInput: `estimate.bad_field`, it has less than that.
    """
    if free_bytes is None:
        return device
    if free_bytes > device.total_bytes:
        raise BadInput(
            "estimate.bad_field",
            f"free_bytes is {format_gib(free_bytes)}, {device.label} has {format_gib(device.total_bytes)} in all.",
        )
    reserved = min(device.reserved_bytes, device.total_bytes - free_bytes)
    return replace(device, reserved_bytes=reserved, held_bytes=device.total_bytes - reserved - free_bytes)
