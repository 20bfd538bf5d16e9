"""What an AMD driver counts, as `evidence/memory_truth.csv` has it, and what ggml's buffers leave of it."""

from functools import partial

import pytest

from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.predict.llamacpp_builds import constants_of_build
from planner.domain.predict.memory import predict_memory, weigh
from planner.domain.predict.seats import divide, seat_devices

MIB = 2**20


@pytest.fixture(scope="session")
def on_card(tables, catalogue_model, a_device):
    """The estimate of one sequence in a build of llama.cpp."""

    def predict(card, model, scheme, context, version):
        division = divide(catalogue_model(model), "llama.cpp", Placement(), (a_device(card),), is_gguf=True)
        workload = Workload(context_tokens=context, concurrency=1)
        constants = constants_of_build(tables.memory, "llama.cpp", version)
        return predict_memory(
            seat_devices(division, workload, "f16", constants),
            weigh(division, tables.schemes[scheme, "gguf"], None, tables.gguf),
        )

    return predict


@pytest.fixture(scope="session")
def on_strix_halo(on_card):
    """The estimate of one of its benchmark's runs."""
    return partial(on_card, "AMD Strix Halo (Ryzen AI Max, Radeon 8060S) 128GB")


@pytest.mark.parametrize(
    ("model", "scheme", "context", "version", "printed_mib"),
    [
        pytest.param(
            "meta-llama/Llama-2-7b-hf", "Q4_K_M", 4096, "a4575513 (5863) llama.cpp-vulkan", 6566, id="vulkan"
        ),
        pytest.param(
            "meta-llama/Llama-2-7b-hf", "Q4_K_M", 2048, "83bc2f28 (6077) llama.cpp-hip", 5479, id="hip"
        ),
        # shisa-v2-llama3.3-70b i1-Q4_K_M: a 28672 x 8192 matrix in 16 bits is 448 MiB
        pytest.param(
            "meta-llama/Llama-3.3-70B-Instruct",
            "Q4_K_M",
            4096,
            "83bc2f28 (6077) llama.cpp-rocwmma",
            42888,
            id="a-converted-matrix",
        ),
        pytest.param(
            "meta-llama/Llama-4-Scout-17B-16E-Instruct",
            "UD-Q4_K_XL",
            512,
            "83bc2f28 (6077) llama.cpp-vulkan",
            60148,
            id="an-embedding-in-pinned-memory",
        ),
    ],
)
def test_what_the_driver_counts(on_strix_halo, model, scheme, context, version, printed_mib):
    found = on_strix_halo(model, scheme, context, version)
    assert found.total_bytes == pytest.approx(printed_mib * MIB, rel=0.015)
    assert found.total_low_bytes <= printed_mib * MIB <= found.total_high_bytes


def test_a_backend_that_nobody_said_lies_between_those_that_were(on_strix_halo):
    asked = ("meta-llama/Llama-2-7b-hf", "Q4_K_M", 4096)
    vulkan, hip, unsaid = (
        on_strix_halo(*asked, f"83bc2f28 (6077){words}")
        for words in (" llama.cpp-vulkan", " llama.cpp-hip", "")
    )
    assert vulkan.overhead_bytes < unsaid.overhead_bytes < hip.overhead_bytes
    assert unsaid.total_high_bytes >= max(vulkan.total_bytes, hip.total_bytes)


def test_a_small_mac_runs_what_it_was_measured_running(on_card):
    """evidence/speed.csv: Meta-Llama-3-8B Q4_K_M on an M1 with 8 GB, build 2797, 512 tokens."""
    found = on_card("Apple M1 8GB", "meta-llama/Meta-Llama-3-8B", "Q4_K_M", 512, "858f6b73 (2797)")
    # its log's buffers: 4403.50 MiB of weights, 64 of cache, 258.5 of compute
    buffers = found.weights_bytes + found.kv_cache_bytes + found.activation_bytes
    assert buffers == pytest.approx((4403.5 + 64 + 258.5) * MIB, abs=0.1 * MIB)
    assert found.fits
