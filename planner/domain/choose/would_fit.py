"""When nothing fits: which change would do. A shorter context, more cards, another target, layers in host memory.

Changes are tried one at a time, each planned like the request itself; the first of each kind that holds a
legal choice is told. Layers in host memory are told and never chosen: how much memory a described host has nobody
said, and how fast it is even less.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from planner.domain.choose.objective import HEADROOM, rank
from planner.domain.choose.predictor import Judged, PlanInputs, Predictor
from planner.domain.choose.prospects import Prospect, list_loadable, list_prospects, move_to_host
from planner.domain.facts.hardware import Target
from planner.domain.facts.request import Request, make_workload
from planner.domain.predict.llamacpp_builds import LLAMACPP_FAMILY
from planner.domain.predict.memory import MemoryEstimate
from planner.domain.units import format_gib

SHORT_CONTEXTS = (32768, 16384, 8192, 4096, 2048)
"""Contexts that are tried in place of a longer one, tokens."""
MULTIPLES = (2, 3, 4, 8)
"""Multiples of the target's devices that are tried."""
MOST_DEVICES = 16

Change = tuple[str, Request, Target]


def list_ways_to_fit(inputs: PlanInputs) -> list[dict[str, Any]]:
    """`[{change, target, candidate}]`, at most one of each kind of change; empty when none that is tried helps."""
    found = []
    for kind in (_shorter(inputs), _more_of_the_same(inputs), _other_targets(inputs)):
        for change, request, target in kind:
            best = _best_choice(replace(inputs, request=request, target=target))
            if best is not None:
                found.append({"change": change, "target": target.label, "candidate": best})
                break
    return [*found, *_layers_on_the_host(inputs)]


def _shorter(inputs: PlanInputs) -> Iterator[Change]:
    """Fewer users, halving them; then a shorter context, the longest first; then that for one user."""
    request = inputs.request
    asked = make_workload(request, inputs.model.max_position, inputs.target.kind)
    shorter = [context for context in SHORT_CONTEXTS if context < asked.context_tokens]
    least = replace(request, context_tokens=min([*shorter, asked.context_tokens]), concurrency=1)
    judged = _judge_all(_make_predictor(replace(inputs, request=least)))
    if not any(item.verdict.status == "legal" for item in judged):
        return  # what does not fit with the least of both fits with nothing between
    users = asked.concurrency // 2
    while users:
        yield (
            f"{users} users" if users > 1 else "one user",
            replace(request, concurrency=users),
            inputs.target,
        )
        users //= 2
    for context in shorter:
        yield f"context {context:,}", replace(request, context_tokens=context), inputs.target
    for context in shorter if asked.concurrency > 1 else ():
        alone = replace(request, context_tokens=context, concurrency=1)
        yield f"context {context:,}, one user", alone, inputs.target


def _more_of_the_same(inputs: PlanInputs) -> Iterator[Change]:
    for multiple in MULTIPLES:
        devices = inputs.target.devices * multiple
        if inputs.target.kind == "gpu" and len(devices) <= MOST_DEVICES:
            ordered = tuple(sorted(devices, key=lambda device: -device.available_bytes))
            target = replace(inputs.target, devices=ordered, host=None)
            yield f"{len(devices)} of these cards", inputs.request, target


def _other_targets(inputs: PlanInputs) -> Iterator[Change]:
    held = sum(device.available_bytes for device in inputs.target.devices)
    prospects = list_prospects(inputs.request, inputs.model, inputs.target, inputs.tables)
    least = min(prospect.stored.layers for prospect in prospects)
    for target in inputs.tables.reference_targets:
        if sum(device.available_bytes for device in target.devices) > max(held, least):
            yield "another target", inputs.request, target


def _layers_on_the_host(inputs: PlanInputs) -> list[dict[str, Any]]:
    """The best candidate of llama.cpp with as few layers in host memory as it takes to fit."""
    if inputs.target.kind != "gpu":
        return []
    predictor = _make_predictor(inputs)
    whole = [
        prospect
        for prospect in predictor.list_prospects()
        if prospect.candidate.engine in LLAMACPP_FAMILY
        and prospect.candidate.placement.dp == 1
        and prospect.standing.loading.status == "legal"
        and not prospect.standing.is_refused
    ]
    judged = [_fewest_on_host(predictor, prospect) for prospect in whole]
    legal = [predictor.score(item) for item in judged if item is not None]
    ranking = rank(legal, inputs.request.objective, inputs.request.schemes)
    if not ranking.admitted:
        return []
    best = ranking.admitted[0]
    layers = best.candidate.placement.offload
    change = (
        f"{layers} of {inputs.model.num_layers} layers in {format_gib(best.memory.host_bytes)} of host memory"
    )
    return [{"change": change, "target": inputs.target.label, "candidate": best.candidate.label}]


def _fewest_on_host(predictor: Predictor, whole: Prospect) -> Judged | None:
    """The candidate with the fewest layers in host memory that leave headroom; None when none do.

    What is too much falls nearly in a line with the layers that leave: the first guess is where the line from all
    layers to none crosses, and one layer to either side of it is tried before halves are.
    """

    def put_on_host(layers: int) -> Judged:
        return predictor.judge(move_to_host(whole, layers, predictor.inputs.tables))

    most = predictor.inputs.model.num_layers
    found = put_on_host(most)
    if not _leaves_headroom(found):
        return None
    too_few, enough = 0, most
    now, then = (_excess(memory) for memory in (predictor.memory_of(whole), found.memory))
    guess = min(most - 1, max(1, math.ceil(most * now / (now - then)))) if now > then else most // 2
    while enough - too_few > 1:
        judged = put_on_host(guess)
        if _leaves_headroom(judged):
            found, enough = judged, guess
            guess = guess - 1 if guess - 1 > too_few else guess
        else:
            too_few = guess
            guess += 1
        if not too_few < guess < enough:
            guess = (too_few + enough) // 2
    return found


def _leaves_headroom(judged: Judged) -> bool:
    return judged.verdict.status == "legal" and judged.memory.headroom_at_worst >= HEADROOM


def _excess(memory: MemoryEstimate) -> float:
    """Bytes at the worst beyond what leaves headroom; below 0 where there is enough."""
    return memory.total_high_bytes - (1 - HEADROOM) * memory.usable_bytes


def _make_predictor(inputs: PlanInputs) -> Predictor:
    return Predictor(inputs, make_workload(inputs.request, inputs.model.max_position, inputs.target.kind))


def _judge_all(predictor: Predictor) -> Iterator[Judged]:
    """Verdicts on what the devices could hold with nothing else in them, and nothing refuses."""
    inputs = predictor.inputs
    for prospect in list_loadable(inputs.request, inputs.model, inputs.target, inputs.tables):
        yield predictor.judge(prospect)


def _best_choice(inputs: PlanInputs) -> str | None:
    predictor = _make_predictor(inputs)
    legal = [predictor.score(item) for item in _judge_all(predictor) if item.verdict.status == "legal"]
    ranking = rank(legal, inputs.request.objective, inputs.request.schemes)
    if not ranking.admitted:
        return None
    best = ranking.admitted[0].candidate
    return f"{best.label}, {best.placement.label}"
