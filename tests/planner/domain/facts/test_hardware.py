"""What of a device can be used: reserved, ECC, unified memory, MIG instances, dies, links."""

from dataclasses import replace

import pytest

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import Device, assume_reserved, make_device
from planner.domain.facts.hardware_links import describe_link, join_links
from planner.domain.facts.hardware_target import check_kinds, share_memory, split_card

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def device(cards):
    return lambda words, **fields: replace(make_device(cards.resolve(words).accelerator), **fields)


@pytest.mark.parametrize(
    ("words", "given_gib"),
    [
        # What CUDA gives of an idle card, as programs print it; drivers show 24.0, 79.65, 44.99, 179.06, 80.0, 15.0.
        pytest.param("RTX 3090", 23.58, id="3090"),
        pytest.param("H100 80GB SXM", 79.18, id="h100"),
        pytest.param("L40S", 44.39, id="l40s"),
        pytest.param("B200", 178.35, id="b200"),
        pytest.param("A100 80GB SXM", 79.15, id="a100"),
        pytest.param("T4", 14.56, id="t4"),
    ],
)
def test_no_card_promises_more_than_cuda_gives(device, words, given_gib):
    available = device(words).available_bytes / GIB
    assert given_gib - 0.15 <= available <= given_gib + 0.005


def test_a_card_that_no_row_speaks_of_is_assumed_to_keep_some():
    assert assume_reserved(24 * GIB) == pytest.approx(0.42 * GIB, abs=0.06 * GIB)  # 24.0 shown, 23.58 given
    assert assume_reserved(100) == 100


@pytest.mark.parametrize(
    ("words", "ecc", "mib"),
    [
        pytest.param("A6000", None, 49_140, id="off-as-it-ships"),
        pytest.param("A6000", True, 46_068, id="on"),  # 49,140 x 15/16 = 46,068.75; nvidia-smi shows 46,068
        pytest.param("A6000", False, 49_140, id="off"),
        pytest.param("L40S", None, 46_068, id="on-as-it-ships"),
        pytest.param("L40S", False, 49_139, id="switched-off"),  # 46,068 x 16/15
        pytest.param("A100 80GB SXM", True, 81_920, id="hbm-pays-nothing"),
        pytest.param("RTX PRO 6000 Max-Q", True, 97_887, id="gddr7-corrects-on-the-die"),
    ],
)
def test_error_correction_takes_a_sixteenth_of_gddr(cards, words, ecc, mib):
    made = make_device(cards.resolve(words).accelerator, ecc=ecc)
    assert made.total_bytes // MIB == mib


@pytest.mark.parametrize(
    ("words", "gib"),
    [
        pytest.param(
            "M1 Pro 32GB", 32 * 2 / 3, id="two-thirds-below-36"
        ),  # 22,906.50 MB as llama.cpp prints it
        pytest.param("M3 Max 36GB", 27.0, id="three-quarters-from-36"),  # 28,991.03 MB
        pytest.param("M2 Ultra 192GB", 144.0, id="large"),
        pytest.param("Strix Halo 128GB", 96.0, id="strix-halo"),
    ],
)
def test_unified_memory_has_a_limit(device, words, gib):
    assert device(words).available_bytes / GIB == pytest.approx(gib, abs=0.002)


def test_a_mac_is_planned_with_what_it_has_now(cards):
    row = cards.resolve_chip("Apple M2 Max", 64 * GIB)
    assert row.name == "Apple M2 Max 64GB"
    assert share_memory(row, 64 * GIB, 60 * GIB).available_bytes == pytest.approx(48 * GIB, abs=MIB)
    assert share_memory(row, 64 * GIB, 20 * GIB).available_bytes == pytest.approx(20 * GIB, abs=MIB)
    assert share_memory(row, 64 * GIB, 60 * GIB, limit_bytes=56 * GIB).available_bytes == 56 * GIB


@pytest.mark.parametrize(
    ("processor", "total", "name"),
    [
        pytest.param("Apple M4", 15.9, "Apple M4 16GB", id="m4-is-not-m4-max"),
        pytest.param("Apple M3 Ultra", 512, "Apple M3 Ultra 512GB", id="ultra"),
        pytest.param(
            "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S",
            125,
            "AMD Strix Halo (Ryzen AI Max, Radeon 8060S) 128GB",
            id="strix-halo",
        ),
        pytest.param("NVIDIA GB10", 119, "NVIDIA GB10 (DGX Spark)", id="spark"),
        pytest.param("AMD EPYC 9654 96-Core Processor", 377, None, id="a-processor-is-no-accelerator"),
        pytest.param("", 16, None, id="nameless"),
    ],
)
def test_a_chip_is_known_by_its_name_and_nearest_memory(cards, processor, total, name):
    found = cards.resolve_chip(processor, int(total * GIB))
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("words", "shown_gib", "compute"),
    [
        # nvidia-smi mig -lgip shows 9.50, 19.50, 39.25 GiB on an A100 80GB, 19.62 on an H100, 5.81 on an A30.
        pytest.param("A100 80GB 1g.10gb", 9.50, 1 / 7, id="a100-1g"),
        pytest.param("A100 80GB 3g.40gb", 39.25, 3 / 7, id="a100-3g"),
        pytest.param("H100 80GB SXM 1g.20gb", 19.62, 1 / 7, id="h100-1g-20"),
        pytest.param("A30 1g.6gb", 5.81, 1 / 4, id="a30"),
    ],
)
def test_a_mig_instance_is_a_part_of_its_card(cards, device, words, shown_gib, compute):
    instance, card = device(words), device(words.rsplit(" ", 1)[0])
    assert shown_gib * 0.955 <= instance.available_bytes / GIB <= shown_gib
    assert instance.fp16_flops == pytest.approx(card.fp16_flops * compute)
    assert instance.is_instance
    assert instance.nvlink_bytes_per_s is None


def test_a_card_of_two_dies_is_two_devices(device):
    die = split_card(device("MI250"), 2)
    assert die.total_bytes == 64 * GIB
    assert die.bandwidth_bytes_per_s == pytest.approx(1638.4e9)  # 3,276.8 GB/s for both


def test_kinds_are_not_mixed(device):
    with pytest.raises(BadInput) as caught:
        check_kinds([device("A6000"), device("m2 max 96gb")])
    assert caught.value.code == "target.mixed"


@pytest.mark.parametrize(
    ("words", "count", "asked", "link", "said"),
    [
        pytest.param("A6000", 1, None, None, "", id="one-card"),
        pytest.param("A6000", 2, None, "pcie", "no NVLink bridge assumed", id="not-said"),
        pytest.param("A6000", 2, "nvlink", "nvlink", "", id="bridged"),
        pytest.param("A6000", 4, "nvlink", "pcie", "joins two", id="a-bridge-joins-two"),
        pytest.param("A6000", 2, "pcie", "pcie", "", id="pcie-said"),
        pytest.param("4090", 2, None, "pcie", "", id="no-nvlink-at-all"),
        pytest.param("48GB 768GB/s sm86", 2, "nvlink", "nvlink", "", id="described-and-said"),
        pytest.param("H100 80GB SXM", 8, None, "nvlink", "as on boards", id="on-a-board"),
        pytest.param("mi300x", 8, None, None, "", id="another-maker"),
        pytest.param("H100 80GB SXM 1g.20gb", 2, None, None, "replica", id="instances"),
    ],
)
def test_how_cards_reach_each_other(device, words, count, asked, link, said):
    found, sentences = describe_link([device(words)] * count, asked)
    assert found == link
    assert (said in sentences[0]) if said else sentences == []


def test_nvlink_said_of_cards_without_it_is_refused(device):
    with pytest.raises(BadInput) as caught:
        describe_link([device("4090")] * 2, "nvlink")
    assert caught.value.code == "link.none"
    assert "RTX 4090" in caught.value.message


@pytest.mark.parametrize(
    ("nvlinks", "link"),
    [
        pytest.param({(0, 1): 4, (0, 2): 4, (1, 2): 4}, "nvlink", id="all"),
        pytest.param({(0, 1): 4}, "pcie", id="one-pair-of-three"),
        pytest.param({}, "pcie", id="none"),
    ],
)
def test_nvlink_counts_when_every_two_cards_have_it(device, nvlinks, link):
    found = [device("A6000", index=index) for index in (2, 0, 1)]
    assert join_links(found, lambda first, second: nvlinks.get((first, second), 0)) == link
    assert join_links(found[:1], lambda *_: 0) is None


def test_a_device_never_gives_more_than_it_has():
    over = Device(
        name="x", kind="gpu", vendor="nvidia", architecture="", total_bytes=10, reserved_bytes=4, held_bytes=9
    )
    assert over.available_bytes == 0
