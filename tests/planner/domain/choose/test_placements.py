"""Which placements are weighed: all devices, the larger ones alone, replicas on MIG instances."""

from dataclasses import replace

import pytest

from planner.domain.choose.candidates import enumerate_candidates
from planner.domain.choose.placements import find_placements, is_uneven, judge_placement
from planner.domain.choose.serve import serve_command
from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Request, Workload


@pytest.fixture
def cards(a_device):
    big, small = a_device("NVIDIA RTX A6000"), a_device("NVIDIA GeForce RTX 3090")
    return lambda bigs, smalls=0: (big,) * bigs + (small,) * smalls


def shapes(found):
    return [(place.tp, place.pp, place.dp) for place in found]


def test_even_cards_in_a_power_of_two_are_all_used(cards):
    assert shapes(find_placements(cards(2), "tensor")) == [(2, 1, 1), (1, 2, 1), (1, 1, 2)]
    assert not is_uneven(cards(2))


def test_the_larger_cards_are_weighed_alone(cards):
    found = shapes(find_placements(cards(2, 1), "tensor"))
    assert found == [(3, 1, 1), (1, 3, 1), (1, 1, 3), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
    assert is_uneven(cards(2, 1))


def test_of_three_cards_two_are_weighed_alone(cards):
    assert (2, 1, 1) in shapes(find_placements(cards(3), "tensor"))
    assert shapes(find_placements(cards(3), "layer")) == [(1, 3, 1), (1, 1, 3), (1, 2, 1)]


def test_nothing_is_split_over_mig_instances(a_device):
    instances = (a_device("NVIDIA A100 80GB SXM4", is_instance=True),) * 7
    assert find_placements(instances, "tensor") == [Placement(dp=7)]
    assert find_placements(instances, "layer") == [Placement(dp=7)]


def test_tensor_parallel_stays_within_a_host(cards):
    assert max(place.tp for place in find_placements(cards(64), "tensor")) == 16
    assert max(place.pp for place in find_placements(cards(64), "layer")) == 16
    assert find_placements(cards(17), "layer") == [Placement(dp=17), Placement(pp=16)]


def test_a_card_that_others_fill_counts_as_smaller(cards):
    free, busy = cards(1)[0], replace(cards(1)[0], held_bytes=20 << 30)
    assert (1, 1, 1) in shapes(find_placements((free, busy), "tensor"))


@pytest.fixture
def served(plan_inputs, a_model, tables):
    """The command that serves the first candidate of an engine with a placement on a target."""

    def build(target, engine, **placement):
        model = a_model()
        request = Request(text="", model=model.model_id, devices=(), engine=engine)
        candidate = enumerate_candidates(request, model, target, tables)[0]
        return serve_command(
            replace(candidate, placement=Placement(**placement)),
            model,
            model.model_id,
            target,
            Workload(context_tokens=4096, concurrency=4),
        )

    return build


def test_cards_that_stay_free_are_hidden_from_the_engine(served, a_target, cards):
    target = replace(a_target(), devices=cards(2, 1))
    assert served(target, "vllm", tp=2).startswith("CUDA_VISIBLE_DEVICES=0,1 vllm serve")
    assert served(target, "llama.cpp", pp=2).startswith("CUDA_VISIBLE_DEVICES=0,1 llama-server")
    assert served(target, "llama.cpp", pp=3).startswith("llama-server")


def test_a_card_is_named_by_the_drivers_own_number(served, a_target, cards):
    first, second, third = cards(3)
    target = replace(
        a_target(),
        devices=(
            replace(first, index=2),
            replace(second, index=0),
            replace(third, index=1, held_bytes=1 << 34),
        ),
    )
    command = served(target, "vllm", tp=2)
    assert command.startswith("CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=2,0 vllm serve")


def test_each_mig_instance_serves_a_replica_of_its_own(served, a_target, a_device):
    target = replace(a_target(), devices=(a_device("NVIDIA A100 80GB SXM4", is_instance=True),) * 2)
    command = served(target, "vllm", dp=2)
    assert "--data-parallel-size" not in command
    first, second = command.split(" & ")
    assert first.startswith("CUDA_VISIBLE_DEVICES=MIG-UUID-1 ")
    assert first.endswith("--port 8080")
    assert second.startswith("CUDA_VISIBLE_DEVICES=MIG-UUID-2 ")
    assert second.endswith("--port 8081")


def test_whole_experts_are_weighed_where_they_divide_by_the_ranks(cards):
    found = find_placements(cards(4), "tensor", experts=128)
    assert Placement(tp=4, ep=4) in found
    assert Placement(tp=4) in found
    assert not any(place.ep > 1 for place in find_placements(cards(4), "tensor", experts=0))
    assert not any(place.ep > 1 for place in find_placements(cards(4), "tensor", experts=127))
    assert not any(place.ep > 1 for place in find_placements(cards(4), "layer", experts=128))


def test_expert_parallel_is_said_to_the_engine(served, a_target):
    assert "--enable-expert-parallel" in served(a_target(count=2), "vllm", tp=2, ep=2)
    assert "--enable-expert-parallel" not in served(a_target(count=2), "vllm", tp=2)


def test_a_split_over_mig_instances_is_refused_with_the_way_out(a_device):
    instances = (a_device("NVIDIA A100 80GB SXM4", is_instance=True),) * 2
    (finding,) = judge_placement(Placement(tp=2), instances)
    assert finding.code == "placement.mig"
    assert "2 replicas" in finding.way_out[0]
    assert judge_placement(Placement(dp=2), instances) == ()
    assert judge_placement(Placement(tp=2), (a_device(), a_device())) == ()


def test_machines_with_unified_memory_are_joined_by_ray_alone(served, a_target):
    sparks = a_target("NVIDIA GB10 (DGX Spark)", count=2)
    assert find_placements(sparks.devices, "layer") == [Placement(dp=2)]
    assert Placement(tp=2) in find_placements(sparks.devices, "tensor")
    assert "--distributed-executor-backend ray" in served(sparks, "vllm", tp=2)
    assert "ray" not in served(a_target(count=2), "vllm", tp=2)
