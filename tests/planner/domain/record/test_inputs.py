"""Facts of a model survive their record, whatever parts they have."""

import json
from dataclasses import asdict

import pytest

from planner.domain.record.inputs import make_document, read_model_document


@pytest.mark.parametrize(
    "model_id",
    [
        "Qwen/Qwen2.5-72B",
        "google/gemma-4-26B-A4B",
        "google/gemma-3n-E2B-it",
        "deepseek-ai/DeepSeek-V3.2",
        "deepseek-ai/DeepSeek-V4-Flash",
        "ibm-granite/granite-4.0-h-tiny",
    ],
)
def test_reads_back_the_model_that_was_written(catalogue_model, model_id):
    """The six between them have every part that a model may have."""
    model = catalogue_model(model_id)
    assert read_model_document(json.loads(make_document("model", asdict(model)).text)) == model
