"""Tables become facts, units and all; a bad row is named by file and line."""

import shutil
from pathlib import Path

import pytest

from planner.domain.errors import BadInput
from planner.sources.tables import read_accelerators, read_models, read_spellings

DATA = Path(__file__).parents[3] / "data"


def test_reads_an_accelerator_with_its_units():
    a6000 = next(
        row for row in read_accelerators(DATA / "accelerators.csv") if row.name == "NVIDIA RTX A6000"
    )
    assert a6000.bandwidth_bytes_per_s == 768e9
    assert a6000.visible_bytes == 49140 << 20  # nvidia-smi shows 49,140 MiB
    assert (a6000.sm, a6000.memory_gib, a6000.kind) == (86, 48, "gpu")


def test_takes_the_rate_with_32_bit_accumulation():
    cards = {row.name: row for row in read_accelerators(DATA / "accelerators.csv")}
    # 330.3 TFLOP/s with FP16 accumulation, 165.2 with FP32
    assert cards["NVIDIA GeForce RTX 4090"].fp16_flops == pytest.approx(165.2e12)
    assert cards["NVIDIA T4"].fp16_flops == pytest.approx(65.1e12)  # Turing has no bf16


def test_reads_a_model():
    models = {model.model_id: model for model in read_models(DATA / "models.csv")}
    qwen = models["Qwen/Qwen2.5-72B"]
    assert (qwen.intermediate_size, qwen.params_total, qwen.qkv_bias) == (29568, 72_706_203_648, True)
    assert models["local/smollm2-135m-instruct-from-q4_1"].family == "SmolLM2-demo"


def test_flags_what_a_row_does_not_say(tmp_path):
    text = (DATA / "models.csv").read_text(encoding="utf-8")
    shutil.copy(DATA / "architectures.csv", tmp_path)
    lines = [line for line in text.splitlines() if line.startswith(("repo,", "Qwen/Qwen2.5-7B,"))]
    untied = lines[1].replace(",152064,false,", ",152064,,", 1)
    (tmp_path / "models.csv").write_text("\n".join([*lines, untied]), encoding="utf-8")
    said, unsaid = read_models(tmp_path / "models.csv")
    assert "tie_embeddings_missing" not in said.flags
    assert "tie_embeddings_missing" in unsaid.flags


def test_every_row_has_a_source():
    assert [row.name for row in read_accelerators(DATA / "accelerators.csv") if not row.source] == []
    assert [model.model_id for model in read_models(DATA / "models.csv") if not model.source] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("kind,spelling\nscheme,x\n", "canonical", id="column-missing"),
        pytest.param('kind,spelling,canonical,note\nscheme,"x', "line 1: unexpected end", id="quote-open"),
    ],
)
def test_names_file_and_line_of_a_bad_row(tmp_path, text, named):
    (tmp_path / "spellings.csv").write_text(text)
    with pytest.raises(BadInput, match=named) as caught:
        read_spellings(tmp_path / "spellings.csv")
    assert caught.value.code == "data.row"
    assert "spellings.csv" in caught.value.message


def test_names_a_cell_that_is_no_number(tmp_path):
    shutil.copy(DATA / "architectures.csv", tmp_path)
    lines = (DATA / "models.csv").read_text(encoding="utf-8").splitlines()
    broken = lines[1].replace(",2048,", ",two thousand,", 1)
    (tmp_path / "models.csv").write_text("\n".join([lines[0], broken]), encoding="utf-8")
    with pytest.raises(BadInput, match=r"models\.csv, line 2.*two thousand"):
        read_models(tmp_path / "models.csv")
