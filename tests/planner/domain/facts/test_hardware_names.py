"""Which card people mean, when it is asked about, and what is said aloud."""

import pytest

from planner.domain.errors import Ambiguous, BadInput, BitwrightError
from planner.domain.facts.hardware_choices import describe
from planner.domain.facts.hardware_names import resolve_accelerator

MIB = 1 << 20


@pytest.mark.parametrize(
    ("words", "name"),
    [
        pytest.param("a6000", "NVIDIA RTX A6000", id="a6000-is-one-card"),
        pytest.param("NVIDIA RTX A6000", "NVIDIA RTX A6000", id="nvml"),
        pytest.param("4090", "NVIDIA GeForce RTX 4090", id="desktop"),
        pytest.param("rtx4090", "NVIDIA GeForce RTX 4090", id="glued"),
        pytest.param("RTX 4090 24GB", "NVIDIA GeForce RTX 4090", id="its-own-memory"),
        pytest.param("4090s", "NVIDIA GeForce RTX 4090", id="plural"),
        pytest.param("4090 laptop", "NVIDIA GeForce RTX 4090 Laptop GPU", id="laptop"),
        pytest.param("RTX 4090 Mobile", "NVIDIA GeForce RTX 4090 Laptop GPU", id="mobile"),
        pytest.param("4050", "NVIDIA GeForce RTX 4050 Laptop GPU", id="laptop-only"),
        pytest.param("L40S", "NVIDIA L40S", id="s-is-no-plural"),
        pytest.param("A100 40GB SXM", "NVIDIA A100 40GB SXM4", id="memory-and-form"),
        pytest.param("A100-SXM4-80GB", "NVIDIA A100 80GB SXM4", id="nvml-name"),
        pytest.param("3080 12gb", "NVIDIA GeForce RTX 3080 12GB", id="memory-narrows"),
        pytest.param("m2 max 96gb", "Apple M2 Max 96GB", id="apple"),
        pytest.param("M2ultra 192GB", "Apple M2 Ultra 192GB", id="apple-glued"),
        pytest.param("MacBook Pro M3 Max 64 GB", "Apple M3 Max 40-core GPU 64GB", id="macbook"),
        pytest.param("6000 Ada", "NVIDIA RTX 6000 Ada Generation", id="ada"),
        pytest.param("Quadro RTX 6000", "NVIDIA Quadro RTX 6000", id="quadro"),
        pytest.param("Quadro RTX 6000 (24 GiB, Turing)", "NVIDIA Quadro RTX 6000", id="a-choice-pasted"),
        pytest.param(
            "RTX 6000 Pro Blackwell Server", "NVIDIA RTX PRO 6000 Blackwell Server Edition", id="words-turned"
        ),
        pytest.param("7900 xtx", "AMD Radeon RX 7900 XTX", id="amd"),
        pytest.param("mi300x", "AMD Instinct MI300X", id="instinct"),
        pytest.param("gh200 480gb", "NVIDIA GH200 96GB", id="480-is-the-host's"),
        pytest.param("A40 46068MiB", "NVIDIA A40", id="as-the-driver-shows"),
        pytest.param(
            "AMD Strix Halo (Radeon 8060S, 128 GB unified)",
            "AMD Strix Halo (Ryzen AI Max, Radeon 8060S) 128GB",
            id="evidence",
        ),
        pytest.param("dgx spark", "NVIDIA GB10 (DGX Spark)", id="spark"),
        pytest.param("7900 XTX", "AMD Radeon RX 7900 XTX", id="the-x-is-no-count"),
        pytest.param(
            "Ryzen AI Max+ 395 128GB",
            "AMD Strix Halo (Ryzen AI Max, Radeon 8060S) 128GB",
            id="a-plus-in-a-name",
        ),
        pytest.param("Orin 64GB", "NVIDIA Jetson AGX Orin 64GB", id="jetson"),
        pytest.param("colab T4", "NVIDIA T4", id="where-it-is-rented"),
        pytest.param("NVIDIA H200", "NVIDIA H200 141GB SXM", id="as-its-driver-prints"),
        pytest.param("A100 3g.40gb", "NVIDIA A100 80GB PCIe MIG 3g.40gb", id="profile-tells-the-card"),
        pytest.param("H200 MIG 1g.18gb", "NVIDIA H200 NVL 141GB MIG 1g.18gb", id="mig-said"),
        pytest.param(
            "EPYC 9654 384GB", "CPU EPYC 9004 12-channel DDR5-4800, 384 GiB", id="a-model-of-a-series"
        ),
        pytest.param("Xeon 6 1TB", "CPU Xeon 6900P 12-channel DDR5-6400, 1024 GiB", id="xeon-6"),
        pytest.param(
            "Xeon Gold 6430 256GB", "CPU Xeon Scalable 4th gen 8-channel DDR5-4800, 256 GiB", id="xeon"
        ),
        pytest.param("8-channel DDR4-3200 256GB", "CPU of 256 GiB, 204.8 GB/s", id="channels"),  # 8 x 8 x 3.2
        pytest.param("64GB RAM", "CPU of 64 GiB", id="memory-alone"),
        pytest.param("epyc genoa", "CPU EPYC 9004 12-channel DDR5-4800", id="cpu"),
    ],
)
def test_finds_the_card(cards, words, name):
    assert cards.resolve(words).accelerator.name == name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        pytest.param("A100 80GB", "NVIDIA A100 80GB PCIe", id="a100"),  # 1,935 GB/s against 2,039
        pytest.param("H100 80GB", "NVIDIA H100 80GB PCIe", id="h100"),  # 2,039 GB/s against 3,350
        pytest.param("v100 32gb", "NVIDIA V100 32GB PCIe", id="v100"),  # 897 GB/s against 898 and 1,134
    ],
)
def test_like_cards_mean_the_slower_said_aloud(cards, words, name):
    match = cards.resolve(words)
    assert match.accelerator.name == name
    assert len(match.notes) == 1
    assert "slowest" in match.notes[0]


def test_says_nothing_when_nothing_was_taken_for_granted(cards):
    assert cards.resolve("a6000").notes == ()


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        pytest.param(
            "RTX 6000",
            (
                "Quadro RTX 6000 (24 GiB, Turing)",
                "RTX 6000 Ada Generation (48 GiB, Ada)",
                "RTX PRO 6000 Blackwell Workstation Edition (96 GiB, Blackwell)",
            ),
            id="rtx-6000",
        ),
        pytest.param(
            "a100",
            (
                "A100 40GB PCIe (40 GiB, Ampere)",
                "A100 40GB SXM4 (40 GiB, Ampere)",
                "A100 80GB PCIe (80 GiB, Ampere)",
                "A100 80GB SXM4 (80 GiB, Ampere)",
            ),
            id="a100",
        ),
        pytest.param(
            "m2 max",
            (
                "M2 Max 32GB (32 GiB, Apple M2 Max)",
                "M2 Max 64GB (64 GiB, Apple M2 Max)",
                "M2 Max 96GB (96 GiB, Apple M2 Max)",
            ),
            id="m2-max",
        ),
        pytest.param("3060", ("RTX 3060 8GB (8 GiB, Ampere)", "RTX 3060 12GB (12 GiB, Ampere)"), id="3060"),
    ],
)
def test_asks_when_cards_differ(cards, words, choices):
    with pytest.raises(Ambiguous) as caught:
        cards.resolve(words)
    assert caught.value.code == "gpu.ambiguous"
    assert caught.value.choices == choices
    assert caught.value.message.startswith(f'"{words}" is several cards: ')


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        pytest.param("A600", "gpu.unknown", "RTX A6000 (48 GiB, Ampere)", id="a600"),
        pytest.param("RTX 4091", "gpu.unknown", "RTX 4090 (24 GiB, Ada)", id="misspelt"),
        pytest.param("a laptop", "gpu.unknown", "this machine", id="a-laptop"),
        pytest.param("😀", "gpu.unknown", "this machine", id="emoji"),
        pytest.param("", "gpu.unknown", "this machine", id="nothing"),
        pytest.param("8", "gpu.unknown", '"8"', id="a-number"),
        pytest.param("x" * 5000, "gpu.unknown", "…", id="five-thousand-characters"),
        pytest.param(
            "a6000 contxt 32k", "request.not_understood", '"contxt 32k" after a6000', id="more-words"
        ),
        pytest.param("RTX 4090 48GB", "gpu.memory", "24 GiB", id="contradicting-memory"),
        pytest.param("A100 60GB", "gpu.memory", "40 GiB or 80 GiB", id="no-such-option"),
        pytest.param("48GB 768GB/s", "gpu.description", "compute capability", id="half-described"),
        pytest.param(
            "48GB 768GB/s sm86 4090", "gpu.description", '"4090" beside', id="a-name-beside-a-description"
        ),
        pytest.param("48GB 24GB 768GB/s sm86", "gpu.description", "second size", id="two-sizes"),
        pytest.param("48GB 768GB/s sm42", "gpu.description", "sm42", id="no-such-capability"),
        pytest.param("1g.20gb", "gpu.mig", "of which card", id="mig-of-no-card"),
        pytest.param("A6000 3g.40gb", "gpu.mig", "cannot be divided", id="no-mig"),
        pytest.param("A100 40GB 3g.40gb", "gpu.mig", "3g.20gb", id="no-such-profile"),
        pytest.param("TPU v5e", "gpu.not_covered", "TPU", id="tpu"),
        pytest.param("Inferentia2", "gpu.not_covered", "Neuron", id="neuron"),
        pytest.param("Ascend 910B", "gpu.not_covered", "Ascend", id="ascend"),
        pytest.param("iPhone 15", "gpu.not_covered", "phones", id="phone"),
        pytest.param("24GB", "gpu.unknown", "a size of memory", id="a-size"),
        pytest.param("2080 Ti 22GB", "gpu.memory", "22GB 616GB/s sm75", id="changed-memory-is-described"),
        pytest.param("12-channel DDR5-4800", "cpu.memory", "256GB", id="processor-without-memory"),
    ],
)
def test_refuses_with_one_sentence(cards, words, code, named):
    with pytest.raises(BadInput) as caught:
        cards.resolve(words)
    assert caught.value.code == code
    assert named in caught.value.message
    assert len(caught.value.suggestions) <= 3
    assert len(caught.value.message) < 400


def test_a_card_can_be_described_by_hand(cards):
    card = cards.resolve("48GB 768GB/s sm86").accelerator
    assert (card.memory_gib, card.sm, card.architecture, card.kind) == (48, 86, "Ampere", "gpu")
    assert card.bandwidth_bytes_per_s == 768e9  # decimal gigabytes, as vendors print
    assert card.source == "described by hand"


def likeness(card):
    return (card.memory_gib, card.sm if card.sm is not None else card.architecture)


def test_every_row_answers_to_its_name(cards, accelerators):
    assert [row.name for row in accelerators if cards.resolve(row.name).accelerator != row] == []


def test_every_row_answers_to_what_it_is_offered_as(cards, accelerators):
    other = [
        row.name
        for row in accelerators
        if likeness(cards.resolve(describe(row)).accelerator) != likeness(row)
    ]
    assert other == []


def test_every_alias_gives_its_row_a_like_one_or_a_question(cards, accelerators):
    strangers = []
    for row in accelerators:
        for words in (*row.aliases, *row.nvml_names):
            try:
                found = cards.resolve(words).accelerator
                is_right = likeness(found) == likeness(row) or is_bare_laptop(row, words)
                is_right = is_right or words in (found.name, *found.nvml_names)
            except Ambiguous as question:
                is_right = describe(row) in question.choices or is_bare_laptop(row, words)
            except BitwrightError:
                is_right = False
            if not is_right:
                strangers.append((words, row.name))
    assert strangers == []


def is_bare_laptop(row, words):
    """A bare number on a laptop's row: it means the desktop card."""
    return row.form == "laptop" and "laptop" not in words.lower() and "mobile" not in words.lower()


@pytest.mark.parametrize(
    ("name", "total_mib", "row"),
    [
        pytest.param("NVIDIA RTX A6000", 49140, "NVIDIA RTX A6000", id="a6000"),
        pytest.param("NVIDIA GeForce RTX 3080", 12288, "NVIDIA GeForce RTX 3080 12GB", id="by-memory"),
        pytest.param("NVIDIA GeForce RTX 3080", 10240, "NVIDIA GeForce RTX 3080", id="by-less-memory"),
        pytest.param("NVIDIA H200", 143771, "NVIDIA H200 141GB SXM", id="exact-name"),
    ],
)
def test_a_driver_name_means_one_row(cards, name, total_mib, row):
    assert cards.resolve_nvml(name, total_mib * MIB).accelerator.name == row


def test_a_driver_name_that_no_row_has_is_unknown(cards):
    assert cards.resolve_nvml("NVIDIA Future 1", 1 << 40) is None


def test_one_look_up_needs_no_index(accelerators):
    assert resolve_accelerator("a6000", accelerators).accelerator.sm == 86
