"""One candidate, in any spelling, with numbers also when it does not fit or may not load."""

import pytest

from planner.domain.errors import Ambiguous, BadInput, UnknownModel
from planner.usecases.estimate_candidate import estimate_candidate

QWEN = {"model": "qwen2.5-72b", "scheme": "W4A16", "device": "A6000", "count": 2}


@pytest.fixture
def estimate(shared_workshop):
    def ask(**fields):
        return estimate_candidate(shared_workshop, {**QWEN, **fields})

    return ask


def codes(answer):
    return [verdict["code"] for verdict in answer["verdicts"]]


def test_numbers_come_back_also_for_what_does_not_load(estimate):
    answer = estimate(method="gptq", group_size=128, engine="vllm", tp=2, context=8192, concurrency=4)
    assert (answer["legal"], answer["fits"]) == (False, True)
    assert codes(answer) == ["shape.group_not_divisible"]
    assert "29696" in answer["verdicts"][0]["way_out"][-1]
    # 4 x 8192 tokens x 327,680 bytes over two ranks
    assert answer["kv_cache_bytes"] == 5_368_709_120
    parts = ("weights_bytes", "kv_cache_bytes", "activation_bytes", "overhead_bytes")
    assert sum(answer[name] for name in parts) == answer["total_bytes"]
    assert answer["headroom_bytes"] == answer["usable_bytes"] - answer["total_bytes"]
    low, high = answer["intervals"]["total_bytes"]
    assert low <= answer["total_bytes"] <= high


def test_numbers_come_back_also_for_what_does_not_fit(estimate):
    answer = estimate(scheme="BF16", count=1)
    assert (answer["legal"], answer["fits"]) == (True, False)
    assert answer["headroom_bytes"] < 0
    assert codes(answer) == ["memory.over_by"]


def test_an_older_model_is_reckoned_with_transformers_of_its_time_and_says_so(estimate):
    """evidence/memory_truth.csv: Qwen1.5-7B-Chat in BF16, a prompt of 14,336 tokens, 37.01 GiB, no version stated."""
    asked = {"model": "Qwen1.5-7B-Chat", "scheme": "BF16", "device": "A100 80GB", "count": 1}
    asked |= {"engine": "transformers", "context": 16384, "prompt_tokens": 14336, "concurrency": 1}
    of_its_time, newest = estimate(**asked), estimate(**asked, engine_version="4.57")
    assert of_its_time["all_devices_bytes"] == pytest.approx(37.01 * 2**30, rel=0.03)
    logits = 14336 * 151936 * 6
    assert of_its_time["all_devices_bytes"] - newest["all_devices_bytes"] > 0.9 * logits
    assert any("name yours (engine_version)" in line for line in of_its_time["assumed"])
    assert not any("engine_version" in line for line in newest["assumed"])
    recent = estimate(**{**asked, "model": "Qwen3-8B"})
    assert not any("engine_version" in line for line in recent["assumed"])


def test_a_card_that_others_hold_has_nothing_usable_never_less(estimate):
    assert 0 <= estimate(engine="sglang", scheme="BF16", free_bytes=1)["usable_bytes"] <= 1


def test_one_card_that_was_counted_is_not_taken_for_two(estimate):
    with pytest.raises(BadInput) as refused:
        estimate(device="1x A6000", count=None, tp=2, group_size=64)
    assert refused.value.code == "estimate.placement"
    assert estimate(device="A6000", count=None, tp=2, group_size=64)["legal"]


def test_no_other_engine_takes_a_context_beyond_the_maximum(estimate):
    assert estimate(context=1_000_000, method="gptq", group_size=128)["ways_out"] == []


def test_context_beyond_the_maximum_is_a_verdict_here(estimate):
    answer = estimate(context=1_000_000, group_size=64)
    assert answer["legal"] is False
    assert "context.beyond_maximum" in codes(answer)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"scheme": "FP8-dynamic"}, {"scheme": "FP8_DYNAMIC"}, id="hyphen"),
        pytest.param({"scheme": "fp16"}, {"scheme": "F16", "method": "none"}, id="fp16"),
        pytest.param({"scheme": "GPTQ-Int4 g32"}, {"scheme": "W4A16", "group_size": 32}, id="group-inside"),
        pytest.param(
            {"scheme": "q4_k_m", "method": "gguf"},
            {"scheme": "Q4_K_M", "engine": "llama.cpp", "tp": 1, "pp": 2},
            id="gguf-splits-by-layer",
        ),
        pytest.param({"engine": "vLLM"}, {"engine": "vllm", "tp": 2, "pp": 1}, id="tensor-parallel-by-count"),
        pytest.param({"kv_dtype": "FP8-E4M3"}, {"kv_dtype": "fp8_e4m3"}, id="kv-dtype"),
        pytest.param({"device": "nvidia rtx a6000"}, {"target": "2 × RTX A6000"}, id="card"),
        pytest.param({"device": "2x A6000", "count": None}, {"tp": 2}, id="count-in-the-words"),
        pytest.param(
            {"device": "AMD Strix Halo (Radeon 8060S, 128 GB unified)", "count": None, "scheme": "Q4_K_M"},
            {"engine": "llama.cpp", "concurrency": 1},
            id="unified",
        ),
        pytest.param({"context": "32k"}, {"context": 32768}, id="32k"),
        pytest.param({"group_size": -1}, {"group_size": None}, id="per-channel"),
        pytest.param(
            {"scheme": "MXFP4", "engine": "llama.cpp"}, {"format": "gguf"}, id="llama.cpp-loads-gguf"
        ),
        pytest.param({"method": "awq"}, {"method": "awq", "format": "awq"}, id="format-of-the-published"),
        pytest.param(
            {"scheme": "AWQ-INT4"}, {"scheme": "W4A16", "method": "awq"}, id="method-inside-the-scheme"
        ),
        pytest.param({"scheme": "bf16", "method": "gguf"}, {"engine": "llama.cpp"}, id="gguf-is-llama.cpp's"),
        pytest.param(
            {"device": "RTX 4090 + RTX 3090 Ti", "scheme": "Q4_K_M"},
            {"target": "1 × RTX 4090 + 1 × RTX 3090 Ti", "pp": 2},
            id="a-mix-of-cards",
        ),
        pytest.param(
            {"device": "2x A6000 + 1x 3090", "count": None, "scheme": "Q4_K_M"}, {"pp": 3}, id="a-counted-mix"
        ),
        pytest.param(
            {"device": "NVIDIA GeForce RTX 3090+NVIDIA RTX A4000", "count": 3, "scheme": "Q4_K_M"},
            {"target": "1 × RTX 3090 + 2 × RTX A4000", "pp": 3},
            id="a-mix-not-told-apart",
        ),
        pytest.param({"kv_dtype": "fp8/e4m3 @ scale=1.0"}, {"kv_dtype": "fp8_e4m3"}, id="kv-dtype-explained"),
        pytest.param({"scheme": "W4A8KV4"}, {"kv_dtype": "q4_0"}, id="kv-dtype-inside-the-scheme"),
        pytest.param({"kv_dtype": "auto(bf16/f16)"}, {"kv_dtype": "auto"}, id="kv-dtype-as-logs-say"),
        pytest.param({"device": "cpu", "count": 0, "scheme": "Q4_0"}, {"tp": 1}, id="no-accelerator"),
        pytest.param(
            {"engine": "vllm", "engine_options": {"--max-model-len": "4k", "port": 8000}},
            {"context": 4096},
            id="option-that-is-a-field",
        ),
        pytest.param(
            {"model": "Qwen/Qwen2.5-72B-Instruct-AWQ"},
            {"model": "Qwen/Qwen2.5-72B-Instruct", "method": "awq", "group_size": 128},
            id="a-quantized-repository",
        ),
        pytest.param(
            {"model": "Qwen/Qwen3-32B-FP8", "scheme": "FP8"},
            {"model": "Qwen/Qwen3-32B"},
            id="an-fp8-repository",
        ),
        pytest.param(
            {"model": "deepseek-r1-0528"},
            {"model": "deepseek-ai/DeepSeek-R1-0528"},
            id="a-later-release",
        ),
    ],
)
def test_every_spelling_is_read(estimate, fields, expected):
    candidate = estimate(**fields)["candidate"]
    assert {name: candidate[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        pytest.param({"scheme": "W5A17"}, "scheme.unknown", "W5A17", id="no-such-width"),
        pytest.param({"scheme": None}, "estimate.missing_field", "scheme", id="nothing-said"),
        pytest.param({"offload": 0.5}, "estimate.bad_field", "whole number from 0", id="half-a-layer"),
        pytest.param({"offload": 8, "engine": "vllm"}, "estimate.not_modelled", "vllm", id="offload-vllm"),
        pytest.param(
            {"offload": 90, "engine": "llama.cpp", "scheme": "Q4_K_M"},
            "estimate.bad_field",
            "80",
            id="more-layers-than-there-are",
        ),
        pytest.param({"ep": 3, "tp": 2, "count": 2}, "estimate.placement", "ep 3", id="experts-on-no-ranks"),
        pytest.param(
            {"engine_options": {"max_num_seqs": "many"}}, "estimate.bad_field", "max_num_seqs", id="option"
        ),
        pytest.param(
            {"engine_options": {"max_num_seqs": -3}},
            "estimate.bad_field",
            "max_num_seqs",
            id="option-below-one",
        ),
        pytest.param({"engine": "notepad"}, "engine.unknown", "notepad", id="no-such-engine"),
        pytest.param({"method": "magic"}, "method.unknown", "magic", id="no-such-method"),
        pytest.param({"colour": "red"}, "estimate.unknown_field", "colour", id="no-such-field"),
        pytest.param({"tp": 4}, "estimate.placement", "needs 4 devices", id="more-ranks-than-cards"),
        pytest.param(
            {"device": "2x A6000", "count": 4}, "estimate.bad_field", "count says 4", id="two-counts"
        ),
        pytest.param({"tp": 0}, "estimate.bad_field", "tp", id="zero"),
        pytest.param(
            {"device": "4090 + 3090 + A6000"},
            "estimate.bad_field",
            "device says 3",
            id="more-kinds-than-count",
        ),
        pytest.param({"count": 0}, "estimate.bad_field", "is an accelerator", id="no-cards"),
        pytest.param({"kv_dtype": "fp8potato"}, "estimate.bad_field", "fp8potato", id="kv-dtype-run-on"),
        pytest.param({"engine_options": [1]}, "estimate.bad_field", "engine_options", id="options-as-a-list"),
        pytest.param({"context": -1}, "estimate.bad_field", "context", id="negative"),
        pytest.param({"concurrency": True}, "estimate.bad_field", "concurrency", id="a-truth-value"),
        pytest.param({"concurrency": [4]}, "estimate.bad_field", "concurrency", id="a-list"),
        pytest.param({"kv_dtype": "int2"}, "estimate.bad_field", "int2", id="kv-dtype"),
        pytest.param({"gpu_memory_utilization": 1.5}, "estimate.bad_field", "1.5", id="utilisation"),
        pytest.param({"free_bytes": 10**14}, "estimate.bad_field", "free_bytes", id="more-than-there-is"),
        pytest.param({"device": "A600"}, "gpu.unknown", "A600", id="no-such-card"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(estimate, fields, code, named):
    with pytest.raises(BadInput, match=named) as caught:
        estimate(**fields)
    assert caught.value.code == code
    assert "\n" not in caught.value.message


def test_ambiguous_cards_and_unknown_models_are_what_they_are_in_a_plan(estimate):
    with pytest.raises(Ambiguous):
        estimate(device="RTX 6000")
    with pytest.raises(UnknownModel):
        estimate(model="nothing-9b")


def test_an_engine_version_decides_and_a_later_one_than_was_read_is_unknown(estimate):
    known = estimate(group_size=64, engine_version="vLLM 0.33.0 (docker)")
    later = estimate(group_size=64, engine_version="1.7.0")
    older = estimate(group_size=64, engine_version="v0.6.3.post1")
    assert known["legal"] is True
    assert (later["legal"], codes(later)) == (None, ["unknown.engine_version"])
    # 14784 columns a rank are 231 groups of 64, and 115.5 of the tiles that Marlin padded no shape to before 0.24.
    assert (older["legal"], codes(older)) == (False, ["shape.not_multiple"])


def test_every_way_out_loads_when_it_is_asked_for(estimate):
    refused = estimate(method="gptq", group_size=128, engine="vllm", tp=2)
    asked = [way for way in refused["ways_out"] if way["fields"]]
    assert [way["change"] for way in asked] == ["group 64", "group 32", "PP 2", "2 replicas"]
    for way in asked:
        answer = estimate(**{"method": "gptq", "group_size": 128, "engine": "vllm", "tp": 2, **way["fields"]})
        assert (answer["legal"], answer["fits"]) == (True, way["fits"])


def test_ways_out_that_have_to_be_made_say_what_they_cost(estimate):
    changes = [way["change"] for way in estimate(method="gptq", group_size=128, tp=2)["ways_out"]]
    assert any("padded with zeros from 29568 to 29696" in change for change in changes)
    # 80 down projections of 29568 x 8192 in 16 bits for 4: 12 bits more each
    assert any("mlp.down_proj left in 16 bits (27.1 GiB more" in change for change in changes)


def test_where_the_card_stands_in_the_way_other_schemes_of_the_engine_are_named(estimate):
    asked = {
        "model": "Qwen/Qwen3-8B",
        "device": "T4",
        "count": 1,
        "engine": "vllm",
        "engine_version": "0.9.0",
    }
    answer = estimate(**asked, scheme="BF16")
    assert [way["change"] for way in answer["ways_out"][:1]] == ["F16"]
    for way in answer["ways_out"][:1]:
        assert estimate(**{**asked, **way["fields"]})["legal"] is True


def test_what_loads_has_no_ways_out(estimate):
    assert estimate(group_size=64)["ways_out"] == []


def test_a_group_that_was_not_said_is_one_that_the_rows_have(estimate):
    # Gemma 4's experts are 704 wide: 5.5 groups of 128, 11 of 64, and over two ranks 11 of 32.
    model = {"model": "google/gemma-4-26B-A4B", "method": "awq", "device": "2x RTX 3090", "count": None}
    assert estimate(**model, tp=1)["candidate"]["group_size"] == 64
    assert estimate(**model, tp=2)["candidate"]["group_size"] == 32
    assert estimate(group_size=None)["candidate"]["group_size"] == 128


def test_what_is_free_and_how_much_the_engine_may_take_count(estimate):
    plain = estimate(group_size=64)
    halved = estimate(group_size=64, gpu_memory_utilization=0.46)
    held = estimate(group_size=64, free_bytes=10 << 30)
    assert halved["usable_bytes"] == pytest.approx(plain["usable_bytes"] / 2, abs=1)
    assert held["usable_bytes"] == int((10 << 30) * 0.92)  # the newest version's default share
    assert held["fits"] is False


def test_only_the_ranks_that_are_used_count(estimate):
    answer = estimate(count=4, tp=2, group_size=64)
    assert answer["candidate"]["target"] == "2 × RTX A6000"


def test_a_published_method_that_no_backend_makes_has_no_job(estimate):
    job = estimate(method="awq")["job"]
    assert (job["minutes"], job["disk_bytes"]) == (None, None)
    assert estimate(scheme="BF16")["job"]["minutes"] == 0
    assert estimate(group_size=64)["job"]["minutes"] > 0


def test_an_engine_without_constants_is_reckoned_as_its_kin_and_judged_by_its_own_rules(estimate):
    answer = estimate(engine="vllm-ascend", group_size=64)
    own = estimate(engine="vllm", group_size=64)
    assert (answer["legal"], codes(answer)) == (None, ["unknown.engine_rule"])
    assert answer["total_bytes"] == own["total_bytes"]
    assert answer["candidate"]["engine"] == "vllm-ascend"
    assert estimate(engine="QwenLM/vllm-gptq", group_size=128, tp=2)["legal"] is False
    assert any("vllm-ascend are reckoned as vllm's" in note for note in answer["assumed"])


def test_a_scheme_without_a_storage_row_is_reckoned_at_the_width_in_its_name(estimate):
    answer = estimate(scheme="AQLM-2bit-1x16")
    # 16-bit codes for 8 weights, beside embedding and head in 16 bits: between 2 and 3 bits a weight
    assert 2 < answer["bits_per_weight"] < 3
    assert (answer["legal"], codes(answer)[0]) == (False, "engine.version")  # vLLM read it before 0.10.1
    assert any("AQLM_1x16 stores is not recorded: reckoned at 2 bits" in note for note in answer["assumed"])


def test_a_method_that_nobody_can_tell_is_as_if_not_said(estimate):
    answer = estimate(method="awq/gptq")
    assert answer["candidate"]["method"] == estimate()["candidate"]["method"]
    assert 'method "awq/gptq" is taken as not said: two methods' in answer["assumed"]


def test_the_published_padded_checkpoint_loads_on_two_ranks(estimate):
    fields = {"engine": "vllm", "tp": 2, "group_size": 128}
    assert estimate(model="Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4", **fields)["legal"] is True
    assert estimate(**fields)["legal"] is False


def test_an_option_that_no_table_knows_is_named_in_the_answer(estimate):
    answer = estimate(engine="vllm", engine_options={"--enable-magic": True})
    assert any("enable_magic" in sentence for sentence in answer["assumed"])


def test_eager_mode_captures_no_graphs(estimate):
    eager = estimate(engine="vllm", engine_options={"enforce_eager": True})
    assert eager["overhead_bytes"] < estimate(engine="vllm")["overhead_bytes"]


def test_ranks_share_the_weights_in_every_engine_that_is_asked_for_ranks(estimate):
    one, four = (
        estimate(engine="transformers", scheme="BF16", device="H100 SXM", count=ranks, tp=ranks)
        for ranks in (1, 4)
    )
    # Norms are repeated and the vocabulary padded; the rest is a quarter.
    assert one["weights_bytes"] / 4 <= four["weights_bytes"] < one["weights_bytes"] / 3.9


def test_a_chip_without_its_graphics_has_all_memory_but_the_systems(estimate):
    fields = {"scheme": "Q4_0", "count": None, "model": "qwen2.5-7b"}
    graphics, processor = (estimate(device=words, **fields) for words in ("M3 16GB", "M3 16GB (CPU only)"))
    # 16 GiB less 2 GiB of the system
    assert processor["usable_bytes"] == 15_032_385_536
    assert processor["usable_bytes"] > graphics["usable_bytes"]


def test_layers_in_host_memory_free_the_card_and_slow_it_down(estimate):
    asked = {
        "scheme": "Q4_K_M",
        "engine": "llama.cpp",
        "device": "RTX A6000",
        "context": 4096,
        "concurrency": 1,
    }
    whole, half = estimate(**asked, count=1), estimate(**asked, count=1, offload=40)
    assert half["candidate"]["offload"] == 40
    assert whole["weights_bytes"] > half["weights_bytes"]
    assert half["host_bytes"] > whole["host_bytes"] > 0
    assert whole["total_bytes"] - half["total_bytes"] < half["host_bytes"]
    assert half["decode_tokens_per_s"] < whole["decode_tokens_per_s"] / 4
    assert half["prefill_tokens_per_s"] < whole["prefill_tokens_per_s"] / 2


def test_a_mix_is_reckoned_as_what_bounds_it_and_said_so(estimate):
    answer = estimate(scheme="IQ3_S mix", method="gguf")
    assert answer["candidate"]["scheme"] == "IQ3_S"
    assert 'scheme "IQ3_S mix" is taken as IQ3_S: mix by its author' in answer["assumed"]


def test_a_relative_has_constants_of_its_own(estimate):
    """GPTQ-for-LLaMa's benchmark feeds one token at a time: 13940 MiB for LLaMA-7B at 2048 tokens (its README)."""
    fields = {"model": "huggyllama/llama-7b", "scheme": "FP16", "device": "RTX 3090", "context": 2048}
    found = estimate(**fields, concurrency=1, engine="GPTQ-for-LLaMa (triton)")
    whole = estimate(**fields, concurrency=1, engine="transformers")
    assert found["all_devices_bytes"] == pytest.approx(13940 * 2**20, rel=0.01)
    assert whole["all_devices_bytes"] > found["all_devices_bytes"]
    low, high = found["intervals"]["all_devices_bytes"]
    assert low < 13940 * 2**20 < high


def test_what_was_joined_stays_reserved_in_autoawqs_benchmark(estimate):
    """AutoAWQ README, fused GEMM kernel: CodeLlama-34B takes 19.05 GiB, 1.9 of it parts before joining."""
    fields = {"model": "codellama/CodeLlama-34b-hf", "scheme": "AWQ-INT4", "device": "RTX 4090", "count": 1}
    found = estimate(**fields, context=128, concurrency=1, engine="AutoAWQ fused (GEMM kernel)")
    assert found["all_devices_bytes"] == pytest.approx(19.05 * 2**30, rel=0.01)


@pytest.mark.parametrize(
    ("words", "usable_gib"),
    [
        # What a process sees, x 0.92 of vLLM's newest default; what a driver reports or a vendor says, less its part.
        pytest.param("24GB class (total 23.57GiB)", 23.57 * 0.92, id="seen"),
        pytest.param("H100/A100 79.22GiB", 79.22 * 0.92, id="seen-of-one-of-two"),
        pytest.param("96GB GPU (97887 MiB)", (97887 - 440 - 0.0016 * 97887) / 1024 * 0.92, id="reported"),
        pytest.param("80GB-class", (80 - 440 / 1024 - 0.0016 * 80) * 0.92, id="advertised"),
    ],
)
def test_a_card_that_nobody_named_stands_for_its_memory_and_loads_nothing_surely(estimate, words, usable_gib):
    answer = estimate(device=words, count=1, engine="vllm", group_size=64)
    assert answer["usable_bytes"] / 2**30 == pytest.approx(usable_gib, rel=0.03)
    assert answer["legal"] is None
    assert any("no card is named" in note for note in answer["assumed"])


def test_words_without_a_memory_name_no_card(estimate):
    for words in ("not printed", "24GB class of my own"):
        with pytest.raises(BadInput, match="no GPU called"):
            estimate(device=words)
