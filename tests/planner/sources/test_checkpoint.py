"""A checkpoint is believed when its config and its headers tell one story, and refused with what disagrees."""

import json
import struct

import pytest

from planner.domain.errors import UnknownModel
from planner.domain.facts.model import Traits
from planner.domain.facts.tensors import count_described_parameters
from planner.sources.catalog import Catalog
from planner.sources.checkpoint import gguf_metadata_bytes, read_checkpoint

PARAMETERS = 90_432  # worked out in conftest.py

TRAITS = {"LlamaForCausalLM": Traits()}


@pytest.mark.parametrize("shards", [1, 3])
def test_reads_config_and_headers(a_checkpoint, shards):
    facts = read_checkpoint(a_checkpoint(shards=shards), TRAITS)
    assert (facts.params_total, facts.weights_bytes) == (PARAMETERS, 2 * PARAMETERS)
    assert (facts.num_kv_heads, facts.head_dim, facts.attention) == (2, 16, "gqa")
    assert facts.path


def test_a_folder_with_spaces_is_a_folder_like_any_other(a_checkpoint):
    folder = a_checkpoint("my tiny model")
    assert read_checkpoint(folder, TRAITS).path == str(folder)
    assert (
        Catalog([], TRAITS, folder.parent / "cache").find_model(str(folder)).model.params_total == PARAMETERS
    )


def test_folders_of_one_relative_name_are_different_models_and_shown_as_typed(a_checkpoint, monkeypatch):
    matches = []
    for home in ("one", "other"):
        folder = a_checkpoint(f"{home}/m")
        monkeypatch.chdir(folder.parent)
        matches.append(Catalog([], TRAITS, folder).find_model("./m"))
        assert matches[-1].model.model_id == str(folder.resolve())
    assert [match.typed for match in matches] == ["m", "m"]
    assert matches[0].model.model_id != matches[1].model.model_id


@pytest.mark.parametrize("words", [".", "./", "../m/.", "../m/inner/.."])
def test_a_folder_typed_without_its_name_is_shown_with_it(a_checkpoint, monkeypatch, words):
    folder = a_checkpoint("m")
    (folder / "inner").mkdir()
    monkeypatch.chdir(folder)
    typed = Catalog([], TRAITS, folder).find_model(words).typed
    assert typed.rpartition("/")[2] == "m"


def break_file(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("spoil", "code", "named"),
    [
        pytest.param(
            lambda f: (f / "config.json").unlink(), "model.no_config", "config.json", id="no-config"
        ),
        pytest.param(
            lambda f: break_file(f, "config.json", lambda b: b[: len(b) // 2]),
            "model.config_unreadable",
            "cut off",
            id="config-cut-off",
        ),
        pytest.param(
            lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"),
            "model.config_unreadable",
            "config.json",
            id="config-is-no-text",
        ),
        pytest.param(
            lambda f: (f / "config.json").write_text("[1, 2]"),
            "model.config_unreadable",
            "object",
            id="config-is-a-list",
        ),
        pytest.param(
            lambda f: (f / "config.json").write_text("[" * 100_000),
            "model.config_unreadable",
            "config.json",
            id="config-nested-without-end",
        ),
        pytest.param(
            lambda f: break_file(f, "model.safetensors", lambda b: b[:-100]),
            "model.shard_unreadable",
            "its header says",
            id="shard-cut-off",
        ),
        pytest.param(
            lambda f: break_file(f, "model.safetensors", lambda b: b[:5]),
            "model.shard_unreadable",
            "model.safetensors",
            id="shard-of-five-bytes",
        ),
        pytest.param(
            lambda f: break_file(f, "model.safetensors", lambda b: b"\xff" * 8 + b[8:]),
            "model.shard_unreadable",
            "claims",
            id="header-larger-than-the-file",
        ),
        pytest.param(
            lambda f: break_file(f, "model.safetensors", lambda b: b[:8] + b"x" * (len(b) - 8)),
            "model.shard_unreadable",
            "model.safetensors",
            id="header-is-no-json",
        ),
        pytest.param(
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "model.no_safetensors",
            "Pickled",
            id="pickled-weights-only",
        ),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_what_is_wrong(a_checkpoint, spoil, code, named):
    folder = a_checkpoint()
    spoil(folder)
    with pytest.raises(UnknownModel, match=named) as caught:
        read_checkpoint(folder, TRAITS)
    assert caught.value.code == code
    assert str(folder) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"num_hidden_layers": 3}, id="layers"),
        pytest.param({"hidden_size": 128}, id="width"),
        pytest.param({"intermediate_size": 130}, id="feed-forward"),
        pytest.param({"vocab_size": 300}, id="vocabulary"),
        pytest.param({"tie_word_embeddings": False}, id="tie"),
        pytest.param({"num_key_value_heads": None}, id="kv-heads-left-out"),
    ],
)
def test_a_config_that_lies_is_refused_with_both_counts(a_checkpoint, lie):
    with pytest.raises(UnknownModel) as caught:
        read_checkpoint(a_checkpoint(**lie), TRAITS)
    assert caught.value.code == "model.config_lies"
    assert "90,432" in caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0, id="zero"),
        pytest.param(-2, id="negative"),
        pytest.param("two", id="a-word"),
        pytest.param(2.5, id="a-fraction"),
        pytest.param(True, id="a-truth-value"),
        pytest.param([2], id="a-list"),
    ],
)
@pytest.mark.parametrize("name", ["hidden_size", "num_attention_heads", "num_hidden_layers"])
def test_a_field_that_is_no_count_is_refused_by_name(a_checkpoint, name, value):
    with pytest.raises(UnknownModel, match=name) as caught:
        read_checkpoint(a_checkpoint(**{name: value}), TRAITS)
    assert caught.value.code == "model.config_unreadable"


def test_a_missing_shard_is_named(a_checkpoint):
    folder = a_checkpoint(shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UnknownModel, match="lacks 1 of 3 shards: model-00002-of-00003") as caught:
        read_checkpoint(folder, TRAITS)
    assert caught.value.code == "model.shard_missing"


@pytest.mark.parametrize(
    "index",
    [
        pytest.param('{"weight_map": [1]}', id="map-is-a-list"),
        pytest.param('{"weight_map": {"a": 7}}', id="shard-is-a-number"),
        pytest.param('{"weight_map": {"a": "../../etc/passwd"}}', id="shard-elsewhere"),
        pytest.param('{"weight', id="cut-off"),
    ],
)
def test_an_index_that_cannot_be_is_refused(a_checkpoint, index):
    folder = a_checkpoint(shards=2)
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(UnknownModel):
        read_checkpoint(folder, TRAITS)


def test_there_is_no_such_folder(tmp_path):
    with pytest.raises(UnknownModel) as caught:
        read_checkpoint(tmp_path / "nowhere", TRAITS)
    assert caught.value.code == "model.no_folder"


def test_the_tokenizers_bytes_in_a_gguf_header_are_counted(tmp_path):
    tokenizer = {
        "model": {"vocab": {"a": 0, "bc": 1}, "merges": ["a b", ["c", "d"]]},
        "added_tokens": [{"content": "<s>"}],
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    # Tokens 1 + 2 + 3 bytes, each with an 8-byte length and a 4-byte type; merges 3 + 3 with lengths.
    assert gguf_metadata_bytes(tmp_path) == (1 + 2 + 3) + 3 * 12 + (3 + 3) + 2 * 8
    assert gguf_metadata_bytes(tmp_path / "nowhere") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"model": 3}', '{"added_tokens": [{}]}'])
def test_a_tokenizer_that_cannot_be_read_is_refused_in_a_sentence(a_checkpoint, text):
    folder = a_checkpoint()
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(UnknownModel, match=r"tokenizer\.json") as caught:
        read_checkpoint(folder, TRAITS)
    assert caught.value.code == "model.tokenizer_unreadable"


@pytest.mark.parametrize("shape", ["[-64, 256]", '["64"]', "7", "null"])
def test_a_shape_that_is_no_list_of_counts_is_refused(a_checkpoint, shape):
    folder = a_checkpoint()
    header = f'{{"a": {{"dtype": "BF16", "shape": {shape}, "data_offsets": [0, 0]}}}}'.encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(UnknownModel) as caught:
        read_checkpoint(folder, TRAITS)
    assert caught.value.code == "model.shard_unreadable"


def test_a_config_alone_is_sized_from_its_fields(a_checkpoint):
    """Somebody wants to know before the weights are fetched."""
    folder = a_checkpoint()
    (folder / "model.safetensors").unlink()
    facts = read_checkpoint(folder, TRAITS)
    assert (facts.params_total, facts.weights_bytes) == (PARAMETERS, None)
    assert "no weights" in facts.source


def test_an_architecture_that_nobody_can_size_is_refused_by_name(a_checkpoint):
    folder = a_checkpoint(architectures=["StrangeForCausalLM"])
    with pytest.raises(UnknownModel, match=r"StrangeForCausalLM.*no two layers alike"):
        read_checkpoint(folder, {"StrangeForCausalLM": Traits(refused="no two layers alike")})


def test_towers_and_layers_of_prediction_are_counted_apart(a_checkpoint):
    """A tower is loaded beside the model, layers beyond the last are not; the names say which is which."""
    more = {
        "model.visual.blocks.0.attn.qkv.weight": [96, 32],
        "model.layers.2.eh_proj.weight": [64, 128],
        "mtp.fc.weight": [64, 64],
    }
    facts = read_checkpoint(a_checkpoint(more=more), TRAITS)
    assert facts.params_total == PARAMETERS + 96 * 32 + 64 * 128 + 64 * 64
    assert (facts.vision_params, facts.extra_params) == (96 * 32, 96 * 32 + 64 * 128 + 64 * 64)
    assert count_described_parameters(facts) == PARAMETERS + 96 * 32


def test_a_quantized_checkpoint_is_counted_by_its_fields(a_checkpoint):
    """Its files hold packed weights and scales, which are not parameters."""
    more = {
        "model.layers.0.mlp.up_proj.weight_scale_inv": [1, 1],
        "model.layers.0.mlp.up_proj.qzeros": [4, 16],
    }
    facts = read_checkpoint(a_checkpoint(more=more, quantization_config={"quant_method": "fp8"}), TRAITS)
    assert (facts.params_total, facts.native_dtype) == (PARAMETERS, "fp8")
