"""Everything worth weighing, and refusal by name of what no table has."""

import pytest

from planner.domain.choose.candidates import enumerate_candidates
from planner.domain.choose.placements import placements
from planner.domain.errors import BadInput
from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Request


@pytest.fixture
def enumerate_for(tables, a_model, a_target):
    def build(model=None, target=None, **request):
        model = model or a_model()
        asked = Request(text="", model=model.model_id, devices=(), **request)
        return enumerate_candidates(asked, model, target or a_target(), tables)

    return build


@pytest.mark.parametrize(
    ("devices", "split", "expected"),
    [
        pytest.param(1, "tensor", {(1, 1, 1)}, id="one"),
        pytest.param(2, "tensor", {(2, 1, 1), (1, 2, 1), (1, 1, 2)}, id="two"),
        pytest.param(
            4, "tensor", {(4, 1, 1), (2, 2, 1), (1, 4, 1), (2, 1, 2), (1, 2, 2), (1, 1, 4)}, id="four"
        ),
        pytest.param(3, "tensor", {(3, 1, 1), (1, 3, 1), (1, 1, 3)}, id="three"),
        pytest.param(4, "layer", {(1, 4, 1), (1, 2, 2), (1, 1, 4)}, id="layers-over-four"),
    ],
)
def test_placements_use_all_devices_in_every_way(devices, split, expected):
    found = placements(devices, split)
    assert {(place.tp, place.pp, place.dp) for place in found} == expected
    assert all(place.devices == devices for place in found)
    assert len(found) == len(set(found))


def test_sixteen_bits_are_always_a_candidate(enumerate_for):
    assert {"BF16"} <= {candidate.scheme.name for candidate in enumerate_for()}


def test_every_recipe_is_weighed_in_every_group_size_and_placement(enumerate_for, a_target):
    found = [
        (candidate.group_size, candidate.placement)
        for candidate in enumerate_for(target=a_target(count=2))
        if (candidate.scheme.name, candidate.method, candidate.engine) == ("W4A16", "gptq", "vllm")
    ]
    assert len(found) == 9  # groups of 128, 64, 32 in TP 2, PP 2 and two replicas
    assert (64, Placement(tp=2)) in found


def test_published_checkpoints_are_weighed_with_their_padding(enumerate_for, qwen72b):
    padded = [candidate for candidate in enumerate_for(qwen72b) if candidate.prebuilt]
    assert {candidate.intermediate_size for candidate in padded} == {29696}
    assert all(candidate.backend is None for candidate in padded)


def test_when_something_must_be_made_what_exists_is_no_answer(enumerate_for, qwen72b):
    found = enumerate_for(qwen72b, must_quantize=True)
    assert not [candidate for candidate in found if candidate.prebuilt or candidate.method == "none"]


@pytest.mark.parametrize(
    ("request_fields", "left"),
    [
        pytest.param({"schemes": ("Q4_K_M",)}, {"Q4_K_M"}, id="scheme"),
        pytest.param({"engine": "llama.cpp", "schemes": ("Q8_0", "BF16")}, {"Q8_0", "BF16"}, id="engine"),
        pytest.param({"method": "gptq"}, {"W4A16"}, id="method"),
        pytest.param({"group_size": 64}, {"W4A16"}, id="group-size"),
    ],
)
def test_what_was_asked_for_by_name_is_all_that_is_weighed(enumerate_for, request_fields, left):
    assert {candidate.scheme.name for candidate in enumerate_for(**request_fields)} == left


@pytest.mark.parametrize(
    ("request_fields", "code", "named"),
    [
        pytest.param({"engine": "mlx"}, "engine.no_recipe", "mlx", id="engine-without-recipe"),
        pytest.param({"schemes": ("IQ1_S",)}, "scheme.no_recipe", "IQ1_S", id="scheme-without-recipe"),
        pytest.param({"method": "qat"}, "scheme.no_recipe", "qat", id="method-without-recipe"),
        pytest.param({"group_size": 96}, "scheme.no_recipe", "96", id="group-without-recipe"),
    ],
)
def test_what_no_table_has_is_refused_by_name(enumerate_for, request_fields, code, named):
    with pytest.raises(BadInput, match=named) as caught:
        enumerate_for(**request_fields)
    assert caught.value.code == code


def test_a_cpu_is_served_by_engines_that_run_there(enumerate_for, a_target):
    target = a_target(gib=16, kind="cpu", vendor="cpu", sm=None)
    engines = {candidate.engine for candidate in enumerate_for(target=target)}
    assert "llama.cpp" in engines
    assert "vllm" not in engines


def test_a_device_that_no_engine_serves_on_is_named(enumerate_for, a_target):
    with pytest.raises(BadInput) as caught:
        enumerate_for(target=a_target("Intel Gaudi3"))
    assert caught.value.code == "engine.none_for_device"
    assert "Gaudi3" in caught.value.message


def test_a_checkpoint_released_in_fewer_bits_is_weighed_as_it_is(enumerate_for, catalogue_model, a_target):
    model = catalogue_model("openai/gpt-oss-20b")
    released = [row for row in enumerate_for(model=model, target=a_target()) if row.method == "native"]
    assert [(row.scheme.name, row.engine, row.backend) for row in released] == [("MXFP4", "vllm", None)]
    assert released[0].scheme.left == {"q", "k", "v", "o"}  # its config leaves attention in 16 bits
    assert not [row for row in enumerate_for() if row.method == "native"]
