"""What people type for devices, awkwardly: the target it means, or the code and exit status of a clear refusal."""

import re
from pathlib import Path

import pytest

from planner.domain.errors import BitwrightError
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.request import parse_request
from planner.sources.machine import Machine
from planner.sources.tables import make_rented_machine, read_accelerators, read_rows

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    names = AcceleratorNames(read_accelerators(DATA / "accelerators.csv"))
    rented = list(read_rows(DATA / "rented_machines.csv", make_rented_machine))
    return Machine(names, tmp_path_factory.mktemp("home"), rented)


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("2 \N{MULTIPLICATION SIGN} A6000", "2 × RTX A6000"),
        ("2\N{MULTIPLICATION X}A6000", "2 × RTX A6000"),
        ("a6000x2", "2 × RTX A6000"),
        ("two a6000s", "2 × RTX A6000"),
        ("A6000 (48GB) x 2", "2 × RTX A6000"),
        ("A6000(2x)", "2 × RTX A6000"),
        ("RTX 3090 24GB 2x", "2 × RTX 3090"),
        ("4090 laptop", "1 × RTX 4090 Laptop GPU"),
        ("my 4090", "1 × RTX 4090"),
        ("7900 XTX", "1 × RX 7900 XTX"),
        ("2x RX 7900XTX", "2 × RX 7900 XTX"),
        ("8xH100 SXM", "8 × H100 80GB SXM5"),
        ("H100 NVL", "1 × H100 NVL 94GB"),
        ("8x mi300x", "8 × AMD Instinct MI300X"),
        ("MI250", "2 × AMD Instinct MI250"),
        ("gaudi 3", "1 × Intel Gaudi3"),
        ("DGX Spark", "1 × GB10 (DGX Spark)"),
        ("Jetson Orin 64GB", "1 × Jetson AGX Orin 64GB"),
        ("Ryzen AI Max+ 395 128GB", "1 × AMD Strix Halo (Ryzen AI Max, Radeon 8060S) 128GB"),
        ("Mac Studio M3 Ultra 512GB", "1 × M3 Ultra 512GB"),
        ("2x H100 1g.20gb", "2 × H100 80GB PCIe MIG 1g.20gb"),
        ("7x A100 1g.5gb", "7 × A100 40GB PCIe MIG 1g.5gb"),
        ("A100 3g.40gb", "1 × A100 80GB PCIe MIG 3g.40gb"),
        ("2x A6000 + 1x 3090", "2 × RTX A6000 + 1 × RTX 3090"),
        ("2x A6000, 1x 3090 with NVLink", "2 × RTX A6000 + 1 × RTX 3090"),
        ("2x A6000 ECC on", "2 × RTX A6000"),
        ("2x 48GB 768GB/s sm86", "2 × card of 48 GiB, 768 GB/s, sm86"),
        ("22GB 616GB/s sm75", "1 × card of 22 GiB, 616 GB/s, sm75"),
        ("Xeon 6 512GB", "1 × CPU Xeon 6900P 12-channel DDR5-6400, 512 GiB"),
        ("8 channel DDR5-4800 256GB", "1 × CPU of 256 GiB, 307.2 GB/s"),
        ("64GB RAM", "1 × CPU of 64 GiB"),
        ("colab T4", "1 × T4"),
        ("g5.12xlarge", "4 × A10G"),
        ("p4d.24xlarge", "8 × A100 40GB SXM4"),
        ("a3-highgpu-8g", "8 × H100 80GB SXM5"),
        ("Standard_NC80adis_H100_v5", "2 × H100 NVL 94GB"),
        ("GB200 NVL72", "1 × GB200"),
        ("NVIDIA A100-SXM4-80GB", "1 × A100 80GB SXM4"),
        ("RTX PRO 6000 Max-Q", "1 × RTX PRO 6000 Blackwell Max-Q Workstation Edition"),
    ],
)
def test_is_the_target_that_was_meant(machine, words, label):
    assert machine.find_target(parse_request(f"demo for {words}").devices).label == label


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        ("RTX 6000", "gpu.ambiguous", 4),
        ("H100", "gpu.ambiguous", 4),
        ("M3 Ultra", "gpu.ambiguous", 4),
        ("Ryzen AI Max 395", "gpu.ambiguous", 4),
        ("A60000", "gpu.unknown", 2),
        ("RTX 4900", "gpu.unknown", 2),
        ("24GB GPU", "gpu.unknown", 2),
        ("2 gpus", "gpu.unknown", 2),
        ("a laptop", "gpu.unknown", 2),
        ("TPU v5e-8", "gpu.not_covered", 2),
        ("Inferentia2", "gpu.not_covered", 2),
        ("0x A6000", "request.count", 2),
        ("-2x A6000", "request.count", 2),
        ("1000000x A6000", "request.count", 2),
        ("2x cpu", "request.count", 2),
        ("2x p5.48xlarge", "request.count", 2),
        ("2x EPYC 9654 384GB", "request.count", 2),
        ("EPYC 9654", "cpu.memory", 2),
        ("A100 60GB", "gpu.memory", 2),
        ("2x 2080 Ti 22GB", "gpu.memory", 2),
        ("A6000 3g.40gb", "gpu.mig", 2),
        ("mig 1g.10gb", "gpu.mig", 2),
        ("48GB 768GB/s", "gpu.description", 2),
        ("2x 4090 with NVLink", "link.none", 2),
        ("M2 Max 96GB with ECC", "gpu.ecc", 2),
        ("A6000 + M2 Max 96GB", "target.mixed", 2),
        ("A6000 + cpu", "target.mixed", 2),
        ("2x A6000 on 3090", "request.not_understood", 2),
    ],
)
def test_is_refused_or_asked_about_with_the_documented_status(machine, words, code, status):
    with pytest.raises(BitwrightError) as caught:
        machine.find_target(parse_request(f"demo for {words}").devices)
    assert (caught.value.code, caught.value.exit_status) == (code, status)
    assert len(caught.value.message) < 700


def test_every_refusal_of_a_like_name_suggests(machine):
    with pytest.raises(BitwrightError) as caught:
        machine.find_target(parse_request("demo for A60000").devices)
    assert caught.value.suggestions[0].startswith("RTX A6000")


def test_more_cards_than_a_host_holds_are_said(machine):
    assert any(
        "one host" in said
        for said in machine.find_target(parse_request("demo for 64x A6000").devices).assumed
    )


def test_every_rented_machine_has_cards_of_the_table():
    names = {row.name for row in read_accelerators(DATA / "accelerators.csv")}
    machines = list(read_rows(DATA / "rented_machines.csv", make_rented_machine))
    assert {machine.device for machine in machines} <= names
    assert all(re.compile(machine.pattern) and machine.count <= 16 for machine in machines)
