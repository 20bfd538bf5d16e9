"""What must hold of every decision: more devices never take a fit away, nor does less to serve."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner.domain.choose.decide import decide
from planner.domain.errors import BadInput
from planner.sources.tables import read_models

DATA = Path(__file__).parents[4] / "data"
CATALOGUE = {
    model.model_id: model for model in read_models(DATA / "models.csv") if "padded" not in model.flags
}
MODELS = st.sampled_from(sorted(CATALOGUE))
CARDS = st.sampled_from(
    ["NVIDIA RTX A6000", "NVIDIA GeForce RTX 4090", "NVIDIA L4", "NVIDIA H100 80GB SXM5", "NVIDIA T4"]
)
LIGHT = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def fits(plan_inputs, a_target):
    """Whether anything is chosen for a catalogue model on so many cards."""

    def choose(model, card, count, **request):
        try:
            body = decide(plan_inputs(CATALOGUE[model], a_target(card, count=count), schemes=(), **request))
        except BadInput:
            assume(condition=False)
            raise
        return body["chosen"] is not None

    return choose


@LIGHT
@given(model=MODELS, card=CARDS, count=st.integers(1, 7))
def test_one_more_card_never_takes_a_fit_away(fits, model, card, count):
    assert fits(model, card, count) <= fits(model, card, count + 1)


@LIGHT
@given(model=MODELS, card=CARDS, context=st.integers(512, 4096), concurrency=st.integers(1, 16))
def test_less_to_serve_never_takes_a_fit_away(fits, model, card, context, concurrency):
    much = fits(model, card, 1, context_tokens=context, concurrency=concurrency)
    assert much <= fits(model, card, 1, context_tokens=context // 2, concurrency=max(1, concurrency - 1))
