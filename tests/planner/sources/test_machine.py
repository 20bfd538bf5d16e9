"""Targets from words: rows of the table, or this machine."""

from pathlib import Path

import pytest

from executors.preflight import available_ram_bytes
from planner.domain.errors import Ambiguous, BadInput
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.request import DeviceAsk
from planner.sources.machine import Machine, read_memory
from planner.sources.tables import read_accelerators

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture
def machine(tmp_path):
    return Machine(AcceleratorNames(read_accelerators(DATA / "accelerators.csv")), tmp_path)


def ask(words, count=1):
    return DeviceAsk(count=count, words=words)


def test_two_a6000_are_two_devices_of_49140_mib(machine):
    target = machine.find_target([ask("A6000", 2)])
    assert [device.total_bytes for device in target.devices] == [51_527_024_640] * 2
    assert target.label == "2 × RTX A6000"
    assert target.host is None


def test_what_the_words_did_not_say_is_said(machine):
    assumed = machine.find_target([ask("A6000", 2)]).assumed
    assert any("nothing else running" in text for text in assumed)
    assert any("NVLink" in text for text in assumed)


def test_mixed_cards_stand_largest_first(machine):
    target = machine.find_target([ask("RTX 3090"), ask("A6000")])
    assert [device.label for device in target.devices] == ["RTX A6000", "RTX 3090"]
    assert target.label == "1 × RTX A6000 + 1 × RTX 3090"


@pytest.mark.parametrize(
    ("asks", "code"),
    [
        pytest.param([ask("this machine"), ask("A6000")], "target.mixed", id="this-machine-and-a-card"),
        pytest.param([ask("A6000"), ask("m2 max 96gb")], "target.mixed", id="card-and-unified"),
        pytest.param([ask("A600")], "gpu.unknown", id="no-such-card"),
    ],
)
def test_what_is_no_target_is_refused(machine, asks, code):
    with pytest.raises(BadInput) as caught:
        machine.find_target(asks)
    assert caught.value.code == code


def test_rtx_6000_is_several_cards(machine):
    with pytest.raises(Ambiguous) as caught:
        machine.find_target([ask("RTX 6000", 2)])
    assert len(caught.value.choices) >= 3


def test_a_cpu_is_this_machine_with_what_is_free(machine):
    target = machine.find_target([ask("cpu")])
    (device,) = target.devices
    assert (device.kind, target.kind) == ("cpu", "cpu")
    assert 0 < device.available_bytes <= device.total_bytes
    assert target.host
    assert target.cpu_cores >= 1
    assert target.disk_free_bytes > 0


def test_the_memory_bandwidth_is_measured_once_and_kept(machine, tmp_path):
    first = machine.find_target([ask("cpu")]).devices[0].bandwidth_bytes_per_s
    assert first > 1e8
    assert machine.find_target([ask("cpu")]).devices[0].bandwidth_bytes_per_s == first
    (tmp_path / "machine.json").write_text("half a fi")
    assert machine.find_target([ask("cpu")]).devices[0].bandwidth_bytes_per_s > 1e8


@pytest.mark.parametrize(
    ("limit", "used", "total", "available"),
    [
        # 16,384 kB of which 8,192 kB are available: 16,777,216 and 8,388,608 bytes.
        pytest.param(None, None, 16_777_216, 8_388_608, id="no control group"),
        pytest.param("max", "5000000", 16_777_216, 8_388_608, id="no limit"),
        pytest.param("6000000", "1000000", 6_000_000, 5_000_000, id="what it uses is gone"),
        pytest.param("16000000", "1000000", 16_000_000, 8_388_608, id="the machine has less left"),
        pytest.param("6000000", "7000000", 6_000_000, 0, id="over its limit"),
        pytest.param("99000000", "95000000", 16_777_216, 4_000_000, id="a limit above the machine"),
    ],
)
def test_a_plan_counts_memory_as_the_executor_does_before_a_job(tmp_path, limit, used, total, available):
    (tmp_path / "meminfo").write_text("MemTotal:  16384 kB\nMemAvailable:  8192 kB\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit + "\n")
        (tmp_path / "memory.current").write_text(used + "\n")
    assert read_memory(tmp_path / "meminfo", tmp_path) == (total, available)
    assert available_ram_bytes(tmp_path / "meminfo", tmp_path) == available


def test_a_control_group_of_version_1_counts_alike(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:  16384 kB\nMemAvailable:  8192 kB\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("6000000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("1000000\n")
    assert read_memory(tmp_path / "meminfo", tmp_path) == (6_000_000, 5_000_000)
    assert available_ram_bytes(tmp_path / "meminfo", tmp_path) == 5_000_000
