"""What sentences mean, and how those that mean nothing are refused."""

import time

import pytest

from planner.domain.errors import BadInput, BitwrightError
from planner.domain.facts.request import Request, make_workload, parse_request
from planner.domain.facts.request_devices import DeviceAsk

FOUR_BITS = {"W4A16", "NVFP4", "MXFP4", "NF4", "Q4_0", "Q4_K_S", "Q4_K_M", "IQ4_XS"}


def devices_of(text):
    return [(ask.count, ask.words) for ask in parse_request(text).devices]


def test_reads_the_sentence_of_the_readme():
    assert parse_request("qwen-72b for 2x A6000") == Request(
        text="qwen-72b for 2x A6000", model="qwen-72b", devices=(DeviceAsk(count=2, words="A6000"),)
    )


def test_reads_every_option_in_one_sentence():
    request = parse_request(
        "qwen-72b for 2x A6000, context 32k, for 16 users, best quality, with vllm, fp8 kv"
    )
    assert request.model == "qwen-72b"
    assert request.context_tokens == 32768  # 32 * 1024
    assert request.concurrency == 16
    assert request.objective == "quality"
    assert request.engine == "vllm"
    assert request.kv_dtype == "fp8"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param("2x A6000", [(2, "A6000")], id="count-x"),
        pytest.param("2xA6000", [(2, "A6000")], id="glued"),
        pytest.param("2 × A6000", [(2, "A6000")], id="multiplication-sign"),
        pytest.param("2*A6000", [(2, "A6000")], id="star"),
        pytest.param("2 A6000", [(2, "A6000")], id="count-alone"),
        pytest.param("A6000 x2", [(2, "A6000")], id="count-after"),
        pytest.param("4090x4", [(4, "4090")], id="number-glued"),
        pytest.param("4 x 4090", [(4, "4090")], id="two-numbers"),
        pytest.param("4090 x 4", [(4, "4090")], id="two-numbers-turned"),
        pytest.param("4090", [(1, "4090")], id="a-number-is-a-card"),
        pytest.param("6000 ada", [(1, "6000 ada")], id="a-number-is-no-count"),
        pytest.param("two A100s", [(2, "A100s")], id="number-word"),
        pytest.param("a pair of 3090s", [(2, "3090s")], id="pair"),
        pytest.param("dual 3090", [(2, "3090")], id="dual"),
        pytest.param("a 4090", [(1, "4090")], id="article"),
        pytest.param("1x H100 80GB", [(1, "H100 80GB")], id="memory-option"),
        pytest.param("m2 max 96gb", [(1, "m2 max 96gb")], id="apple"),
        pytest.param("RX 7900 XTX", [(1, "RX 7900 XTX")], id="x-inside"),
        pytest.param("mi300x x8", [(8, "mi300x")], id="x-at-the-end"),
        pytest.param("2x 48GB 768GB/s sm86", [(2, "48GB 768GB/s sm86")], id="described"),
        pytest.param("2x A6000 + 1x 3090", [(2, "A6000"), (1, "3090")], id="mixed-plus"),
        pytest.param("2x A6000 and 1x 3090", [(2, "A6000"), (1, "3090")], id="mixed-and"),
        pytest.param("2x A6000, 1x 3090", [(2, "A6000"), (1, "3090")], id="mixed-comma"),
        pytest.param("this machine", [(1, "this machine")], id="this-machine"),
        pytest.param("THIS LAPTOP", [(1, "this machine")], id="this-laptop"),
        pytest.param("cpu", [(1, "cpu")], id="cpu"),
        pytest.param("the CPU", [(1, "cpu")], id="the-cpu"),
    ],
)
def test_reads_devices(words, expected):
    assert devices_of(f"qwen-72b for {words}") == expected
    assert devices_of(f"qwen-72b on {words}, fastest") == expected


@pytest.mark.parametrize(
    ("option", "field", "expected"),
    [
        pytest.param("context 32k", "context_tokens", 32768, id="context-32k"),
        pytest.param("32k context", "context_tokens", 32768, id="32k-context"),
        pytest.param("ctx 8192", "context_tokens", 8192, id="ctx"),
        pytest.param("128k tokens", "context_tokens", 131072, id="128k-tokens"),  # 128 * 1024
        pytest.param("context length of 32,768 tokens", "context_tokens", 32768, id="thousands"),
        pytest.param("context=16384", "context_tokens", 16384, id="equals"),
        pytest.param("with 1m context", "context_tokens", 1048576, id="mega"),  # 1024 * 1024
        pytest.param("context 10m", "context_tokens", 10485760, id="beyond-most-models"),
        pytest.param("for 16 users", "concurrency", 16, id="for-users"),
        pytest.param("16 users", "concurrency", 16, id="users"),
        pytest.param("1 user", "concurrency", 1, id="one-user"),
        pytest.param("16 at once", "concurrency", 16, id="at-once"),
        pytest.param("with concurrency 16", "concurrency", 16, id="concurrency"),
        pytest.param("16 concurrent requests", "concurrency", 16, id="requests"),
        pytest.param("batch size 8", "concurrency", 8, id="batch"),
        pytest.param("best quality", "objective", "quality", id="quality"),
        pytest.param("fastest", "objective", "speed", id="speed"),
        pytest.param("smallest", "objective", "memory", id="memory"),
        pytest.param("balanced", "objective", "balanced", id="balanced"),
        pytest.param("with vLLM", "engine", "vllm", id="vllm"),
        pytest.param("using llama.cpp", "engine", "llama.cpp", id="llama.cpp"),
        pytest.param("with llamacpp", "engine", "llama.cpp", id="llamacpp"),
        pytest.param("on TRT-LLM", "engine", "tensorrt-llm", id="trt"),
        pytest.param("via sglang", "engine", "sglang", id="sglang"),
        pytest.param("with exllama v3", "engine", "exllamav3", id="exllama"),
        pytest.param("ollama", "engine", "ollama", id="ollama"),
        pytest.param("with transformers", "engine", "transformers", id="transformers"),
        pytest.param("with mlx", "engine", "mlx", id="mlx"),
        pytest.param("for coding", "task", "coding", id="coding"),
        pytest.param("for math", "task", "math", id="math"),
        pytest.param("for chat", "task", "chat", id="chat"),
        pytest.param("fp8 kv", "kv_dtype", "fp8", id="fp8-kv"),
        pytest.param("with q8_0 kv cache", "kv_dtype", "q8_0", id="q8-kv"),
        pytest.param("kv cache in fp8_e5m2", "kv_dtype", "fp8_e5m2", id="kv-e5m2"),
        pytest.param("with awq", "method", "awq", id="method"),
        pytest.param("Q4_K_M", "schemes", ("Q4_K_M",), id="gguf-scheme"),
        pytest.param("in q4_k_m", "schemes", ("Q4_K_M",), id="gguf-scheme-lower"),
        pytest.param("W4A16", "schemes", ("W4A16",), id="scheme"),
        pytest.param("FP8-dynamic", "schemes", ("FP8_DYNAMIC",), id="fp8-dynamic"),
        pytest.param("in FP8", "schemes", ("FP8_DYNAMIC", "FP8_STATIC", "FP8_BLOCK"), id="fp8"),
        pytest.param("fp16", "schemes", ("BF16", "F16"), id="16-bits-either-way"),
        pytest.param("W4A16 or Q4_K_M", "schemes", ("W4A16", "Q4_K_M"), id="two-schemes"),
    ],
)
def test_reads_options_before_and_after_the_devices(option, field, expected):
    after = parse_request(f"qwen-72b for 2x A6000 {option}")
    listed = parse_request(f"qwen-72b for 2x A6000, please, {option}.")
    before = parse_request(f"{option}, qwen-72b for 2x A6000")
    assert {getattr(request, field) for request in (after, listed, before)} == {expected}
    assert all(devices_of(text) == [(2, "A6000")] for text in (after.text, listed.text, before.text))
    assert after.model == listed.model == before.model == "qwen-72b"


def test_a_width_asks_for_every_scheme_of_it():
    assert set(parse_request("qwen-72b in 4-bit for 2x A6000").schemes) >= FOUR_BITS
    assert "W2A16" in parse_request("qwen-72b for 2x A6000 at 2 bits").schemes


def test_a_number_before_the_context_is_the_card():
    request = parse_request("qwen-72b for 4090 context 8k")
    assert (request.devices[0].words, request.context_tokens) == ("4090", 8192)


def test_a_task_before_the_devices_is_no_device():
    request = parse_request("qwen-72b for coding on 2x A6000")
    assert (request.task, request.devices[0].words) == ("coding", "A6000")


@pytest.mark.parametrize(
    ("text", "model"),
    [
        pytest.param("Qwen/Qwen2.5-72B-Instruct for 2x A6000", "Qwen/Qwen2.5-72B-Instruct", id="hub-id"),
        pytest.param("llama 3.1 8b instruct on 3090", "llama 3.1 8b instruct", id="several-words"),
        pytest.param("./My-Model for cpu", "./My-Model", id="relative"),
        pytest.param("/models/Llama for cpu", "/models/Llama", id="absolute"),
        pytest.param("~/Models/X on cpu", "~/Models/X", id="home"),
        pytest.param('"./My Model for You" for cpu', "./My Model for You", id="quoted-with-spaces"),
        pytest.param("‘/a dir/fastest’ for cpu", "/a dir/fastest", id="curly-quotes"),  # noqa: RUF001
        pytest.param(". for cpu", ".", id="here"),
        pytest.param("please quantize the demo for this machine", "demo", id="fillers"),
        pytest.param("QWEN-72B FOR 2X A6000 CONTEXT 32K", "QWEN-72B", id="shouted"),
    ],
)
def test_keeps_the_model_as_typed(text, model):
    assert parse_request(text).model == model


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        pytest.param("", "request.empty", "qwen-72b for 2x A6000", id="empty"),
        pytest.param(" \t\n", "request.empty", "nothing", id="blank"),
        pytest.param("qwen-72b", "request.no_device", "qwen-72b for this machine", id="model-alone"),
        pytest.param("qwen-72b for", "request.no_device", "2x A6000", id="for-nothing"),
        pytest.param("qwen-72b for 16 users", "request.no_device", "qwen-72b", id="options-alone"),
        pytest.param("qwen-72b for chat", "request.no_device", "qwen-72b", id="task-alone"),
        pytest.param("qwen-72b for 2x", "request.no_device", "2x", id="count-alone"),
        pytest.param("qwen-72b for 2", "request.no_device", "of which card", id="number-alone"),
        pytest.param("qwen-72b, 2x A6000", "request.no_device", "for 2x A6000", id="no-for"),
        pytest.param("for 2x A6000", "request.no_model", "which model", id="devices-alone"),
        pytest.param("for for for", "request.no_model", "which model", id="only-for"),
        pytest.param("with vllm", "request.no_model", "which model", id="engine-alone"),
        pytest.param("qwen-72b for 0x A6000", "request.count", '"0"', id="zero"),
        pytest.param("qwen-72b for -1 A6000", "request.count", '"-1"', id="negative"),
        pytest.param("qwen-72b for 2.5x A6000", "request.count", '"2.5"', id="fraction"),
        pytest.param("qwen-72b for 1000000x A6000", "request.count", "1024", id="huge"),
        pytest.param("qwen-72b for 9999999999999999999999x A6000", "request.count", "1024", id="huger"),
        pytest.param("qwen-72b for 2x cpu", "request.count", "cpu is one", id="two-cpus"),
        pytest.param("qwen-72b for 2x A6000 context 0", "request.context", '"0"', id="no-context"),
        pytest.param("qwen-72b for 2x A6000 context -5", "request.context", '"-5"', id="negative-context"),
        pytest.param("qwen-72b for 2x A6000 context 1.5", "request.context", '"1.5"', id="part-of-a-token"),
        pytest.param("qwen-72b for 2x A6000 context 9e99", "request.context", '"9e99"', id="endless-context"),
        pytest.param("qwen-72b for 2x A6000 context", "request.context", "how much", id="context-of-what"),
        pytest.param("qwen-72b for 2x A6000 context lots", "request.context", "how much", id="context-lots"),
        pytest.param("qwen-72b for 2x A6000 for 0 users", "request.concurrency", '"0"', id="nobody"),
        pytest.param("qwen-72b for 2x A6000 for 1e9 users", "request.concurrency", '"1e9"', id="everybody"),
        pytest.param("qwen-72b for 2x A6000 for 1.5 users", "request.concurrency", '"1.5"', id="half-a-user"),
        pytest.param("qwen-72b for 2x A6000 concurrency", "request.concurrency", "how many", id="how-many"),
        pytest.param("qwen-72b for 2x A6000 W5A17", "request.scheme", '"W5A17"', id="no-such-width"),
        pytest.param("qwen-72b for 2x A6000 in 7-bit", "request.scheme", "7 bits", id="seven-bits"),
        pytest.param("qwen-72b for 2x A6000 W4A16 g64", "request.scheme", "--group-size", id="group-size"),
        pytest.param("qwen-72b for 3090 ctx 8k ctx 16k", "request.contradiction", "8192", id="two-contexts"),
        pytest.param(
            "qwen-72b for 3090 fastest smallest", "request.contradiction", "smallest", id="two-aims"
        ),
        pytest.param("qwen-72b for 2x A6000, blah", "request.not_understood", '"blah"', id="leftover"),
        pytest.param("qwen-72b for 3090, contxt", "request.not_understood", "context?", id="misspelt"),
        pytest.param("qwen-72b for 3090 for fun", "request.not_understood", '"for fun"', id="second-for"),
        pytest.param("qwen-72b for production on 3090", "request.not_understood", "production", id="purpose"),
        pytest.param("qwen-72b for 2x A6000 +", "request.not_understood", "missing", id="plus-nothing"),
        pytest.param("a\x00b for 3090", "request.not_understood", "control", id="control-character"),
        pytest.param("x" * 5000, "request.too_long", "5000", id="five-thousand-characters"),
    ],
)
def test_refuses_with_one_sentence(text, code, named):
    with pytest.raises(BadInput) as caught:
        parse_request(text)
    assert caught.value.code == code
    assert named in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 320


@pytest.mark.parametrize(
    "text",
    [
        "😀",
        "😀 for 😀",
        "qwen-72b for 2x A600",
        "qwen-72b for RTX 6000",
        "mistral 7b on a laptop",
        "' for x",
        "+ for +",
    ],
)
def test_leaves_names_to_the_tables_and_never_breaks(text):
    try:
        outcome = parse_request(text).devices[0].words
    except BitwrightError as error:
        outcome = error.code
    assert outcome


@pytest.mark.parametrize(
    ("kind", "concurrency"),
    [
        pytest.param("gpu", 4, id="gpu"),
        pytest.param("cpu", 1, id="cpu"),
        pytest.param("unified", 1, id="unified"),
    ],
)
def test_fills_in_the_stated_defaults(kind, concurrency):
    workload = make_workload(parse_request("qwen-72b for 2x A6000"), max_position=131072, kind=kind)
    assert (workload.context_tokens, workload.concurrency, workload.task) == (8192, concurrency, "general")


def test_parsing_and_resolving_take_less_than_a_millisecond_and_a_half(models, cards):
    text = "qwen-72b for 2x A6000, context 32k, for 16 users, best quality, with vllm"
    models.resolve("qwen-72b")
    cards.resolve("A6000")
    best = min(once(text, models, cards) for _ in range(20))
    assert best < 1.5e-3


def once(text, models, cards):
    start = time.perf_counter()
    request = parse_request(text)
    models.resolve(request.model)
    cards.resolve(request.devices[0].words)
    return time.perf_counter() - start
