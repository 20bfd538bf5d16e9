"""What was promised: the decision as recorded, hashed and replayed.

The body is everything that follows from the inputs alone: request, model, target, choice, alternatives,
rejections, warnings, inputs. Numbers in it are rounded to six significant digits, keys sorted, and its SHA-256
covers it together with the hash of the decision before it, so that a changed or missing record shows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.domain.canonical import Json, as_plain, quote, round_significant, write_rounded
from planner.domain.record.inputs import Document

FIRST_HASH = "0" * 64
"""`previous_sha256` of the first decision of a home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One recorded decision."""

    decision_id: str
    body: Mapping[str, Any]
    previous_sha256: str
    record_sha256: str
    created_at: str
    """ISO 8601, UTC."""
    request_document: Json | None = None
    """The request as it was read, in canonical JSON; its SHA-256 is among the body's inputs."""
    parts: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Canonical JSON of each field of the body, of a decision that was sealed just now: written once, used thrice."""

    def write_json(self) -> str:
        """`as_json` as text."""
        around = {"created_at": self.created_at, "decision_id": self.decision_id}
        around |= {"previous_sha256": self.previous_sha256, "record_sha256": self.record_sha256}
        parts = self.parts or write_parts(self.body)
        return join_parts({**parts, **{name: write_rounded(value) for name, value in around.items()}})

    def as_json(self) -> dict[str, Any]:
        """The decision as `plan --json` prints it, with no wrapper."""
        return {
            "decision_id": self.decision_id,
            **as_plain(self.body),
            "created_at": self.created_at,
            "record_sha256": self.record_sha256,
            "previous_sha256": self.previous_sha256,
        }


@dataclass(frozen=True, slots=True)
class WrittenBody:
    """A decision's body, its floats rounded, and its canonical JSON: by field, and whole."""

    body: Mapping[str, Any]
    parts: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision before it has its place in the chain."""

    written: WrittenBody
    request_document: Json | None = None
    documents: tuple[Document, ...] = ()
    """The inputs that the body names by hash, beside the request."""


def write_parts(body: Mapping[str, Any]) -> dict[str, str]:
    """Canonical JSON of each field of a body whose floats are rounded already."""
    return {name: write_rounded(value) for name, value in body.items()}


def join_parts(parts: Mapping[str, str]) -> str:
    """Canonical JSON of an object from the canonical JSON of its fields."""
    return "{" + ",".join(f"{quote(name)}:{parts[name]}" for name in sorted(parts)) + "}"


def write_body(body: Mapping[str, Any]) -> WrittenBody:
    """Round a decision's body and write it."""
    rounded = round_significant(body)
    parts = write_parts(rounded)
    return WrittenBody(rounded, parts, join_parts(parts))


def seal_decision(draft: Draft, previous_sha256: str, created_at: str) -> Decision:
    """Chain and name a decision; its id is the beginning of its hash."""
    written = draft.written
    sealed = {
        "body": written.text,
        "created_at": write_rounded(created_at),
        "previous_sha256": write_rounded(previous_sha256),
    }
    record_sha256 = hashlib.sha256(join_parts(sealed).encode()).hexdigest()
    return Decision(
        decision_id=f"d-{record_sha256[:10]}",
        body=written.body,
        previous_sha256=previous_sha256,
        record_sha256=record_sha256,
        created_at=created_at,
        request_document=draft.request_document,
        parts=written.parts,
    )


def list_differences(recorded: Any, replayed: Any, path: str = "") -> list[dict[str, Any]]:
    """Every field where two JSON values differ, by path, with both values."""
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        differences = []
        for key in sorted(recorded.keys() | replayed.keys()):
            inner = f"{path}.{key}" if path else key
            differences += list_differences(recorded.get(key), replayed.get(key), inner)
        return differences
    if isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        differences = []
        for index, (old, new) in enumerate(zip(recorded, replayed, strict=True)):
            differences += list_differences(old, new, f"{path}[{index}]")
        return differences
    return [] if recorded == replayed else [{"path": path, "recorded": recorded, "replayed": replayed}]
