"""Rule tables parse whole, refer to what exists, and a slip in one is named."""

import csv
from pathlib import Path

import pytest

from planner.sources.rules import RULE_TABLES, make_planning_tables, make_rule

DATA = Path(__file__).parents[3] / "data"


def read(stem):
    with (DATA / f"{stem}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_recipe_and_published_checkpoint_is_of_a_known_scheme_and_engine(tables):
    for row in (*tables.recipes, *tables.prebuilt):
        assert (row.scheme, row.format) in tables.schemes
        assert row.engine in tables.engines


def test_every_gguf_scheme_has_its_mix_and_every_mix_a_type(tables):
    for name, form in tables.schemes:
        if form == "gguf":
            bases = [mix.base for mix in tables.gguf.dynamic.get(name, ())] or [name]
            assert set(bases) <= set(tables.gguf.base_types)
    for rules in tables.gguf.rules.values():
        assert all(rule.type in tables.gguf.types for rule in rules)
    assert all(
        row.fallback is None or row.fallback in tables.gguf.types for row in tables.gguf.types.values()
    )


def test_every_engine_has_all_its_memory_constants(tables):
    shared = {
        "utilisation",
        "batched_tokens",
        "context_single",
        "context_parallel",
        "graphs",
        "activation_scale",
    }
    assert {(engine, term) for engine in tables.engines for term in shared} <= set(tables.memory)


def test_a_dated_constant_is_of_an_engine_that_states_it_now(tables):
    for engine, term in tables.memory:
        assert (engine.partition("@")[0], term) in tables.memory


def test_defaults_by_version_stand_oldest_first(tables):
    seen = {}
    for row in tables.defaults:
        assert row.since >= seen.get((row.engine, row.term), (0,)), row
        seen[row.engine, row.term] = row.since


def test_every_constant_lies_between_its_bounds(tables):
    for row in (*tables.memory.values(), *tables.jobs.values()):
        assert row.low <= row.likely <= row.high
        assert row.source


def test_every_task_has_a_benchmark_of_its_own(tables):
    assert {"general", "coding", "math", "chat", "multilingual", "held-out text"} <= set(tables.benchmarks)


def test_a_condition_that_names_no_predicate_is_refused_by_rule():
    row = {**read("engine_rules")[0], "conditions": "moon_is_full=yes", "rule_id": "by-moonlight"}
    with pytest.raises(ValueError, match="by-moonlight: no predicate called moon_is_full"):
        make_rule(row)


def test_every_rule_row_parses_and_ids_are_unique():
    rules = [make_rule(row) for row in read("engine_rules")]
    ids = [rule.rule_id for rule in rules if rule.role != "fact"]
    assert len(ids) == len(set(ids))
    assert {rule.role for rule in rules} == {"loads", "optional", "requires", "refuses", "doubts", "fact"}


def test_a_rule_that_judges_says_where_it_comes_from():
    for rule in map(make_rule, read("engine_rules")):
        if rule.role != "fact":
            assert rule.source


def test_the_tables_need_what_they_say_they_need():
    rows = {stem: read(stem) for stem in RULE_TABLES}
    for stem in RULE_TABLES:
        with pytest.raises(KeyError):
            make_planning_tables({name: found for name, found in rows.items() if name != stem})
