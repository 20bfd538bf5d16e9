"""How people write devices: counts in every place, links, ECC, hosts; and what is refused by name."""

import pytest

from planner.domain.errors import BadInput
from planner.domain.facts.request import parse_request
from planner.domain.facts.request_devices import DeviceAsk, read_devices


@pytest.mark.parametrize(
    ("words", "count", "card"),
    [
        pytest.param("A6000 (48GB) x 2", 2, "A6000 (48GB)", id="after-a-size"),
        pytest.param("A6000(2x)", 2, "A6000", id="in-brackets"),
        pytest.param("3090 (x2)", 2, "3090", id="in-brackets-turned"),
        pytest.param("RTX 3090 24GB 2x", 2, "RTX 3090 24GB", id="at-the-end"),
        pytest.param("3090 2x", 2, "3090", id="number-at-the-end"),
        pytest.param("2 pcs A6000", 2, "A6000", id="pieces"),
        pytest.param("2 units of A6000", 2, "A6000", id="units"),
        pytest.param("pair of A6000s", 2, "A6000s", id="pair"),
        pytest.param("a couple of A6000", 2, "A6000", id="couple"),
        pytest.param("a single 4090", 1, "4090", id="single"),
        pytest.param("7900 XTX", 1, "7900 XTX", id="the-x-of-amd"),
        pytest.param("7900xtx", 1, "7900xtx", id="the-x-of-amd-glued"),
        pytest.param("2x 7900 XT", 2, "7900 XT", id="both-x"),
        pytest.param("8-channel DDR5-4800 512GB", 1, "8-channel DDR5-4800 512GB", id="channels-glued"),
        pytest.param("8 channel DDR5-4800 512GB", 1, "8 channel DDR5-4800 512GB", id="channels-are-no-count"),
        pytest.param("Ryzen AI Max+ 395 128GB", 1, "Ryzen AI Max+ 395 128GB", id="plus-of-a-name"),
        pytest.param("2x A6000 ECC on", 2, "A6000", id="ecc"),
        pytest.param("my laptop", 1, "this machine", id="my-laptop"),
    ],
)
def test_reads_a_count_wherever_it_stands(words, count, card):
    (ask,) = parse_request(f"qwen-72b for {words}").devices
    assert (ask.count, ask.words) == (count, card)


@pytest.mark.parametrize(
    ("words", "link"),
    [
        pytest.param("2x A6000 with NVLink", "nvlink", id="with"),
        pytest.param("2x A6000 NVLink", "nvlink", id="bare"),
        pytest.param("2x A6000 (NVLink)", "nvlink", id="brackets"),
        pytest.param("2x 3090 with an nvlink bridge", "nvlink", id="bridge"),
        pytest.param("2x nvlinked 3090", "nvlink", id="before-the-card"),
        pytest.param("2x 3090 and NVLink", "nvlink", id="and"),
        pytest.param("2x A6000 without NVLink", "pcie", id="without"),
        pytest.param("2x A6000, no nvlink", "pcie", id="no"),
        pytest.param("2x A6000 over PCIe", "pcie", id="over-pcie"),
        pytest.param("2x A6000 connected via PCI-e", "pcie", id="via"),
        pytest.param("2x A100 80GB PCIe", None, id="pcie-is-a-form"),
        pytest.param("2x A6000", None, id="not-said"),
    ],
)
def test_reads_how_cards_are_joined(words, link):
    (ask,) = parse_request(f"qwen-72b for {words}").devices
    assert (ask.count, ask.link) == (2, link)
    assert "nvlink" not in ask.words.lower()


@pytest.mark.parametrize(
    ("words", "ecc"),
    [
        pytest.param("2x A6000 with ECC", True, id="with"),
        pytest.param("2x A6000 ECC on", True, id="on"),
        pytest.param("2x A6000 with ECC enabled", True, id="enabled"),
        pytest.param("2x A6000 (ECC off)", False, id="off"),
        pytest.param("2x A6000 without ECC", False, id="without"),
        pytest.param("2x A6000 no ecc and with NVLink", False, id="beside-a-link"),
        pytest.param("2x A6000", None, id="not-said"),
    ],
)
def test_reads_error_correction(words, ecc):
    (ask,) = parse_request(f"qwen-72b for {words}, fastest").devices
    assert (ask.count, ask.words, ask.ecc) == (2, "A6000", ecc)


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        pytest.param("2x A6000 on host:gpu-1", [(2, "host:gpu-1 A6000")], id="on"),
        pytest.param("two free A6000s on the host:gpu-1", [(2, "host:gpu-1 A6000s")], id="free"),
        pytest.param("host:gpu-1 with 2x A6000", [(2, "host:gpu-1 A6000")], id="with"),
        pytest.param(
            "host:gpu-1 with 2x A6000 + 1x 3090",
            [(2, "host:gpu-1 A6000"), (1, "host:gpu-1 3090")],
            id="mixed",
        ),
        pytest.param("host:gpu-1", [(1, "host:gpu-1")], id="alone"),
        pytest.param("2x A6000 with NVLink on host:gpu-1", [(2, "host:gpu-1 A6000")], id="link"),
    ],
)
def test_reads_cards_of_a_host(words, asks):
    found = parse_request(f"qwen-72b for {words}, context 8k").devices
    assert [(ask.count, ask.words) for ask in found] == asks
    assert [(ask.count, ask.words) for ask in read_devices(words)] == asks


def test_a_card_described_over_an_and_stays_one():
    (ask,) = parse_request("qwen-72b for 2x 48GB card with 768 GB/s and sm_86").devices
    assert ask == DeviceAsk(count=2, words="48GB card with 768 GB/s sm_86")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param("0x A6000", "request.count", id="none"),
        pytest.param("-2x A6000", "request.count", id="negative"),
        pytest.param("1.5x A6000", "request.count", id="a-fraction"),
        pytest.param("1025x A6000", "request.count", id="more-than-any-host"),
        pytest.param("99999999999999999999x A6000", "request.count", id="a-slip"),
        pytest.param("A6000 x0", "request.count", id="none-after"),
        pytest.param("2x cpu", "request.count", id="two-of-this-machine"),
        pytest.param("2x A6000 +", "request.not_understood", id="an-open-end"),
        pytest.param("2x A6000 on 3090", "request.not_understood", id="a-second-target"),
    ],
)
def test_refuses_what_cannot_be(words, code):
    with pytest.raises(BadInput) as caught:
        parse_request(f"qwen-72b for {words}")
    assert caught.value.code == code
