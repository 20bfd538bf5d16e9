"""What a host reports, read by the real pynvml from the small library in tests/fakes/nvml, in processes."""

import json
import os
import subprocess
import sys

import pytest
from fakes.nvml.described import GIB, MIB, Card, Instance, Process

from executors.engines import KnownEngines, ask_version, find_engines
from executors.host import ask_sysctl, read_apple_available, read_memory


@pytest.fixture
def take_inventory(show_cards, tmp_path):
    """`bitwright executor inventory` on a machine with the cards; without any, on one with no driver."""

    def take(*cards, **how):
        environment = {
            **os.environ,
            "BITWRIGHT_HOME": str(tmp_path),
            "BITWRIGHT_CACHE": str(tmp_path / "cache"),
        }
        environment |= show_cards(*cards, **how) if cards or how else {}
        command = [sys.executable, "-m", "planner.main", "executor", "inventory", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return json.loads(done.stdout)

    return take


def codes(snapshot):
    return [note["code"] for note in snapshot["notes"]]


def test_two_a6000_are_told_of_in_full(take_inventory):
    """Bridged: NVLink 3 of an A6000 has four links."""
    first = Card(nvlinks=(1, 1, 1, 1), temperature=63, util=7, power=71_500)
    snapshot = take_inventory(first, Card(nvlinks=(0, 0, 0, 0)))
    assert snapshot["driver"] == {"version": "560.35.03", "cuda": "12.6"}
    device = snapshot["devices"][0]
    assert device == {
        "index": 0,
        "name": "NVIDIA RTX A6000",
        "uuid": "GPU-00000000-0000-4000-8000-000000000000",
        "compute_capability": "8.6",
        "total_bytes": 49_140 * MIB,
        "reserved_bytes": 450 * MIB,
        "held_bytes": 0,
        "free_bytes": 48_690 * MIB,
        "processes": [],
        "mig": None,
        "instances": [],
        "ecc": "off",
        "pcie": {
            "bus_id": "00000000:21:00.0",
            "generation": 4,
            "max_generation": 4,
            "width": 16,
            "max_width": 16,
        },
        "utilization_percent": 7,
        "temperature_celsius": 63,
        "power_watts": 71.5,
    }
    assert snapshot["links"] == [
        {"first": 0, "second": 1, "nvlinks": 4, "path": "one host bridge", "has_peer_access": True}
    ]
    assert snapshot["notes"] == []


def test_cards_of_two_sockets_reach_each_other_the_long_way(take_inventory):
    (link,) = take_inventory(Card(), Card(cpu=1))["links"]
    assert (link["nvlinks"], link["path"], link["has_peer_access"]) == (0, "across processor sockets", False)


def test_cards_on_one_switch_are_joined_by_it(take_inventory):
    switched = Card(nvlinks=(100, 101, 102, 103))
    (link,) = take_inventory(switched, switched)["links"]
    assert link["nvlinks"] == 4


def test_a_chip_without_memory_of_its_own_has_the_hosts(take_inventory):
    snapshot = take_inventory(Card(name="NVIDIA GB10", cc="12.1", total=0, reserved=0))
    (device,) = snapshot["devices"]
    assert device["total_bytes"] == snapshot["ram_total_bytes"]
    assert device["free_bytes"] == pytest.approx(snapshot["ram_available_bytes"], abs=GIB)


def test_memory_that_others_hold_is_told_with_who_holds_it(take_inventory):
    busy = Card(
        used=21 * GIB,
        processes=(
            Process(pid=812, bytes=1 * GIB, name="Xorg", kind="g"),
            Process(pid=4711, bytes=20 * GIB, name="python serve.py"),
            Process(pid=99, bytes=None, name="another container"),
        ),
    )
    device, idle = take_inventory(busy, Card())["devices"]
    assert device["held_bytes"] == 21 * GIB
    assert device["free_bytes"] == 49_140 * MIB - 450 * MIB - 21 * GIB
    assert [(process["pid"], process["held_bytes"], process["name"]) for process in device["processes"]] == [
        (4711, 20 * GIB, "python serve.py"),
        (812, 1 * GIB, "Xorg"),
        (99, None, "another container"),
    ]
    assert idle["held_bytes"] == 0


def test_mig_instances_are_told_of_one_by_one(take_inventory):
    parts = (
        Instance(id=1, profile="3g.40gb", bytes=40_448 * MIB, used=10 * GIB, slices=3),
        Instance(id=2, profile="4g.40gb", bytes=40_448 * MIB, slices=4),
    )
    card = Card(
        name="NVIDIA A100-SXM4-80GB",
        cc="8.0",
        total=81_920 * MIB,
        mig=1,
        ecc=1,
        instances=parts,
        processes=(Process(pid=7, bytes=10 * GIB, name="vllm", instance=1),),
    )
    (device,) = take_inventory(card)["devices"]
    assert (device["mig"], device["ecc"], device["utilization_percent"]) == ("on", "on", None)
    first, second = device["instances"]
    assert (first["name"], first["compute_slices"]) == ("NVIDIA A100-SXM4-80GB MIG 3g.40gb", 3)
    assert first["free_bytes"] == 40_448 * MIB - 10 * GIB
    assert [process["pid"] for process in first["processes"]] == [7]
    assert (second["free_bytes"], second["processes"]) == (40_448 * MIB, [])


def test_a_lost_card_is_left_out_and_said(take_inventory):
    snapshot = take_inventory(Card(), Card(lost=True))
    assert [device["index"] for device in snapshot["devices"]] == [0]
    assert codes(snapshot) == ["nvml.card_lost"]
    assert "Card 1 is lost" in snapshot["notes"][0]["message"]


def test_without_a_driver_processor_memory_and_disk_are_told(take_inventory):
    snapshot = take_inventory()
    assert (snapshot["driver"], snapshot["devices"], codes(snapshot)) == (None, [], ["nvml.absent"])
    assert snapshot["cpu"]["cores"] >= 1
    assert 0 < snapshot["ram_available_bytes"] <= snapshot["ram_total_bytes"]
    assert snapshot["disk_free_bytes"] > 0


def test_a_driver_that_does_not_start_is_a_sentence(take_inventory):
    # 18: NVML_ERROR_LIB_RM_VERSION_MISMATCH, after an update of the driver.
    snapshot = take_inventory(Card(), init_error=18)
    assert (snapshot["devices"], codes(snapshot)) == ([], ["nvml.unusable"])
    assert "restart the host" in snapshot["notes"][0]["message"]


def test_a_driver_without_newer_questions_leaves_them_open(take_inventory):
    """The first memory question counts what is reserved as used: held stays unknown, free stays exact."""
    without = (
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetNvLinkState",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetMigMode",
    )
    snapshot = take_inventory(Card(used=5 * GIB), without=without)
    (device,) = snapshot["devices"]
    assert (device["reserved_bytes"], device["held_bytes"], device["mig"]) == (None, None, None)
    assert device["free_bytes"] == 49_140 * MIB - 450 * MIB - 5 * GIB
    assert set(codes(snapshot)) == {"nvml.too_old"}


def test_a_card_that_will_not_say_its_memory_is_left_out(take_inventory):
    snapshot = take_inventory(Card(), without=("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2"))
    assert snapshot["devices"] == []
    assert "nvml.no_memory" in codes(snapshot)


def test_engines_are_found_by_metadata_and_by_asking_programs(tmp_path, monkeypatch):
    """An interpreter that has vllm's metadata, a llama-server that says its version, one that hangs."""
    packages = tmp_path / "packages"
    (packages / "vllm-0.11.2.dist-info").mkdir(parents=True)
    (packages / "vllm-0.11.2.dist-info" / "METADATA").write_text("Name: vllm\nVersion: 0.11.2\n")
    command = f'PYTHONPATH={packages} exec {sys.executable} "$2" "$3" "$4"'  # without -I, which is "$1"
    interpreter = write_program(tmp_path / "python3", command)
    llama = write_program(tmp_path / "llama-server", "echo 'version: 7123 (abc1234)' >&2")
    write_program(tmp_path / "ollama", "echo ollama version is 0.12.3")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = {(engine.name, engine.version, engine.where) for engine in find_engines([])}
    assert ("vllm", "0.11.2", str(interpreter)) in found
    assert ("llama.cpp", "7123", str(llama)) in found
    assert ("ollama", "0.12.3", str(tmp_path / "ollama")) in found


def test_engines_are_looked_for_again_only_when_what_is_known_is_old(tmp_path, monkeypatch):
    """A heartbeat every ten seconds starts no programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    known = KnownEngines([])
    assert known() == []
    write_program(tmp_path / "ollama", "echo ollama version is 0.12.3")
    assert known() == []
    known.keep_seconds = 0.0
    assert [engine.name for engine in known()] == ["ollama"]


def test_a_program_that_says_nothing_has_no_version(tmp_path, monkeypatch):
    monkeypatch.setattr("executors.engines.ANSWER_SECONDS", 0.3)
    assert ask_version(str(write_program(tmp_path / "hangs", "sleep 30"))) is None
    assert ask_version(str(write_program(tmp_path / "mute", "exit 3"))) is None
    assert ask_version(str(tmp_path / "gone")) is None


def test_a_control_groups_limit_is_all_the_memory_there_is(tmp_path):
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert read_memory(tmp_path)[0] == GIB
    (tmp_path / "memory.max").write_text("max\n")
    assert read_memory(tmp_path)[0] > GIB
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("536870912\n")  # of version 1
    assert read_memory(tmp_path)[0] == GIB // 2


def test_a_mac_says_its_memory_through_sysctl_and_vm_stat(tmp_path):
    sysctl = write_program(tmp_path / "sysctl", "echo 103079215104")
    assert ask_sysctl("hw.memsize", str(sysctl)) == 96 * GIB
    pages = "Pages free: 100.\nPages active: 900.\nPages inactive: 20.\nPages speculative: 3.\nPages purgeable: 1."
    said = f"Mach Virtual Memory Statistics: (page size of 16384 bytes)\n{pages}"
    vm_stat = write_program(tmp_path / "vm_stat", f"cat <<'END'\n{said}\nEND")
    assert read_apple_available(str(vm_stat)) == 124 * 16384
    assert read_apple_available(str(tmp_path / "none")) is None


def write_program(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path
