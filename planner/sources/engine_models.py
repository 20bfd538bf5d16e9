"""Which models an engine's version knows: `data/engine_models.csv` as rules.

A row names an architecture, the last release read that lacks it and the first that has it (blank: the oldest read
has it), and the last release that had it where it was dropped. Between two releases that were read nobody looked,
and from `fallback_since` on an engine tries what it does not know by way of transformers: that is doubted. What
no row of an engine names is doubted from there on as well.
"""

from collections.abc import Iterable, Iterator, Sequence

from planner.domain.facts.kernels import EngineRule
from planner.domain.facts.versions import just_after, read_version
from planner.sources.tables import Row


def make_model_rules(rows: Sequence[Row]) -> Iterator[EngineRule]:
    """Rules of all engines."""
    known: dict[str, list[Row]] = {}
    for row in rows:
        known.setdefault(row["engine"], []).append(row)
        yield from _before_it_came(row)
        yield from _after_it_went(row)
    for engine, own in known.items():
        yield EngineRule(
            rule_id=f"{engine}-models",
            engines=(engine,),
            role="doubts",
            other_architectures=frozenset(row["architecture"] for row in own),
            since=read_version(own[0]["fallback_since"]),
            code="unknown.model_support",
            message=f"no release of {engine} that was read names {{architecture}}",
            way_out=("transformers",),
            source=own[0]["source"],
        )


def _before_it_came(row: Row) -> Iterable[EngineRule]:
    engine, architecture = row["engine"], row["architecture"]
    absent, since = read_version(row["absent_in"]), read_version(row["since"])
    if absent is None or since is None:
        return
    surely = min(just_after(absent), read_version(row["fallback_since"]) or since)
    newer = (f"{engine} {row['since']} or newer",)
    yield EngineRule(
        rule_id=f"{engine}-without-{architecture}",
        engines=(engine,),
        role="refuses",
        architectures=(architecture,),
        before=surely,
        code="engine.unknown_model",
        message=f"{engine} {{version}} does not know {architecture}: {row['since']} does, "
        f"{row['absent_in']} does not",
        way_out=newer,
        source=row["source"],
    )
    yield EngineRule(
        rule_id=f"{engine}-doubtful-{architecture}",
        engines=(engine,),
        role="doubts",
        architectures=(architecture,),
        since=surely,
        before=since,
        code="unknown.model_support",
        message=f"{engine} knows {architecture} by itself from {row['since']} on at the latest; whether {{version}} "
        "runs it, by way of transformers or at all, is not known",
        way_out=newer,
        source=row["source"],
    )


def _after_it_went(row: Row) -> Iterable[EngineRule]:
    engine, architecture, last = row["engine"], row["architecture"], read_version(row["last"])
    if last is None:
        return
    yield EngineRule(
        rule_id=f"{engine}-dropped-{architecture}",
        engines=(engine,),
        role="refuses",
        architectures=(architecture,),
        since=just_after(last),
        code="engine.unknown_model",
        message=f"{engine} knew {architecture} until {row['last']} and refuses it since",
        way_out=(f"{engine} {row['last']}", "transformers"),
        source=row["source"],
    )
