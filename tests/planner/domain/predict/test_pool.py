"""Tokens in a pool as vLLM prints them: uniform models by hand, and models whose layers differ."""

import pytest

from planner.domain.predict.constants import Constant
from planner.domain.predict.extras import NO_EXTRAS
from planner.domain.predict.kv_cache import kv_bytes_by_layer, kv_bytes_per_layer_token
from planner.domain.predict.pool import cost_of_token, tokens_in
from planner.domain.units import GIB


@pytest.fixture
def cost_of(tables, catalogue_model):
    def cost(model_id, *, context, by_request=1, batch=2048, engine="vllm", sequences=1):
        model = catalogue_model(model_id)
        constants = {
            **tables.memory,
            ("vllm", "capacity_by_request"): Constant(by_request, by_request, by_request, "set"),
            ("vllm", "batched_tokens"): Constant(batch, batch, batch, "set"),
        }
        return cost_of_token(
            model,
            range(model.num_layers),
            by_layer=kv_bytes_by_layer(model, "auto", context, engine=engine, tp=1),
            per_token=kv_bytes_per_layer_token(model, "auto", tp=1),
            context=context,
            sequences=sequences,
            engine=engine,
            extras=NO_EXTRAS,
            constants=constants,
        )

    return cost


def test_alike_layers_cost_the_same_however_tokens_are_counted(cost_of):
    # 32 layers x 2 x 8 heads x 128 x 2 bytes
    for by_request in (0, 1):
        assert (
            cost_of("meta-llama/Llama-3.1-8B", context=8192, by_request=by_request).bytes_per_token == 131_072
        )


def test_before_0_21_a_window_counts_as_every_token(cost_of):
    # 12 full and 12 sliding layers, 2 x 8 heads x 64 x 2 bytes each
    assert cost_of("openai/gpt-oss-20b", context=16_000, by_request=0).bytes_per_token == 24 * 2048


def test_since_0_21_a_window_holds_itself_and_one_batch(cost_of):
    found = cost_of("openai/gpt-oss-20b", context=16_000).bytes_per_token
    # 12 layers of 16,000 tokens and 12 of a window of 128 and a batch of 2048, over 16,000
    assert found == pytest.approx(2048 * 12 * (16_000 + 128 + 2048) / 16_000)


@pytest.mark.parametrize(
    ("by_request", "batch", "printed"),
    [
        # A report to vLLM: cyankiwi/gemma-4-31B-it-AWQ-4bit on an A100, 50 GiB of pool, 0.20.0 and 0.21.0
        pytest.param(0, 2048, 55_000, id="0.20"),
        pytest.param(1, 2048, 525_000, id="0.21"),
    ],
)
def test_gemma_4_gained_ninefold(cost_of, by_request, batch, printed):
    cost = cost_of("google/gemma-4-31B-it", context=131_072, by_request=by_request, batch=batch)
    _, likely, _ = tokens_in(50 * GIB, (0, 0, 0), cost, "vllm")
    assert likely == pytest.approx(printed, rel=0.06)


def test_padding_rounds_the_commoner_kind_up_to_whole_groups(cost_of, catalogue_model):
    model = catalogue_model("google/gemma-3-27b-it")
    full = model.full_attention_layers
    groups = -(-(model.num_layers - full) // full)
    each = kv_bytes_per_layer_token(model, "auto", tp=1)
    found = cost_of("google/gemma-3-27b-it", context=8192, by_request=0).bytes_per_token
    assert found == (1 + groups) * full * each


def test_engines_without_groups_keep_windows_beside(cost_of):
    one, four = (
        cost_of("openai/gpt-oss-20b", context=16_000, engine="transformers", sequences=sequences)
        for sequences in (1, 4)
    )
    assert one.bytes_per_token == four.bytes_per_token == 12 * 2048
    assert four.bytes_beside == 4 * one.bytes_beside > 0


def test_tokens_come_in_whole_blocks_and_never_below_none(cost_of):
    cost = cost_of("meta-llama/Llama-3.1-8B", context=8192)
    low, likely, high = tokens_in(10 * GIB, (1 * GIB, 2 * GIB, 20 * GIB), cost, "vllm")
    assert (low, likely, high) == (0, 8 * GIB // 131_072, 9 * GIB // 131_072)
    assert likely % 16 == 0
