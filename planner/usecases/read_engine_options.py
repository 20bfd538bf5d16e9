"""From an estimate's `engine_options` to its fields and to what is asked for beside the model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from planner.domain.choose.named_candidate import EstimateAsk
from planner.domain.errors import BadInput
from planner.domain.facts.engine_options import ReadOptions, read_options
from planner.domain.facts.spellings import shorten
from planner.domain.predict.extras import DEFAULT_RANK, LAYER_METHODS, ExtraAsk
from planner.usecases.read_estimate import read_word
from planner.usecases.workshop import Workshop

MAX_COUNT = 100_000


@dataclass(frozen=True, slots=True)
class OptionsOfEstimate:
    """An estimate's fields without `engine_options`, and what these set besides."""

    fields: Mapping[str, Any]
    options: ReadOptions
    extras: ExtraAsk
    notes: tuple[str, ...]

    def complete(self, ask: EstimateAsk) -> EstimateAsk:
        """The candidate with what the options say of it."""
        said = self.options.extras
        ranks = (ask.tp or 1) * (ask.dp or 1)
        return replace(
            ask,
            ep=ask.ep or (ranks if said.get("expert_parallel") else None),
            terms=self.options.terms,
            eager=bool(said.get("eager")),
            is_text_only=bool(said.get("text_only")),
            chunked=said.get("chunked"),
            engine_options=self.options.own,
            extras=self.extras,
        )


def read_engine_options(fields: Mapping[str, Any], workshop: Workshop) -> OptionsOfEstimate:
    """What the options mean for the engine that was named; a field that was given keeps its own value.

    Raises:
        BadInput: `estimate.bad_field`, an option or its value cannot be read.
        UnknownModel: the draft model is none that is known.
    """
    given = {name: value for name, value in fields.items() if name != "engine_options" and value is not None}
    options = fields.get("engine_options") or {}
    if not isinstance(options, Mapping):
        raise BadInput(
            "estimate.bad_field",
            f'engine_options is an object of names and values, not "{shorten(str(options))}".',
        )
    engine = read_word("engine", given.get("engine"), workshop.knowledge.spellings())
    table = workshop.knowledge.tables(workshop.knowledge.version()).options
    try:
        read = read_options(options, engine, table)
    except ValueError as error:
        raise BadInput("estimate.bad_field", f"engine_options: {error}.") from error
    notes: tuple[str, ...] = ()
    if read.unknown:
        notes = (
            f"memory is estimated without these engine options, which no table knows: {', '.join(read.unknown)}",
        )
    return OptionsOfEstimate({**read.fields, **given}, read, _read_extras(read.extras, workshop), notes)


def _read_extras(said: Mapping[str, Any], workshop: Workshop) -> ExtraAsk:
    """The draft and the adapters that the options ask for."""
    draft = said.get("draft")
    method = str(said.get("draft_method") or "").lower()
    is_layer = method in LAYER_METHODS or method.endswith("_mtp")
    loras = _count(said, "loras", 1)
    has_adapters = said.get("lora", "loras" in said)
    return ExtraAsk(
        draft=workshop.catalog.find_model(str(draft)).model if draft and not is_layer else None,
        has_draft_layer=is_layer,
        adapters=loras if has_adapters else 0,
        adapter_rank=_count(said, "lora_rank", DEFAULT_RANK),
        context_parallel=_count(said, "context_parallel", 1),
    )


def _count(said: Mapping[str, Any], name: str, default: int) -> int:
    value = said.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if not 1 <= number <= MAX_COUNT:
        raise BadInput(
            "estimate.bad_field",
            f'engine_options: {name} is a whole number from 1, not "{shorten(str(value))}".',
        )
    return number
