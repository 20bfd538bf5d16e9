"""Targets from words: rows of the table, or this machine."""

from pathlib import Path

import pytest

from executors.preflight import available_ram_bytes
from planner.domain.errors import Ambiguous, BadInput
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.units import GIB, MIB
from planner.sources.machine import Machine
from planner.sources.memory import read_memory
from planner.sources.tables import read_accelerators
from planner.sources.unified import name_amd_card, read_amd_memory, read_apple, read_shared

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def names():
    return AcceleratorNames(read_accelerators(DATA / "accelerators.csv"))


@pytest.fixture
def machine(tmp_path, names):
    return Machine(names, tmp_path)


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


def test_a_processor_by_name_has_the_memory_that_was_said(machine):
    (device,) = machine.find_target([ask("EPYC 9654 384GB")]).devices
    assert (device.kind, device.total_bytes) == ("cpu", 384 * GIB)
    assert device.bandwidth_bytes_per_s == pytest.approx(460.8e9)  # 12 channels x 8 bytes x 4,800 MT/s


@pytest.mark.parametrize(
    ("asks", "code"),
    [
        pytest.param([ask("EPYC 9654")], "cpu.memory", id="how-much-memory"),
        pytest.param([ask("EPYC 9654 384GB", 2)], "request.count", id="sockets"),
        pytest.param([DeviceAsk(count=1, words="m2 max 96gb", ecc=True)], "gpu.ecc", id="ecc-of-a-mac"),
        pytest.param([DeviceAsk(count=2, words="4090", link="nvlink")], "link.none", id="nvlink-of-a-4090"),
    ],
)
def test_what_a_device_cannot_be_is_refused(machine, asks, code):
    with pytest.raises(BadInput) as caught:
        machine.find_target(asks)
    assert caught.value.code == code


def test_ecc_and_links_reach_the_target(machine):
    target = machine.find_target([DeviceAsk(count=2, words="A6000", ecc=True, link="nvlink")])
    assert [device.total_bytes // MIB for device in target.devices] == [46_068, 46_068]
    assert target.link == "nvlink"
    assert "ECC on" in target.assumed[0]


def test_a_card_of_two_dies_is_two_devices_of_half_its_memory(machine):
    assert [device.total_bytes for device in machine.find_target([ask("MI250X")]).devices] == [64 * GIB] * 2


def test_a_strix_halo_is_what_amdgpu_lets_it_take(names, tmp_path):
    """512 MiB set aside as graphics memory and 96 GiB of GTT, of which 6 GiB are taken."""
    write_amd(tmp_path, vram_total=512 * MIB, vram_used=0, gtt_total=96 * GIB, gtt_used=6 * GIB)
    found = read_shared(names, "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 125 * GIB, 110 * GIB, tmp_path)
    assert (found.kind, found.total_bytes) == ("unified", 96 * GIB + 512 * MIB)
    assert found.available_bytes == 90 * GIB + 512 * MIB
    busy = read_shared(names, "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 125 * GIB, 8 * GIB, tmp_path)
    assert busy.available_bytes == 8 * GIB + 512 * MIB
    assert read_shared(names, "AMD EPYC 7763", 125 * GIB, 110 * GIB, tmp_path) is None
    assert read_amd_memory(tmp_path / "none") is None
    assert name_amd_card(tmp_path) == ()  # half a GiB set aside is no card


def test_an_amd_card_is_said_to_be_here(tmp_path):
    write_amd(tmp_path, vram_total=24 * GIB, vram_used=0, gtt_total=16 * GIB, gtt_used=0)
    (said,) = name_amd_card(tmp_path)
    assert "24.0 GiB" in said


def test_a_mac_answers_for_its_own_gpu(names, tmp_path):
    answers = "case $2 in machdep*) echo Apple M2 Max;; iogpu*) echo 0;; esac"
    sysctl = write_program(tmp_path / "sysctl", answers)
    pages = (
        "(page size of 16384 bytes)\nPages free: 2000000.\nPages inactive: 97152."  # 2^21 pages are 32 GiB
    )
    vm_stat = write_program(tmp_path / "vm_stat", f"cat <<'END'\n{pages}\nEND")
    device = read_apple(names, 64 * GIB, sysctl, vm_stat)
    assert device.name == "Apple M2 Max 64GB"
    assert device.available_bytes == pytest.approx(32 * GIB, abs=MIB)


def write_amd(folder, **sizes):
    device = folder / "card1" / "device"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x1002\n")
    for name, size in sizes.items():
        (device / f"mem_info_{name}").write_text(f"{size}\n")


def write_program(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)
