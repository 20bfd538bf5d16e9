"""What must hold of every memory estimate, over real models, schemes, engines and placements."""

from dataclasses import astuple
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner.domain.errors import BitwrightError
from planner.domain.facts.storage import rank_bytes, stored_bytes
from planner.sources.tables import read_models
from planner.usecases.estimate_candidate import estimate_candidate

DATA = Path(__file__).parents[3] / "data"
CARD = "NVIDIA H100 80GB SXM5"
LADDERS = {
    # Of each engine, schemes from few to many bits; neighbours far enough apart that fallbacks cannot cross.
    "llama.cpp": ("IQ2_XXS", "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16"),
    "vllm": ("W3A16", "W4A16", "W8A16", "BF16"),
    "transformers": ("W4A16", "W8A16", "BF16"),
}
SERVED = st.sampled_from([(engine, scheme) for engine, ladder in LADDERS.items() for scheme in ladder])
STEPS = st.sampled_from(
    [(engine, *pair) for engine, ladder in LADDERS.items() for pair in combinations(ladder, 2)]
)
CATALOGUE = {
    model.model_id: model for model in read_models(DATA / "models.csv") if "padded" not in model.flags
}
MODELS = st.sampled_from(sorted(CATALOGUE))
TOKENS = st.integers(1, 131_072)
USERS = st.integers(1, 64)
PLACES = st.sampled_from(
    [{"tp": 1}, {"tp": 2}, {"tp": 4}, {"pp": 2}, {"pp": 3}, {"tp": 2, "pp": 2}, {"dp": 2}]
)
LIGHT = settings(max_examples=40, deadline=None)
PARTS = ("weights_bytes", "kv_cache_bytes", "activation_bytes")
SHAPE = (
    "hidden_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
)


@pytest.fixture(scope="module")
def ask(shared_workshop):
    """The answer for one configuration on H100s; what cannot be asked is no counterexample."""

    def estimate(model, engine, scheme, place, **fields):
        engine_place = {"pp": place.get("pp", 1)} if engine != "vllm" else place
        row = {"model": model, "engine": engine, "scheme": scheme, "device": CARD, **engine_place}
        try:
            return estimate_candidate(shared_workshop, {**row, **fields})
        except BitwrightError:
            assume(condition=False)
            raise

    return estimate


@LIGHT
@given(model=MODELS, step=STEPS, place=PLACES, context=TOKENS, concurrency=USERS)
def test_more_bits_never_use_less_memory(ask, model, step, place, context, concurrency):
    engine, *schemes = step
    load = {"context": context, "concurrency": concurrency}
    low, high = (ask(model, engine, scheme, place, **load) for scheme in schemes)
    assert low["weights_bytes"] <= high["weights_bytes"]
    assert low["total_bytes"] <= high["total_bytes"]
    assert low["artifact_bytes"] <= high["artifact_bytes"]


@LIGHT
@given(model=MODELS, served=SERVED, place=PLACES, context=TOKENS, more=TOKENS, concurrency=USERS)
def test_more_context_never_frees_memory(ask, model, served, place, context, more, concurrency):
    engine, scheme = served
    short, long = (
        ask(model, engine, scheme, place, context=tokens, concurrency=concurrency)
        for tokens in (context, context + more)
    )
    assert_needs_no_less(short, long, parts=PARTS if place.get("pp", 1) == 1 else ())


@LIGHT
@given(model=MODELS, served=SERVED, place=PLACES, context=TOKENS, users=USERS, more=USERS)
def test_more_users_never_free_memory(ask, model, served, place, context, users, more):
    engine, scheme = served
    few, many = (
        ask(model, engine, scheme, place, context=context, concurrency=count)
        for count in (users, users + more)
    )
    assert_needs_no_less(few, many, parts=PARTS if place.get("pp", 1) == 1 else ())


@LIGHT
@given(model=MODELS, served=SERVED, place=PLACES, gib=st.integers(4, 70), more=st.integers(1, 9))
def test_what_fits_in_less_memory_fits_in_more(ask, model, served, place, gib, more):
    engine, scheme = served
    small, large = (
        ask(model, engine, scheme, place, free_bytes=size << 30, context=4096) for size in (gib, gib + more)
    )
    assert small["fits"] <= large["fits"]
    assert small["usable_bytes"] <= large["usable_bytes"]
    assert small["kv_capacity_tokens"] <= large["kv_capacity_tokens"]


@LIGHT
@given(model=MODELS, served=SERVED, place=PLACES, context=TOKENS, concurrency=USERS)
def test_an_interval_holds_what_is_likely(ask, model, served, place, context, concurrency):
    engine, scheme = served
    answer = ask(model, engine, scheme, place, context=context, concurrency=concurrency)
    for name, bounds in answer["intervals"].items():
        if answer.get(name) is not None and None not in bounds:
            low, high = bounds
            assert low <= answer[name] <= high, name
    assert answer["fits"] == (answer["intervals"]["total_bytes"][1] <= answer["usable_bytes"])


@pytest.fixture(scope="module")
def split(tables):
    """Bytes of a checkpoint whole and as the worst rank holds it, in one of the stored schemes."""
    schemes = [row for row in tables.schemes.values() if not row.is_gguf_mix]

    def split_one(model, pick, tp):
        scheme = schemes[pick % len(schemes)]
        try:
            whole = stored_bytes(model, scheme, 128, tables.gguf)
        except BitwrightError:
            assume(condition=False)
            raise
        return whole.total, rank_bytes(model, scheme, 128, tp=tp).total

    return split_one


@LIGHT
@given(model=MODELS, tp=st.sampled_from([2, 4, 8]), pick=st.integers(0, 99))
def test_shards_add_up_to_the_whole(split, model, tp, pick):
    """Ranks together hold the checkpoint, and beyond it what is repeated: norms, towers, positions, padding."""
    facts = CATALOGUE[model]
    assume(facts.attention in {"mha", "gqa"} and facts.num_kv_heads % tp == 0 and not facts.num_experts)
    whole, rank = split(facts, pick, tp)
    positions = facts.max_position * facts.hidden_size if facts.traits and facts.traits.positions else 0
    towers = (tp - 1) * 2 * (facts.loaded_extra_params + 1.01 * positions)
    padding = 4 * 64 * tp * facts.hidden_size
    assert whole <= tp * rank <= 1.02 * whole + towers + padding


@LIGHT
@given(model=MODELS, served=SERVED, stages=st.integers(2, 6), context=TOKENS)
def test_stages_hold_together_what_one_device_holds(ask, model, served, stages, context):
    engine, scheme = served
    assume(CATALOGUE[model].num_layers >= stages)
    one, split = (ask(model, engine, scheme, {"pp": count}, context=context) for count in (1, stages))
    assert split["weights_bytes"] <= one["weights_bytes"]
    assert split["kv_cache_bytes"] <= one["kv_cache_bytes"]
    assert stages * split["total_bytes"] >= one["weights_bytes"] + one["kv_cache_bytes"]
    assert split["all_devices_bytes"] >= one["weights_bytes"] + one["kv_cache_bytes"]


NEW = "99.0"
"""One version for both: without one, an older model is reckoned with transformers of its time."""


@pytest.mark.parametrize("engine", sorted(LADDERS))
def test_a_larger_model_never_needs_less(ask, engine):
    """Pairs of one architecture where the larger is at least as large in every field."""
    pairs = [
        (small, large)
        for small, large in combinations(sorted(CATALOGUE.values(), key=lambda row: row.params_total), 2)
        if is_larger(large, small)
    ]
    assert len(pairs) > 20
    for small, large in pairs[:: max(1, len(pairs) // 40)]:
        fewer, more = (
            ask(model, engine, "BF16", {"tp": 1}, context=2048, concurrency=2, engine_version=NEW)
            for model in (small.model_id, large.model_id)
        )
        assert_needs_no_less(fewer, more, parts=PARTS)


def is_larger(large, small) -> bool:
    same = (
        "architecture",
        "attention",
        "sliding_window",
        "tie_embeddings",
        "num_experts",
        "traits",
        "qk_norm",
    )
    if any(getattr(large, name) != getattr(small, name) for name in same) or large.num_experts:
        return False
    if large.attention not in {"mha", "gqa"} or large.extra_params or small.extra_params:
        return False
    return all(getattr(large, name) >= getattr(small, name) for name in SHAPE) and astuple(large) != astuple(
        small
    )


def assert_needs_no_less(less, more, parts) -> None:
    """Parts belong to the worst device; which stage that is may change, so they are asked of one stage alone."""
    for name in (*parts, "total_bytes", "all_devices_bytes"):
        assert less[name] <= more[name], name
    low, high = less["intervals"]["total_bytes"], more["intervals"]["total_bytes"]
    assert low[1] <= high[1]
    assert less["fits"] >= more["fits"]
