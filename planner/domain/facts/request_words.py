"""The words that a request may use, and what each stands for.

Values of OBJECTIVES, ENGINES, TASKS, KV_DTYPES and METHODS are regular expressions of whole words.
"""

import re

from planner.domain.facts.spellings import GGUF_TYPES

THIS_MACHINE = "this machine"
CPU = "cpu"
HOST_MARK = "host:"
"""Begins the words for a host that has an executor: `host:gpu-1`."""
ANY_HOST = "any host"
"""Begins the words for whichever host has so many free cards: `any host A6000`."""

MACHINE_WORDS = {
    "this machine": THIS_MACHINE,
    "this computer": THIS_MACHINE,
    "this host": THIS_MACHINE,
    "this box": THIS_MACHINE,
    "this server": THIS_MACHINE,
    "this laptop": THIS_MACHINE,
    "this pc": THIS_MACHINE,
    "this mac": THIS_MACHINE,
    "my machine": THIS_MACHINE,
    "my computer": THIS_MACHINE,
    "my pc": THIS_MACHINE,
    "my laptop": THIS_MACHINE,
    "my mac": THIS_MACHINE,
    "my gpu": THIS_MACHINE,
    "my cpu": CPU,
    "this gpu": THIS_MACHINE,
    "here": THIS_MACHINE,
    "localhost": THIS_MACHINE,
    "cpu": CPU,
    "cpus": CPU,
    "cpu only": CPU,
    "the cpu": CPU,
    "this cpu": CPU,
}

COUNT_WORDS = {
    "a": 1,
    "an": 1,
    "one": 1,
    "single": 1,
    "two": 2,
    "dual": 2,
    "twin": 2,
    "a pair of": 2,
    "pair of": 2,
    "a couple of": 2,
    "couple of": 2,
    "a single": 1,
    "just one": 1,
    "only one": 1,
    "three": 3,
    "triple": 3,
    "four": 4,
    "quad": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "octa": 8,
    "ten": 10,
    "twelve": 12,
    "sixteen": 16,
}

OBJECTIVES = {
    "quality": "best quality|highest quality|max quality|quality first|quality|best accuracy|most accurate",
    "speed": "fastest|max speed|best speed|speed first|speed|fast|lowest latency|quickest",
    "memory": "smallest|least memory|lowest memory|min memory|minimum memory|memory first",
    "balanced": "balanced|balance",
}

ENGINES = {
    "vllm": "vllm|v-llm",
    "tensorrt-llm": r"tensorrt[- _]?llm|trt[- _]?llm|tensorrt",
    "sglang": "sglang|sg-lang",
    "exllamav3": r"exllama(?: ?v?3)?|exl3(?![- _]?\d)",
    "llama.cpp": r"llama[. _-]?cpp|llama-server|llamacpp",
    "ollama": "ollama",
    "transformers": "transformers|hf transformers|huggingface transformers|hugging face",
    "mlx": r"mlx(?:[- ]lm)?",
}

TASKS = {
    "coding": "coding|code|programming|software",
    "math": "math|maths|mathematics|reasoning",
    "chat": "chat|chatting|a chatbot|chatbots?|conversations?",
    "multilingual": "multilingual(?: use)?|translation|translating",
    "general": "general(?: use)?|everything",
}

KV_DTYPES = {
    "auto": "auto",
    "f16": "f16|fp16|float16",
    "bf16": "bf16|bfloat16",
    "fp8": "fp8",
    "fp8_e4m3": "fp8[_-]e4m3|e4m3",
    "fp8_e5m2": "fp8[_-]e5m2|e5m2",
    "q8_0": "q8_0|q8",
    "q4_0": "q4_0|q4",
}

METHODS = {
    "rtn": "rtn",
    "gptq": "gptq",
    "awq": "awq",
    "autoround": "auto-?round",
    "smoothquant+gptq": r"smoothquant(?:\+gptq)?",
    "imatrix": "imatrix",
    "qlora": "qlora",
    "qat": "qat",
}

WIDTH_SCHEMES: dict[str, tuple[str, ...]] = {
    "16": ("BF16", "F16"),
    "8": ("FP8_DYNAMIC", "FP8_STATIC", "FP8_BLOCK", "W8A8", "W8A16", "Q8_0", "EXL3_8.0bpw"),
    "6": ("Q6_K", "EXL3_6.0bpw"),
    "5": ("Q5_0", "Q5_1", "Q5_K_S", "Q5_K_M", "EXL3_5.0bpw"),
    "4": (
        "W4A16",
        "NVFP4",
        "NVFP4A16",
        "MXFP4",
        "NF4",
        "Q4_0",
        "Q4_1",
        "Q4_K_S",
        "Q4_K_M",
        "IQ4_XS",
        "IQ4_NL",
        "EXL3_4.0bpw",
    ),
    "3": ("W3A16", "Q3_K_S", "Q3_K_M", "Q3_K_L", "IQ3_XXS", "IQ3_XS", "IQ3_S", "IQ3_M", "EXL3_3.0bpw"),
    "2": ("W2A16", "Q2_K", "Q2_K_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "EXL3_2.0bpw"),
}
"""What a width alone asks for: every scheme of that nominal width."""

GROUP_WORDS: dict[str, tuple[str, ...]] = {
    "fp8": ("FP8_DYNAMIC", "FP8_STATIC", "FP8_BLOCK"),
    "int8": ("W8A8", "W8A16"),
    "int4": ("W4A16",),
    "gguf": tuple(sorted(name for name in GGUF_TYPES if re.fullmatch(r"(?:Q[3-8]|IQ[34])_[A-Z\d_]+", name))),
    "bf16": ("BF16", "F16"),
    "bfloat16": ("BF16", "F16"),
    "fp16": ("BF16", "F16"),
    "f16": ("BF16", "F16"),
    "float16": ("BF16", "F16"),
    "full precision": ("BF16", "F16"),
    "unquantized": ("BF16", "F16"),
}
"""Words that stand for several schemes."""

FILLERS = frozenset({"please", "plan", "quantize", "quantise", "serve", "run", "deploy", "the", "a", "an"})
"""Words before the model that say nothing."""

KNOWN_OPTIONS = (
    "`context 32k`, `16 users`, `best quality`, `fastest`, `smallest`, `with vllm`, `for coding`, `fp8 kv`, "
    "`in 4-bit`"
)
_FREQUENT_WORDS = "context tokens users concurrency quality fastest smallest balanced using machine"
VOCABULARY = (*_FREQUENT_WORDS.split(), *ENGINES, *TASKS)
"""What a misspelt word is compared with."""


CONNECTORS = frozenset({"for", "on"})
"""Words that lead to the devices."""

COURTESY = frozenset({"please", "thanks"})
"""Words that are skipped anywhere."""

GLUE = frozenset({"and", "with", "or", "using", "in", "at"})
"""Words between options that say nothing alone."""

OPTION_NAMES = {
    "context_tokens": "the context",
    "concurrency": "how many at once",
    "objective": "the objective",
    "engine": "the engine",
    "task": "the task",
    "kv_dtype": "the KV cache's type",
    "method": "the method",
}

PLAIN_CHARACTERS = str.maketrans(
    {
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{MULTIPLICATION X}": "x",
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    }
)

NUMBER = r"(?P<number>[-+]?\d{1,3}(?:,\d{3})+|[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?(?: ?[km]i?b?)?)"
"""A number as people type it: `32k`, `32,768`, `1e9`, `-1`."""
