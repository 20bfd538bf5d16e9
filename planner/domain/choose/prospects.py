"""Candidates of one model on one target with all that stands whatever the workload, worked out once and shared.

Asks about the same model and devices differ in context, users and objective: what a scheme stores on each device,
which kernel loads it and what speaks against it is the same for all of them.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from planner.domain.choose.candidates import Candidate, Tables, enumerate_candidates
from planner.domain.choose.legality import Standing, judge_standing
from planner.domain.facts.gguf import container_bytes
from planner.domain.facts.hardware import Device, Target
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request
from planner.domain.facts.scheme import Scheme
from planner.domain.facts.storage import StoredBytes, bits_per_weight, stored_bytes
from planner.domain.facts.tensors import count_described_parameters, tensor_layout
from planner.domain.predict.memory import Weights, weigh
from planner.domain.predict.seats import Division, divide


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prospect:
    """A candidate before any workload. Told apart by identity."""

    candidate: Candidate
    model: ModelFacts
    devices: tuple[Device, ...]
    """Those of the target that its placement uses."""
    division: Division
    weights: Weights
    stored: StoredBytes
    """Tensor data of its checkpoint."""
    artifact_bytes: int
    """On disk: tensor data, container, tokenizer files."""
    bits_per_weight: float
    standing: Standing
    can_hold: bool
    """Whether every device could hold its weights with nothing else in it."""


def list_prospects(
    request: Request, model: ModelFacts, target: Target, tables: Tables
) -> tuple[Prospect, ...]:
    """Prospects of all candidates for this request on this target, in table order.

    Requests that name the same schemes, methods and engines share them.

    Raises:
        BadInput: an engine or a scheme was asked for by name and no recipe has it, or the model's layout is not
            covered.
    """
    return _list_prospects(_name_alone(request), model, target, tables)


def list_loadable(
    request: Request, model: ModelFacts, target: Target, tables: Tables
) -> tuple[Prospect, ...]:
    """Those that nothing refuses and whose weights the devices could hold with nothing else in them.

    Raises:
        BadInput: as `list_prospects` does.
    """
    return _list_loadable(_name_alone(request), model, target, tables)


def _name_alone(request: Request) -> Request:
    """What a request names: schemes, methods, engines and the like."""
    return replace(
        request,
        text="",
        model="",
        devices=(),
        context_tokens=None,
        concurrency=None,
        objective="balanced",
        task=None,
    )


@lru_cache(maxsize=512)
def _list_prospects(
    request: Request, model: ModelFacts, target: Target, tables: Tables
) -> tuple[Prospect, ...]:
    candidates = enumerate_candidates(request, model, target, tables)
    return tuple(look_at(candidate, request.schemes, model, target, tables) for candidate in candidates)


@lru_cache(maxsize=512)
def _list_loadable(
    request: Request, model: ModelFacts, target: Target, tables: Tables
) -> tuple[Prospect, ...]:
    looked_at = (
        look_at(candidate, request.schemes, model, target, tables)
        for candidate in enumerate_candidates(request, model, target, tables)
        if _may_hold(candidate, model, target, tables)
    )
    return tuple(prospect for prospect in looked_at if prospect.can_hold and not prospect.standing.is_refused)


def _may_hold(candidate: Candidate, model: ModelFacts, target: Target, tables: Tables) -> bool:
    """Whether the layers of each replica are no larger than its devices together: quick, and never wrongly no."""
    place = candidate.placement
    own = _pad(model, candidate.intermediate_size)
    stored = stored_bytes(own, candidate.scheme, candidate.group_size, tables.gguf)
    used = target.devices[: place.devices]
    return stored.layers * place.dp <= sum(device.available_bytes for device in used)


@lru_cache(maxsize=16384)
def look_at(
    candidate: Candidate, named: tuple[str, ...], model: ModelFacts, target: Target, tables: Tables
) -> Prospect:
    """The prospect of one candidate; schemes in `named` are judged by no policy."""
    scheme, place = candidate.scheme, candidate.placement
    own = _pad(model, candidate.intermediate_size)
    used = target.devices[: place.devices]
    division = divide(own, candidate.engine, place, used, is_gguf=scheme.is_gguf_mix)
    stored = stored_bytes(own, scheme, candidate.group_size, tables.gguf)
    weights = weigh(division, scheme, candidate.group_size, tables.gguf)
    layout = tensor_layout(model)
    around = (
        container_bytes(layout, model.metadata_bytes or 0)
        if scheme.is_gguf_mix
        else safetensors_header_bytes(model, scheme) + (model.tokenizer_bytes or 0)
    )
    return Prospect(
        candidate=candidate,
        model=model,
        devices=used,
        division=division,
        weights=weights,
        stored=stored,
        artifact_bytes=stored.total + around,
        bits_per_weight=bits_per_weight(stored, count_described_parameters(model)),
        standing=judge_standing(candidate, named, model, target, tables),
        can_hold=all(
            size <= span.device.available_bytes
            for span, size in zip(division.spans, weights.by_span, strict=True)
        ),
    )


def move_to_host(prospect: Prospect, layers: int, tables: Tables) -> Prospect:
    """The prospect with its first layers in host memory; what loads it and what it stores stay as they are."""
    candidate, division = prospect.candidate, prospect.division
    place = replace(candidate.placement, offload=layers)
    devices = prospect.devices
    moved = divide(division.model, candidate.engine, place, devices, is_gguf=candidate.scheme.is_gguf_mix)
    return replace(
        prospect,
        candidate=replace(candidate, placement=place),
        division=moved,
        weights=weigh(moved, candidate.scheme, candidate.group_size, tables.gguf),
    )


@lru_cache(maxsize=512)
def _pad(model: ModelFacts, intermediate_size: int) -> ModelFacts:
    """The model with the width of a padded checkpoint."""
    if intermediate_size == model.intermediate_size:
        return model
    return replace(model, intermediate_size=intermediate_size)


@lru_cache(maxsize=4096)
def safetensors_header_bytes(model: ModelFacts, scheme: Scheme) -> int:
    """Bytes of the JSON header: about 110 for each stored tensor, several for a quantized matrix."""
    stored_each = {"none": 1, "channel": 2, "group": 3, "block": 2}[scheme.scales]
    return sum(
        110 * tensor.count * (1 if tensor.is_vector else stored_each) for tensor in tensor_layout(model)
    )
