"""Planning for the cards that this machine has, read by the real pynvml from the library in tests/fakes/nvml."""

import json
import os
import subprocess
import sys

import pytest
from fakes.nvml.described import GIB, MIB, Card, Instance, Process

A6000_TOTAL = 49_140 * MIB
A100 = Card(name="NVIDIA A100-SXM4-80GB", cc="8.0", total=81_920 * MIB, mig=1)


@pytest.fixture
def run_on(home, show_cards):
    """Run a command on a machine with the cards; what it printed."""

    def run(*cards, command, **how):
        done = subprocess.run(
            [sys.executable, "-m", "planner.main", *command],
            env={**os.environ, "BITWRIGHT_HOME": str(home), **show_cards(*cards, **how)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, 3}, done.stderr
        return done.stdout

    return run


@pytest.fixture
def plan_on(run_on):
    """The plan for this machine, when it has the cards."""
    return lambda *cards, ask="qwen-72b for this machine", **how: json.loads(
        run_on(*cards, command=["plan", ask, "--json"], **how)
    )


def test_a_72b_is_planned_for_the_two_a6000_that_are_here(plan_on):
    decision = plan_on(Card(), Card())
    assert decision["target"]["label"] == "2 × RTX A6000"
    assert [device["total_bytes"] for device in decision["target"]["devices"]] == [A6000_TOTAL] * 2
    assert decision["chosen"]["scheme"] == "W4A16"
    assert decision["chosen"]["tp"] == 2


def test_memory_that_others_hold_is_planned_away_once(plan_on):
    """10 GiB held on one card: vLLM may use 0.90 of total − reserved − held there, and plans for the worse card."""
    held = Card(used=10 * GIB, processes=(Process(pid=4711, bytes=10 * GIB, name="vllm"),))
    decision = plan_on(Card(), held)
    assert [device["held_bytes"] for device in decision["target"]["devices"]] == [0, 10 * GIB]
    assert (decision["chosen"]["engine"], decision["chosen"]["tp"]) == ("vllm", 2)
    # (49140 − 450 − 10240) MiB × 0.90 = 34605 MiB
    assert decision["chosen"]["memory"]["usable_bytes"] == pytest.approx(34_605 * MIB, abs=MIB)
    # vLLM wants its share of the whole card free when it starts: 34605 / 49140 = 0.704.
    assert "--gpu-memory-utilization 0.70 " in decision["chosen"]["serve"]


def test_an_older_driver_counts_the_reserved_as_held_and_it_is_taken_off(plan_on):
    decision = plan_on(
        Card(used=5 * GIB), without=("nvmlDeviceGetMemoryInfo_v2",), ask="qwen 7b for this machine"
    )
    (device,) = decision["target"]["devices"]
    # The driver calls 5 GiB + 450 MiB used; the card's row says that 450 MiB are kept.
    assert (device["reserved_bytes"], device["held_bytes"]) == (450 * MIB, 5 * GIB)
    assert any("assumed" in warning for warning in decision["warnings"])


def test_a_chip_without_memory_of_its_own_is_planned_with_the_hosts(plan_on):
    decision = plan_on(
        Card(name="NVIDIA GB10", cc="12.1", total=0, reserved=0), ask="qwen3 0.6b for this machine"
    )
    (device,) = decision["target"]["devices"]
    assert (device["kind"], device["name"]) == ("unified", "NVIDIA GB10 (DGX Spark)")
    assert device["total_bytes"] > 0


def test_cards_joined_by_a_switch_are_faster_than_over_pcie(plan_on):
    """Four links of each end at the same switches: tensor parallel waits for NVLink, not for PCIe."""
    joined = Card(nvlinks=(100, 101, 102, 103))
    speeds = [plan_on(card, card)["chosen"]["speed"]["decode_tokens_per_s"] for card in (joined, Card())]
    assert speeds[0] > 1.05 * speeds[1]


def test_an_old_driver_is_a_verdict(plan_on):
    decision = plan_on(Card(), cuda=11080)
    old = [row for row in decision["rejected"] if row["code"] == "driver.too_old"]
    assert old
    assert "CUDA 11.8" in old[0]["message"]


def test_a_lost_card_is_not_planned_for_and_said(plan_on):
    decision = plan_on(Card(lost=True), Card(), ask="qwen 7b for this machine")
    assert decision["target"]["label"] == "1 × RTX A6000"
    assert any("card 0 is lost" in warning for warning in decision["warnings"])


def test_a_driver_that_does_not_start_leaves_the_cpu_and_is_said(plan_on):
    decision = plan_on(Card(), init_error=18, ask="qwen 7b for this machine")
    assert decision["target"]["devices"][0]["kind"] == "cpu"
    assert any("the NVIDIA driver does not answer" in warning for warning in decision["warnings"])


def test_a_divided_card_is_its_freest_instance(plan_on):
    """An A100 80GB as 3g.40gb (busy) and 4g.40gb: 4 of 7 compute slices, and its part of the bandwidth."""
    busy = Instance(id=1, profile="3g.40gb", bytes=40_448 * MIB, used=30 * GIB, slices=3)
    free = Instance(id=2, profile="4g.40gb", bytes=40_448 * MIB, slices=4)
    card = Card(name=A100.name, cc=A100.cc, total=A100.total, mig=1, instances=(busy, free))
    decision = plan_on(card, ask="qwen 7b for this machine")
    (device,) = decision["target"]["devices"]
    assert device["name"] == "NVIDIA A100-SXM4-80GB MIG 4g.40gb"
    assert (device["total_bytes"], device["held_bytes"]) == (40_448 * MIB, 0)
    # 2039 GB/s of the whole card (data/accelerators.csv) by 40448 / 81920 of its memory.
    assert device["bandwidth_bytes_per_s"] == pytest.approx(2039e9 * 40_448 / 81_920, rel=1e-3)
    assert any("MIG" in warning for warning in decision["warnings"])


def test_instances_alike_serve_a_replica_each_by_their_own_names(plan_on):
    halves = tuple(Instance(id=number, profile="3g.40gb", bytes=40_448 * MIB, slices=3) for number in (1, 2))
    card = Card(name=A100.name, cc=A100.cc, total=A100.total, mig=1, instances=halves)
    decision = plan_on(card, ask="qwen 7b for this machine")
    assert decision["chosen"]["dp"] == 2
    assert decision["chosen"]["serve"].count("CUDA_VISIBLE_DEVICES=MIG-") == 2
    assert "MIG-UUID" not in decision["chosen"]["serve"]


def test_a_divided_card_without_an_instance_is_left_out(plan_on):
    decision = plan_on(A100, ask="qwen 7b for this machine")
    assert decision["target"]["devices"][0]["kind"] == "cpu"
    assert any("without an instance" in warning for warning in decision["warnings"])


def test_the_inventory_is_a_table_with_who_holds_what(run_on):
    busy = Card(used=20 * GIB, processes=(Process(pid=4711, bytes=20 * GIB, name="vllm"),), nvlinks=(1,) * 4)
    shown = run_on(busy, Card(nvlinks=(0,) * 4), command=["inventory"])
    assert "driver 560.35.03 · CUDA 12.6" in shown
    assert "0     NVIDIA RTX A6000  48.0 GiB  0.4 GiB   20.0 GiB  27.5 GiB" in shown
    assert "card 0: process 4711 vllm holds 20.0 GiB" in shown
    assert "cards 0 and 1: 4 NVLinks, PCIe meets at one host bridge, peer access" in shown
