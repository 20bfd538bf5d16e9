"""Bytes on the worst device: arithmetic by hand, and what must never run backwards."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.domain.facts.kernels import Placement
from planner.domain.facts.request import Workload
from planner.domain.predict.kv_cache import KV_DTYPE_BYTES, kv_bytes_per_token
from planner.domain.predict.memory import predict_memory, weigh
from planner.domain.predict.seats import divide, seat_devices, usable_bytes

GGUF_BY_BITS = ("Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")


@pytest.fixture(scope="session")
def memory_of(tables, a_model, a_target):
    """Memory of a scheme on one RTX A6000 in vLLM, 8192 tokens for four."""

    def estimate(
        scheme="W4A16",
        form="compressed-tensors",
        group_size=128,
        *,
        model=None,
        engine="vllm",
        placement=None,
        devices=None,
        context=8192,
        concurrency=4,
        kv_dtype="auto",
    ):
        stored = tables.schemes[scheme, form]
        division = divide(
            model or a_model(),
            engine,
            placement or Placement(),
            devices or a_target().devices,
            is_gguf=stored.is_gguf_mix,
        )
        workload = Workload(context_tokens=context, concurrency=concurrency)
        return predict_memory(
            seat_devices(division, workload, kv_dtype, tables.memory),
            weigh(division, stored, group_size, tables.gguf),
        )

    return estimate


def test_an_rtx_a6000_shows_49140_mib(a_device, tables):
    device = a_device("NVIDIA RTX A6000")
    assert device.total_bytes == 51_527_024_640  # 49,140 x 2^20
    # less 450 MiB that the driver keeps, 90 % of it: (49140 - 450) x 2^20 x 0.9
    assert usable_bytes(device, "vllm", tables.memory) == 45_949_648_896
    assert usable_bytes(device, "llama.cpp", tables.memory) == 51_055_165_440


def test_what_others_hold_is_not_usable(a_device, tables):
    held = replace(a_device(), held_bytes=10 << 30)
    free = usable_bytes(a_device(), "llama.cpp", tables.memory)
    assert free - usable_bytes(held, "llama.cpp", tables.memory) == 10 << 30


@pytest.mark.parametrize(
    ("model_id", "kv_dtype", "per_token"),
    [
        # 2 (keys and values) x layers x KV heads x head width x bytes
        pytest.param("Qwen/Qwen2.5-72B", "auto", 2 * 80 * 8 * 128 * 2, id="16-bits"),
        pytest.param("Qwen/Qwen2.5-72B", "fp8", 2 * 80 * 8 * 128, id="fp8"),
        # 34 bytes for 32 values
        pytest.param("Qwen/Qwen2.5-72B", "q8_0", 2 * 80 * 8 * 128 * 34 / 32, id="q8_0"),
        pytest.param("local/smollm2-135m-instruct-from-q4_1", "auto", 2 * 30 * 3 * 64 * 2, id="demo"),
    ],
)
def test_a_token_of_kv_cache(catalogue_model, model_id, kv_dtype, per_token):
    assert kv_bytes_per_token(catalogue_model(model_id), kv_dtype) == per_token


def test_kv_cache_of_qwen_72b_halves_over_two_ranks(memory_of, qwen72b, a_target):
    found = memory_of(model=qwen72b, placement=Placement(tp=2), devices=a_target(count=2).devices)
    # 4 sequences x 8192 tokens x 327,680 bytes / 2 ranks
    assert found.kv_cache_bytes == 5_368_709_120
    assert found.all_devices_bytes > 2 * (found.weights_bytes + found.kv_cache_bytes)


def test_vllm_keeps_kv_in_blocks_of_16_tokens(memory_of):
    assert memory_of(context=17).kv_cache_bytes == memory_of(context=32).kv_cache_bytes
    assert memory_of(context=33).kv_cache_bytes > memory_of(context=32).kv_cache_bytes


def test_llamacpp_leaves_the_input_embedding_in_host_memory_on_gpus(memory_of, a_model):
    untied = memory_of("F16", "gguf", None, engine="llama.cpp")
    # 4 layers and head and norms of the untied model in 2 bytes, its 32000 x 1024 embedding left out
    model = a_model()
    embedding = 32000 * 1024
    norms = (2 * 4 + 1) * 1024
    assert untied.weights_bytes == 2 * (model.params_total - embedding - norms) + 4 * norms


def test_offloaded_layers_move_to_host_memory_with_their_cache(memory_of, a_model):
    options = {"engine": "llama.cpp", "context": 1024, "concurrency": 1}
    whole = memory_of("F16", "gguf", None, **options)
    half = memory_of("F16", "gguf", None, placement=Placement(offload=2), **options)
    # a token's keys and values: 4 layers x 2 x 4 heads x 64 x 2 bytes, half of them now on the host
    cache = 4 * 2 * 4 * 64 * 2 * 1024
    assert (whole.kv_cache_bytes, half.kv_cache_bytes) == (cache, cache // 2)
    embedding = 2 * 32000 * 1024
    moved = whole.weights_bytes - half.weights_bytes
    assert (whole.host_bytes, half.host_bytes) == (embedding, embedding + moved + cache // 2)
    # a prompt's product copies the largest matrix there, 4096 x 1024 in 16 bits, to the device
    assert half.activation_bytes - whole.activation_bytes == 2 * 4096 * 1024


def test_a_mix_that_nobody_can_work_out_widens_the_interval(memory_of, catalogue_model):
    model = catalogue_model("Qwen/Qwen3-30B-A3B")
    known = memory_of("Q4_K_M", "gguf", None, engine="llama.cpp", model=model)
    own = memory_of("UD-Q4_K_XL", "gguf", None, engine="llama.cpp", model=model)
    spread = own.total_high_bytes - own.total_low_bytes
    # data/gguf_dynamic.csv: 0.99 to 1.06 of its base
    ours = own.weights_bytes * 0.07 / 1.01
    assert spread - (known.total_high_bytes - known.total_low_bytes) == pytest.approx(ours, rel=1e-3)


def test_offload_takes_nothing_off_a_cpu(memory_of, a_device):
    cpu = (a_device(gib=64, kind="cpu"),)
    whole = memory_of("F16", "gguf", None, engine="llama.cpp", devices=cpu)
    asked = memory_of("F16", "gguf", None, engine="llama.cpp", devices=cpu, placement=Placement(offload=4))
    assert asked == whole


def test_layers_in_host_memory_are_no_way_around_unified_memory(memory_of, catalogue_model, a_device):
    """70 GiB of weights on a Mac of 64: half of the layers fit its GPU's share, and the whole fits nowhere."""
    model = catalogue_model("meta-llama/Llama-3.3-70B-Instruct")
    mac = (a_device("Apple M1 Max 64GB"),)
    options = {"engine": "llama.cpp", "model": model, "devices": mac, "context": 4096, "concurrency": 1}
    large = memory_of("Q8_0", "gguf", None, placement=Placement(offload=40), **options)
    small = memory_of("Q4_K_M", "gguf", None, placement=Placement(offload=20), **options)
    assert large.total_high_bytes < large.usable_bytes
    assert not large.fits
    assert small.fits


def test_offloaded_layers_must_fit_in_host_memory(memory_of):
    fitting = memory_of("F16", "gguf", None, engine="llama.cpp", placement=Placement(offload=4))
    assert fitting.fits
    assert not fitting._replace(host_usable_bytes=fitting.host_bytes - 1).fits


def test_capacity_is_what_fits_beside_everything_else(memory_of):
    found = memory_of()
    per_token = 2 * 4 * 4 * 64 * 2
    left = found.usable_bytes - found.weights_bytes - found.activation_bytes - found.overhead_bytes
    assert found.kv_capacity_tokens == pytest.approx(left / per_token, rel=1e-4)


def test_unsure_is_no_fit(memory_of, a_target):
    found = memory_of()
    edge = replace(a_target().devices[0], total_bytes=int(found.total_bytes / 0.9) + 1, reserved_bytes=0)
    assert memory_of(devices=(edge,)).fits is False


def test_more_bits_never_use_less_memory(memory_of, a_model):
    @settings(max_examples=40, deadline=None)
    @given(width=st.integers(1, 12), inner=st.integers(1, 12), layers=st.integers(1, 10), tied=st.booleans())
    def check(width, inner, layers, tied):
        model = a_model(layers, hidden_size=256 * width, intermediate_size=128 * inner, tie_embeddings=tied)
        gguf = [
            memory_of(name, "gguf", None, model=model, engine="llama.cpp").weights_bytes
            for name in GGUF_BY_BITS
        ]
        assert gguf == sorted(gguf)
        four, eight = (memory_of(name, model=model).weights_bytes for name in ("W4A16", "W8A16"))
        sixteen = memory_of("BF16", "safetensors", None, model=model).weights_bytes
        assert four <= eight <= sixteen + 7 * layers * (16 + 256 * width // 64)

    check()


def test_finer_groups_never_use_less_memory(memory_of):
    sizes = [memory_of(group_size=size).weights_bytes for size in (None, 128, 64, 32)]
    assert sizes == sorted(sizes)


def test_more_context_or_users_never_free_any(memory_of):
    @settings(max_examples=60, deadline=None)
    @given(
        context=st.integers(1, 30_000),
        more=st.integers(0, 2000),
        users=st.integers(1, 40),
        kv_dtype=st.sampled_from(sorted(KV_DTYPE_BYTES)),
        engine=st.sampled_from(["vllm", "llama.cpp", "transformers"]),
    )
    def check(context, more, users, kv_dtype, engine):
        scheme = ("BF16", "gguf") if engine == "llama.cpp" else ("BF16", "safetensors")
        less = memory_of(*scheme, None, engine=engine, context=context, concurrency=users, kv_dtype=kv_dtype)
        longer = memory_of(
            *scheme, None, engine=engine, context=context + more, concurrency=users, kv_dtype=kv_dtype
        )
        wider = memory_of(
            *scheme, None, engine=engine, context=context, concurrency=users + 1, kv_dtype=kv_dtype
        )
        assert longer.total_bytes >= less.total_bytes
        assert wider.total_high_bytes >= less.total_high_bytes

    check()


def test_more_memory_or_more_devices_never_stop_a_fit(memory_of, a_device):
    @settings(max_examples=60, deadline=None)
    @given(
        gib=st.floats(0.5, 12),
        more=st.floats(0, 4),
        context=st.sampled_from([512, 8192, 32_000]),
        tp=st.sampled_from([1, 2]),
        pp=st.sampled_from([1, 2]),
    )
    def check(gib, more, context, tp, pp):
        def fits(size, dp):
            placement = Placement(tp=tp, pp=pp, dp=dp)
            devices = (a_device(gib=size),) * placement.devices
            return memory_of(placement=placement, devices=devices, context=context).fits

        if fits(gib, 1):
            assert fits(gib + more, 1)
            assert fits(gib, 2)

    check()
