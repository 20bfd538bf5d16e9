"""What the evidence calls things, and what cannot be told."""

import csv

import pytest

from planner.domain.facts.spellings import SchemeReading, Spelling, Spellings, normalize, read_scheme


@pytest.mark.parametrize(
    ("text", "scheme", "group_size"),
    [
        pytest.param("FP8-dynamic", "FP8_DYNAMIC", None, id="hyphen"),
        pytest.param("fp8_block", "FP8_BLOCK", None, id="lower-case"),
        pytest.param("FP16", "F16", None, id="fp16"),
        pytest.param("F16", "F16", None, id="f16"),
        pytest.param("bfloat16", "BF16", None, id="bfloat16"),
        pytest.param("W4A16", "W4A16", None, id="widths"),
        pytest.param("W4A16 g128", "W4A16", 128, id="group"),
        pytest.param("w4a8-g128", "W4A8", 128, id="group-glued"),
        pytest.param("GPTQ-Int4", "W4A16", None, id="gptq"),
        pytest.param("GPTQ-Int8", "W8A16", None, id="gptq-8"),
        pytest.param("GPTQ-4bit-32g-actorder", "W4A16", 32, id="act-order"),
        pytest.param("AWQ-4bit-128g", "W4A16", 128, id="awq"),
        pytest.param("w3g128", "W3A16", 128, id="w3g128"),
        pytest.param("int4 g32", "W4A16", 32, id="int4"),
        pytest.param("q4_k_m", "Q4_K_M", None, id="gguf"),
        pytest.param("Q4_K", "Q4_K_M", None, id="gguf-default"),
        pytest.param("IQ4_K_R4", "IQ4_K", None, id="repacked"),
        pytest.param("UD-Q4_K_XL", "UD-Q4_K_XL", None, id="unsloth"),
        pytest.param("EXL3-4.00bpw", "EXL3_4.0bpw", None, id="exl3"),
        pytest.param("EXL2 2.55 bpw", "EXL2_2.55bpw", None, id="exl2"),
        pytest.param("EXL2-4.125b", "EXL2_4.125bpw", None, id="exl2-short"),
        pytest.param("NVFP4", "NVFP4", None, id="nvfp4"),
    ],
)
def test_reads_a_scheme_by_rule(text, scheme, group_size):
    assert read_scheme(text) == SchemeReading(scheme=scheme, group_size=group_size)


@pytest.mark.parametrize(
    "text", ["W5A17", "W17A16", "", "int8", "Q9_K", "W4A16+W8 mixed", "gguf", "4090", "W4A16 foo"]
)
def test_what_names_no_scheme_is_none(text):
    assert read_scheme(text) is None


@pytest.mark.parametrize(
    ("kind", "text", "canonical"),
    [
        pytest.param("scheme", "FP8 (block 128x128 w8a8)", "FP8_BLOCK", id="scheme"),
        pytest.param("scheme", "MXFP4 (file labelled F16)", "MXFP4_F16", id="mislabelled-file"),
        pytest.param("scheme", "int8", "W8A16", id="by-table"),
        pytest.param("scheme", "W4A16+W8 mixed", None, id="mix"),
        pytest.param("scheme", "W16A16KV8", None, id="kv-cache"),
        pytest.param("scheme", "W5A17", None, id="no-width"),
        pytest.param("method", "gguf", "gguf", id="rtn-or-imatrix"),
        pytest.param("method", "modelopt-fp8", "rtn", id="method"),
        pytest.param("method", "awq/gptq", None, id="two-methods"),
        pytest.param("benchmark", "vqa-v2", "vqav2", id="one-benchmark"),
        pytest.param("benchmark", "humaneval", "humaneval", id="humaneval"),
        pytest.param("benchmark", "humaneval+", "humaneval+", id="humaneval-plus"),
        pytest.param("benchmark", "MMLU Pro", "mmlu-pro", id="case-and-space"),
        pytest.param("engine", "hf (lm-eval)", "transformers", id="engine"),
        pytest.param("engine", "TRT-LLM", "tensorrt-llm", id="people's-engine"),
        pytest.param("engine", "vllm/trt-llm", None, id="two-engines"),
        pytest.param("gpu", "Pi CM5 - 16GB (Nvidia RTX 4090)", "NVIDIA GeForce RTX 4090", id="host-named"),
        pytest.param("gpu", "NVIDIA GeForce RTX 3090+NVIDIA RTX A4000", None, id="mix-of-cards"),
        pytest.param("gpu", "A100", None, id="which-a100"),
        pytest.param("gpu", "nvidia rtx a6000", "NVIDIA RTX A6000", id="canonical-itself"),
        pytest.param("colour", "red", None, id="no-such-kind"),
    ],
)
def test_reads_a_spelling(spellings, kind, text, canonical):
    assert spellings.read(kind, text) == canonical


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(
            "method", "none rtn gptq awq autoround smoothquant+gptq imatrix qat qlora native", id="methods"
        ),
        pytest.param(
            "engine", "vllm tensorrt-llm sglang exllamav3 llama.cpp ollama transformers mlx", id="engines"
        ),
        pytest.param(
            "scheme",
            "BF16 F16 FP8_DYNAMIC FP8_BLOCK W8A8 W8A16 W4A16 W3A16 W2A16 NVFP4 MXFP4 Q2_K Q8_0 NF4 EXL3_4.0bpw",
            id="schemes",
        ),
    ],
)
def test_the_words_of_the_design_mean_themselves(spellings, kind, words):
    assert [spellings.read(kind, word) for word in words.split()] == words.split()


def test_a_spelling_carries_its_group_size(spellings):
    assert spellings.read_scheme("GPTQ-Int4 g32 act=yes") == SchemeReading(scheme="W4A16", group_size=32)
    assert spellings.read_scheme("W5A17") is None


def test_says_why_a_spelling_cannot_be_told(spellings):
    assert spellings.note("gpu", "RTX 4090 + RTX 3090 Ti") == "mix of cards"
    assert spellings.note("gpu", "never heard of") == ""


def test_a_row_that_cannot_be_told_has_a_reason(data):
    with (data / "spellings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["spelling"] for row in rows if not row["canonical"] and not row["note"]] == []


def test_every_card_in_the_table_exists(data, accelerators):
    names = {row.name for row in accelerators} | {"cpu"}
    with (data / "spellings.csv").open(encoding="utf-8", newline="") as file:
        cards = {row["canonical"] for row in csv.DictReader(file) if row["kind"] == "gpu"} - {""}
    assert cards - names == set()


@pytest.mark.parametrize(
    ("kind", "file", "part"),
    [
        # Parts of the rows with anything in the cell that get a word; the rest are mixes or say nothing.
        pytest.param("scheme", "quality.csv", 0.96, id="schemes"),
        pytest.param("method", "speed.csv", 0.99, id="methods"),
        pytest.param("benchmark", "quality.csv", 1.0, id="benchmarks"),
        pytest.param("engine", "speed.csv", 0.99, id="engines"),
        pytest.param("gpu", "speed.csv", 0.95, id="cards"),
        pytest.param("gpu", "memory_truth.csv", 0.85, id="cards-of-memory"),
    ],
)
def test_reads_most_of_the_evidence(spellings, data, kind, file, part):
    with (data / "evidence" / file).open(encoding="utf-8", newline="") as table:
        cells = [row[kind] for row in csv.DictReader(table) if row[kind]]
    read = sum(spellings.read(kind, cell) is not None for cell in cells)
    assert read / len(cells) >= part


def test_every_card_of_the_evidence_is_read_or_says_why_not(spellings, data, cards):
    """Over two hundred spellings in six tables: a card of the table, a name that resolves, or a reason."""
    cells = set()
    for path in (data / "evidence").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as table:
            cells |= {row["gpu"] for row in csv.DictReader(table) if row.get("gpu")}
    assert len(cells) > 200
    unread = {
        cell for cell in cells if spellings.read("gpu", cell) is None and not spellings.note("gpu", cell)
    }
    assert unread == set()
    known = {spellings.read("gpu", cell) for cell in cells} - {None, "cpu"}
    assert {name for name in known if cards.resolve(name).accelerator.name != name} == set()


def test_the_table_outranks_the_rule():
    rows = [Spelling(kind="scheme", text="W4A16", canonical=None, note="not in this house")]
    assert Spellings(rows).read("scheme", "w4a16") is None


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        pytest.param("FP8-dynamic", "fp8_dynamic", True, id="separators"),
        pytest.param("EXL2-4.0bpw", "EXL2 4.0 bpw", True, id="dots-stay"),
        pytest.param("llama.cpp", "llama-cpp", True, id="dot-of-a-name"),
        pytest.param("humaneval", "humaneval+", False, id="plus-stays"),
        pytest.param("EXL2-4.5bpw", "EXL2-45bpw", False, id="dot-of-a-number"),
    ],
)
def test_normalizes(one, other, are_one):
    assert (normalize(one) == normalize(other)) is are_one
