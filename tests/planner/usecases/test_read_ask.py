"""A plan's fields are read as they are meant, or refused by name."""

import pytest

from planner.domain.errors import BadInput
from planner.usecases.read_ask import read_ask


@pytest.mark.parametrize(("given", "read"), [(True, True), (False, False), (None, False)])
def test_must_quantize_is_what_it_says(given, read):
    assert read_ask({"ask": "demo for cpu", "must_quantize": given}).must_quantize is read


@pytest.mark.parametrize("given", ["false", "true", "", 0, 1, []])
def test_must_quantize_that_is_no_truth_value_is_refused(given):
    with pytest.raises(BadInput, match="must_quantize is true or false") as caught:
        read_ask({"ask": "demo for cpu", "must_quantize": given})
    assert caught.value.code == "request.bad_field"
