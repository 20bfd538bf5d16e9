"""Targets on hosts that have an executor: what is free there, how old that is, and which host is taken."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from planner.domain.errors import BadInput
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.request_devices import DeviceAsk, read_device, read_devices
from planner.domain.record.host import Host
from planner.domain.record.job import Job
from planner.domain.units import GIB
from planner.sources.hosts import Hosts
from planner.sources.tables import read_accelerators

DATA = Path(__file__).parents[3] / "data"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
A6000_BYTES = 51_527_024_640
RESERVED = 400 * 1024**2


def a_card(index=0, name="NVIDIA RTX A6000", total=A6000_BYTES, held=0, processes=(), **fields):
    return {
        "index": index,
        "name": name,
        "uuid": f"GPU-{index}",
        "compute_capability": "8.6",
        "total_bytes": total,
        "reserved_bytes": RESERVED,
        "held_bytes": held,
        "free_bytes": total - RESERVED - held,
        "processes": [{"pid": pid, "held_bytes": size, "name": None} for pid, size in processes],
        "mig": None,
        "instances": [],
        **fields,
    }


def a_host(name, *devices, seconds_ago=5, **fields):
    seen = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    snapshot = {
        "host": name,
        "taken_at": seen,
        "system": "Linux 6.1 x86_64",
        "cpu": {"name": "EPYC", "cores": 32, "bandwidth_bytes_per_s": 2e10},
        "ram_total_bytes": 256 * GIB,
        "ram_available_bytes": 200 * GIB,
        "disk_free_bytes": 900 * GIB,
        "devices": list(devices),
    }
    return Host(
        name=name, registered_at=seen, seen_at=seen, snapshot=snapshot, age_seconds=seconds_ago, **fields
    )


def a_job(vram_gib=0.0, ram_gib=0.0):
    needs = {"vram_bytes": int(vram_gib * GIB), "ram_bytes": int(ram_gib * GIB), "disk_bytes": 0}
    return Job(job_id="j-1", decision_id="d-1", state="claimed", specification={"needs": needs})


@pytest.fixture(scope="module")
def names():
    return AcceleratorNames(read_accelerators(DATA / "accelerators.csv"))


@pytest.fixture
def plan_for(names):
    """The target of words, with these hosts and the jobs that each runs."""

    def find(words, *hosts, jobs=None):
        inventory = Hosts(
            SimpleNamespace(find_target=lambda asks: asks),
            names,
            SimpleNamespace(list_hosts=lambda now: list(hosts)),
            SimpleNamespace(list_running_jobs=lambda host: (jobs or {}).get(host, [])),
            SimpleNamespace(now=NOW.isoformat),
        )
        return inventory.find_target(read_devices(words))

    return find


def refusal(act):
    with pytest.raises(BadInput) as refused:
        act()
    return refused.value


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        ("host:gpu-1", DeviceAsk(count=1, words="host:gpu-1")),
        ("host: node2x4.example.com", DeviceAsk(count=1, words="host:node2x4.example.com")),
        ("any host with 2 free A6000", DeviceAsk(count=2, words="any host A6000")),
        ("any host with 2x A6000", DeviceAsk(count=2, words="any host A6000")),
        ("any host with two idle A100 80GB", DeviceAsk(count=2, words="any host A100 80GB")),
        ("any host", DeviceAsk(count=1, words="any host")),
    ],
)
def test_words_for_hosts_are_read(words, ask):
    assert read_device(words) == ask


def test_a_host_by_name_is_its_cards_with_what_others_hold_taken_off(plan_for):
    target = plan_for("host:gpu-1", a_host("gpu-1", a_card(0, held=10 * GIB), a_card(1)))
    assert [device.held_bytes for device in target.devices] == [0, 10 * GIB]
    assert target.devices[0].available_bytes == A6000_BYTES - RESERVED
    assert (target.host, target.cpu_cores, target.ram_bytes) == ("gpu-1", 32, 200 * GIB)
    assert target.assumed == ("gpu-1 as it was 5 s ago",)
    assert target.devices[0].bandwidth_bytes_per_s == 768e9  # the table's rate: NVIDIA's data sheet


def test_a_stale_snapshot_is_warned_about(plan_for):
    target = plan_for("host:gpu-1", a_host("gpu-1", a_card(), seconds_ago=300))
    assert "stale" in target.assumed[0]
    assert "5 min" in target.assumed[0]


@pytest.mark.parametrize(
    "gone",
    [
        pytest.param({"seconds_ago": 1000}, id="silent"),
        pytest.param({"left_at": NOW.isoformat()}, id="left"),
    ],
)
def test_a_host_that_is_gone_is_said_to_be_gone(plan_for, gone):
    error = refusal(
        lambda: plan_for("host:gpu-1", a_host("gpu-1", a_card(), **gone), a_host("gpu-2", a_card()))
    )
    assert error.code == "host.gone"
    assert error.suggestions == ("host:gpu-2",)


def test_an_unknown_host_is_answered_with_the_nearest(plan_for):
    error = refusal(lambda: plan_for("host:gpu1", a_host("gpu-1", a_card()), a_host("west", a_card())))
    assert (error.code, error.suggestions) == ("host.unknown", ("host:gpu-1",))
    assert refusal(lambda: plan_for("host:gpu1")).code == "host.unknown"


def test_what_a_running_job_was_promised_is_kept_for_it(plan_for):
    host = a_host("gpu-1", a_card(0), a_card(1, held=5 * GIB))
    target = plan_for("host:gpu-1", host, jobs={"gpu-1": [a_job(vram_gib=20)]})
    assert sorted(device.held_bytes for device in target.devices) == [5 * GIB, 20 * GIB]
    assert "j-1 runs on gpu-1: 20.0 GiB" in target.assumed[1]


def test_what_a_running_job_holds_already_is_not_counted_twice(plan_for):
    host = a_host("gpu-1", a_card(0, held=15 * GIB, processes=[(77, 12 * GIB), (8, 3 * GIB)]), own_pids=(77,))
    target = plan_for("host:gpu-1", host, jobs={"gpu-1": [a_job(vram_gib=20)]})
    # 15 GiB are held, 12 of them by the job, which was promised 20: 8 more are kept.
    assert target.devices[0].held_bytes == 23 * GIB


def test_a_host_without_cards_is_its_processor(plan_for):
    host = a_host("big", own_ram_bytes=10 * GIB)
    target = plan_for("host:big", host, jobs={"big": [a_job(ram_gib=30)]})
    (cpu,) = target.devices
    assert (cpu.kind, cpu.available_bytes, target.ram_bytes) == ("cpu", 180 * GIB, 180 * GIB)
    assert cpu.bandwidth_bytes_per_s == 2e10


def test_a_divided_card_is_its_freest_instance(plan_for):
    instances = [
        {
            "name": "3g",
            "uuid": "MIG-1",
            "total_bytes": 20 * GIB,
            "free_bytes": free,
            "compute_slices": 3,
            "processes": [],
        }
        for free in (4 * GIB, 19 * GIB)
    ]
    target = plan_for("host:gpu-1", a_host("gpu-1", a_card(mig="on", instances=instances)))
    assert [device.available_bytes for device in target.devices] == [19 * GIB]


def test_instances_alike_are_replicas(plan_for):
    instances = [
        {
            "name": "3g",
            "uuid": f"MIG-{number}",
            "total_bytes": 20 * GIB,
            "free_bytes": 19 * GIB,
            "compute_slices": 3,
            "processes": [],
        }
        for number in range(2)
    ]
    target = plan_for("host:gpu-1", a_host("gpu-1", a_card(mig="on", instances=instances)))
    assert [device.uuid for device in target.devices] == ["MIG-0", "MIG-1"]
    assert all(device.is_instance for device in target.devices)


def test_any_host_is_one_with_enough_free_cards(plan_for):
    busy = a_host("busy", a_card(0), a_card(1, held=30 * GIB))
    free = a_host("free", a_card(0), a_card(1), a_card(2, held=9 * GIB))
    target = plan_for("any host with 2 free A6000", busy, free)
    assert (target.host, len(target.devices)) == ("free", 2)
    error = refusal(lambda: plan_for("any host with 3 free A6000", busy, free))
    assert error.code == "host.none_free"
    assert "busy has 2, 1 of them free; free has 3, 2 of them free" in error.message


def test_any_host_is_a_fresh_one_before_a_stale_one(plan_for):
    stale, fresh = a_host("a", a_card(), seconds_ago=200), a_host("b", a_card(), seconds_ago=5)
    assert plan_for("any host with 1 free A6000", stale, fresh).host == "b"
    assert plan_for("any host with 1 free A6000", stale).host == "a"


def test_any_host_counts_no_other_card(plan_for):
    other = a_host("other", a_card(name="NVIDIA GeForce RTX 4090", total=24 * GIB))
    assert refusal(lambda: plan_for("any host with 1 free A6000", other)).code == "host.none_free"
    assert refusal(lambda: plan_for("any host with 1 free A6000")).code == "host.none"
    assert refusal(lambda: plan_for("any host with 1 free A600", other)).code == "gpu.unknown"


def test_any_host_takes_either_form_of_a_card(plan_for):
    card = a_card(name="NVIDIA A100-SXM4-80GB", total=80 * GIB, compute_capability="8.0")
    assert plan_for("any host with 1 free A100 80GB", a_host("dgx", card)).host == "dgx"


def test_a_card_that_a_job_is_to_fill_is_not_free(plan_for):
    host = a_host("gpu-1", a_card())
    act = {"gpu-1": [a_job(vram_gib=20)]}
    assert refusal(lambda: plan_for("any host with 1 free A6000", host, jobs=act)).code == "host.none_free"


def test_other_words_go_on(plan_for):
    asks = plan_for("2x A6000", a_host("gpu-1", a_card()))
    assert asks == (replace(asks[0], words="A6000", count=2),)


def test_cards_of_a_named_host_are_the_freest_of_that_name(plan_for):
    host = a_host("gpu-1", a_card(0, held=20 * GIB), a_card(1), a_card(2, held=GIB))
    target = plan_for("2x A6000 on host:gpu-1", host)
    assert [device.index for device in target.devices] == [1, 2]
    assert target.host == "gpu-1"


def test_a_host_with_fewer_of_a_card_than_asked_says_what_it_has(plan_for):
    error = refusal(lambda: plan_for("host:gpu-1 with 4x A6000", a_host("gpu-1", a_card(0), a_card(1))))
    assert error.code == "host.too_few"
    assert "2 × RTX A6000" in error.message


def test_a_name_that_is_several_cards_is_told_apart_by_the_host(plan_for):
    card = a_card(name="NVIDIA A100-SXM4-80GB", total=80 * GIB, compute_capability="8.0")
    assert plan_for("1x A100 on host:gpu-1", a_host("gpu-1", card)).label == "1 × A100 80GB SXM4"


@pytest.mark.parametrize(
    ("nvlinks", "link"), [pytest.param(4, "nvlink", id="joined"), pytest.param(0, "pcie", id="not")]
)
def test_the_way_between_the_cards_comes_from_the_host(plan_for, nvlinks, link):
    host = a_host("gpu-1", a_card(0, ecc="on"), a_card(1, ecc="on"))
    told = {**host.snapshot, "links": [{"first": 0, "second": 1, "nvlinks": nvlinks}]}
    told["driver"] = {"version": "570.86.10", "cuda": "12.8"}
    target = plan_for("host:gpu-1", replace(host, snapshot=told))
    assert (target.link, target.cuda, target.devices[0].ecc) == (link, "12.8", True)


def test_a_link_that_the_host_does_not_have_is_said(plan_for):
    host = a_host("gpu-1", a_card(0), a_card(1))
    told = {**host.snapshot, "links": [{"first": 0, "second": 1, "nvlinks": 0}]}
    target = plan_for("2x A6000 with NVLink on host:gpu-1", replace(host, snapshot=told))
    assert target.link == "pcie"
    assert any("PCIe alone" in said for said in target.assumed)


def test_a_mac_is_planned_for_its_gpu(plan_for):
    """64 GiB of unified memory: three quarters may be wired, and 40 GiB are available now."""
    host = a_host("studio")
    mac = {
        **host.snapshot,
        "cpu": {"name": "Apple M2 Max", "cores": 12},
        "ram_total_bytes": 64 * GIB,
        "ram_available_bytes": 40 * GIB,
        "has_unified_memory": True,
    }
    (device,) = plan_for("host:studio", replace(host, snapshot=mac)).devices
    assert (device.kind, device.name) == ("unified", "Apple M2 Max 64GB")
    assert device.available_bytes == pytest.approx(40 * GIB, abs=1 << 20)
    (device,) = plan_for("host:studio", replace(host, snapshot={**mac, "gpu_limit_bytes": 32 * GIB})).devices
    assert device.available_bytes == 32 * GIB
