"""A plan's inputs as JSON documents and back, so that a decision can be computed again from its record."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from planner.domain.canonical import Json, canonical_json
from planner.domain.facts.hardware import Device, Target
from planner.domain.facts.model import (
    AttentionShape,
    Compression,
    Indexer,
    ModelFacts,
    PerLayerInput,
    StateSpace,
    Traits,
)
from planner.domain.facts.request import Request
from planner.domain.facts.request_devices import DeviceAsk

MODEL_PARTS: Mapping[str, Callable[..., Any]] = {
    "window": AttentionShape,
    "state_space": StateSpace,
    "index": Indexer,
    "per_layer_input": PerLayerInput,
    "compression": Compression,
}
"""Facts of a model that are structures of their own."""


@dataclass(frozen=True, slots=True)
class Document:
    """One input as it is kept: what it is, its canonical JSON, and the hash that names it."""

    kind: str
    text: Json
    sha256: str


def make_document(kind: str, content: Any) -> Document:
    """Canonical JSON of an input, and its SHA-256."""
    text = canonical_json(content)
    return Document(kind, text, hashlib.sha256(text.encode()).hexdigest())


def request_document(request: Request, model_id: str, notes: tuple[str, ...]) -> dict[str, Any]:
    """The request with the model id as typed and the notes made while it was read."""
    return {"request": asdict(request), "model_id": model_id, "notes": list(notes)}


def read_request_document(document: dict[str, Any]) -> tuple[Request, str, tuple[str, ...]]:
    """The inverse of `request_document`."""
    fields = dict(document["request"])
    fields["devices"] = tuple(DeviceAsk(**ask) for ask in fields["devices"])
    fields["schemes"] = tuple(fields["schemes"])
    return Request(**fields), document["model_id"], tuple(document["notes"])


def read_model_document(document: dict[str, Any]) -> ModelFacts:
    """The inverse of `asdict` on ModelFacts."""
    traits = document.get("traits")
    if traits is not None:
        traits = Traits(**{**traits, "index": _read_part(Indexer, traits.get("index"))})
    parts = {name: _read_part(kind, document.get(name)) for name, kind in MODEL_PARTS.items()}
    lists: dict[str, Any] = {
        name: tuple(document[name]) for name in ("aliases", "flags", "layer_widths") if name in document
    }
    fields: dict[str, Any] = {**document, **parts, **lists, "traits": traits}
    return ModelFacts(**fields)


def _read_part(kind: Callable[..., Any], fields: dict[str, Any] | None) -> Any:
    return None if fields is None else kind(**fields)


def read_target_document(document: dict[str, Any]) -> Target:
    """The inverse of `asdict` on Target."""
    devices = tuple(Device(**device) for device in document["devices"])
    return Target(**{**document, "devices": devices, "assumed": tuple(document["assumed"])})
