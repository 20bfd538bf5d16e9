"""A draft model and adapters: bytes by hand."""

import pytest

from planner.domain.facts.engine_weights import engine_rank_bytes
from planner.domain.predict.extras import ExtraAsk, adapter_bytes, predict_extras


@pytest.fixture
def extras_of(tables, a_model):
    def predict(ask, *, tp=1, kv_dtype="auto"):
        plain = tables.schemes["BF16", "safetensors"]
        scheme = tables.schemes["W4A16", "compressed-tensors"]
        return predict_extras(ask, a_model(), scheme, 128, plain, kv_dtype, tp=tp)

    return predict


def test_a_draft_model_brings_its_weights_and_its_cache(extras_of, a_model, tables):
    draft = a_model(layers=2)
    found = extras_of(ExtraAsk(draft=draft))
    assert (
        found.weights_bytes
        == engine_rank_bytes(draft, tables.schemes["BF16", "safetensors"], None, tp=1).total
    )
    assert found.kv_bytes_per_token == 2 * 2 * 4 * 64 * 2  # layers x keys and values x heads x width x bytes


def test_a_draft_layer_is_one_layer_of_the_target(extras_of, a_model, tables):
    found = extras_of(ExtraAsk(has_draft_layer=True))
    target = engine_rank_bytes(a_model(), tables.schemes["W4A16", "compressed-tensors"], 128, tp=1)
    assert found.weights_bytes == target.by_layer[0]
    assert found.kv_bytes_per_token == 2 * 4 * 64 * 2


def test_n_grams_take_nothing(extras_of):
    assert extras_of(ExtraAsk()).weights_bytes == 0


def test_adapters_take_slots_times_rank_of_every_matrix(a_model):
    # a layer's inputs + outputs: query and output 2 x (1024 + 1024), key and value 2 x (1024 + 256),
    # gate and up 2 x (1024 + 4096), down 4096 + 1024
    width = 2 * 2048 + 2 * 1280 + 2 * 5120 + 5120
    assert adapter_bytes(a_model(), 8, 16, tp=1) == 2 * 8 * 16 * 4 * width


def test_ranks_split_one_half_of_an_adapter(a_model):
    one, two = (adapter_bytes(a_model(), 1, 16, tp=tp) for tp in (1, 2))
    assert one / 2 < two < one
