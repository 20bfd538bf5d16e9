"""An engine's own options, as people type them, turned into what memory depends on.

`data/engine_options.csv` says for each option of each engine what it sets: a field of the estimate (`field:tp`), a
term of the engine's constants (`term:sequence_slots`), a part of its own (`extra:loras`), or nothing that memory
depends on. An option that the table does not have is named in the answer, never silently dropped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ANY = "any"
"""Engine of rows that hold for all."""
MOST = 1_000_000
OFF = frozenset({"", "false", "no", "off", "0", "none", "null"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOption:
    """One row of `data/engine_options.csv`."""

    engine: str
    option: str
    sets: str
    """`field:NAME`, `term:NAME`, `flag:NAME`, `extra:NAME`, `own:NAME`, or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the options of one estimate set."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    terms: Mapping[str, float] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Any] = field(default_factory=dict)
    """Options that the engine's own formula reads, under the name it knows."""
    unknown: tuple[str, ...] = ()
    """Options that no row names."""


def read_options(given: Mapping[str, Any], engine: str | None, table: Sequence[EngineOption]) -> ReadOptions:
    """What the options set; for an engine without rows of its own the first engine that has the option speaks.

    Raises:
        ValueError: a term's value is no number, or none that an engine would take.
    """
    fields: dict[str, Any] = {}
    terms: dict[str, float] = {}
    extras: dict[str, Any] = {}
    own: dict[str, Any] = {}
    unknown = []
    has_own_rows = any(row.engine == engine for row in table)
    for name, value in _flatten(given):
        named = [row for row in table if row.option == name]
        rows = [row for row in named if row.engine in {engine, ANY}] or ([] if has_own_rows else named)
        kind, _, target = (rows[0].sets if rows else "").partition(":")
        if not rows:
            unknown.append(name)
        elif value is None:
            continue
        elif kind == "field":
            fields[target] = value
        elif kind == "term":
            terms[target] = _number(name, value)
        elif kind == "flag":
            extras[target] = str(value).strip().lower() not in OFF
        elif kind == "extra":
            extras[target] = value
        elif kind == "own":
            own[target] = value
    return ReadOptions(fields=fields, terms=terms, extras=extras, own=own, unknown=tuple(unknown))


def _flatten(given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names without dashes, and the parts of an option that is an object under its own name: `speculative.model`."""
    found: list[tuple[str, Any]] = []
    for name, value in given.items():
        plain = str(name).strip().lower().lstrip("-").replace("-", "_")
        parsed = _parse(value)
        if isinstance(parsed, Mapping):
            found += [(f"{plain}.{str(part).lower()}", item) for part, item in parsed.items()]
        else:
            found.append((plain, parsed))
    return found


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{name} is a number, not "{value}"') from error
    if not 1 <= number <= MOST:
        raise ValueError(f'{name} is a number from 1 to {MOST:,}, not "{value}"')
    return number


def _parse(value: Any) -> Any:
    """An object that was written as JSON, as command lines do; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
