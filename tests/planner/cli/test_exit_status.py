"""Awkward command lines: one clear sentence and the right exit status."""

import json

import pytest

CASES = [
    # arguments, exit status, code, what the sentence names
    (["qwen-72b for 2x A600"], 2, "gpu.unknown", "A6000"),
    (["qwen-72b for 2x Banana 9000"], 2, "gpu.unknown", "Banana"),
    (["qwen-72b for 2x RTX 6000"], 4, "gpu.ambiguous", "RTX 6000"),
    (["nothing-9b for 2x A6000"], 5, "model.unknown", "nothing-9b"),
    (["no-one/no-model for 2x A6000"], 5, "model.unknown", "no-one/no-model"),
    (["/nowhere/at/all for cpu"], 5, "model.no_folder", "/nowhere/at/all"),
    (["qwen-72b for 0x A6000"], 2, "request.count", "0"),
    (["qwen-72b for -1x A6000"], 2, "request.count", "-1"),
    (["qwen-72b for 2.5x A6000"], 2, "request.count", "2.5"),
    (["qwen-72b for 5000x A6000"], 2, "request.count", "5000"),
    (["qwen-72b for 2x A6000, context 0"], 2, "request.context", "0"),
    (["qwen-72b for 2x A6000, context -5"], 2, "request.context", "-5"),
    (["qwen-72b for 2x A6000, context 10m"], 2, "context.beyond_maximum", "10,485,760"),
    (["qwen-72b for 2x A6000", "--context", "10m"], 2, "context.beyond_maximum", "10,485,760"),
    (["qwen-72b for 2x A6000", "--concurrency", "0"], 2, "request.concurrency", "0"),
    (["qwen-72b for 2x A6000", "--concurrency", "-3"], 2, "request.concurrency", "-3"),
    (["qwen-72b for 2x A6000", "--engine", "notepad"], 2, "request.not_understood", "notepad"),
    (["qwen-72b for 2x A6000 with mlx"], 2, "engine.no_recipe", "mlx"),
    (["qwen-72b for 2x A6000 in W5A17"], 2, "request.scheme", "W5A17"),
    (["qwen-72b for 2x A6000", "--kv-dtype", "int2"], 2, "request.not_understood", "int2"),
    (["qwen-72b"], 2, "request.no_device", "for"),
    ([""], 2, "request.empty", "bitwright plan"),
    ([], 2, "request.empty", "bitwright plan"),
    (["   "], 2, "request.empty", "nothing was asked"),
    (["for 2x A6000"], 2, "request.no_model", "model"),
    (["qwen-72b for 2x A6000 and this machine"], 2, "target.mixed", "This machine"),
    (["x" * 5000], 2, "request.too_long", "5000"),
    (["qwen-72b for 2x A6000\x1b[31m"], 2, "request.not_understood", "control"),
    (["Llama-3_3-Nemotron-Super-49B-v1 for 2x A6000"], 2, "model.layout_not_covered", "block_configs"),
]
IDS = ["-".join(arguments)[:40] or "nothing" for arguments, *_ in CASES]


@pytest.mark.parametrize(("arguments", "status", "code", "named"), CASES, ids=IDS)
def test_an_awkward_plan_is_refused_in_one_sentence(bitwright, arguments, status, code, named):
    ran = bitwright("plan", *arguments)
    assert (ran.status, ran.out) == (status, "")
    first = ran.err.splitlines()[0]
    assert first.startswith("error: ")
    assert f"[{code}]" in first
    assert named in ran.err
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(("arguments", "status", "code", "named"), CASES[:4], ids=IDS[:4])
def test_json_says_the_same_as_one_object_on_standard_output(bitwright, arguments, status, code, named):
    ran = bitwright("plan", *arguments, "--json")
    error = json.loads(ran.out)["error"]
    assert (ran.status, error["code"], ran.err) == (status, code, "")
    assert named in json.dumps(error)


def test_a_misspelt_card_gets_a_did_you_mean(bitwright):
    error = json.loads(bitwright("plan", "qwen-72b for 2x A600", "--json").out)["error"]
    assert any("A6000" in suggestion for suggestion in error["suggestions"])


def test_an_ambiguous_card_lists_its_choices(bitwright):
    error = json.loads(bitwright("plan", "qwen-72b for RTX 6000", "--json").out)["error"]
    assert any("Ada" in choice for choice in error["choices"])
    assert len(error["choices"]) >= 3


def test_when_nothing_fits_the_status_is_3_and_the_answer_says_what_would(bitwright):
    ran = bitwright("plan", "qwen-72b for T4", "--json")
    decision = json.loads(ran.out)
    assert (ran.status, decision["chosen"]) == (3, None)
    assert decision["would_fit"]
    assert decision["decision_id"]
    printed = bitwright("plan", "qwen-72b for T4")
    assert printed.status == 3
    assert "would do" in printed.out


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        pytest.param(["decisions", "show", "d-nothing"], 2, "decision.unknown", id="show"),
        pytest.param(["replay", "d-nothing"], 2, "decision.unknown", id="replay"),
        pytest.param(["audit", "DROP TABLE decisions"], 2, "audit.not_select", id="audit"),
        pytest.param(["audit", "SELECT * FROM read_csv('/etc/passwd')"], 2, "audit.query_failed", id="file"),
        pytest.param(["estimate"], 2, "estimate.missing_field", id="estimate-of-nothing"),
        pytest.param(
            ["estimate", "qwen3-8b", "--scheme", "W5A17", "--on", "4090"], 2, "scheme.unknown", id="width"
        ),
        pytest.param(
            ["evidence", "predict", "nothing-9b", "--scheme", "W4A16", "--benchmark", "mmlu"],
            5,
            "model.unknown",
            id="prediction-of-an-unknown-model",
        ),
        pytest.param(
            ["executor", "--server", "localhost:8420"], 2, "service.bad_address", id="executor-without-http"
        ),
    ],
)
def test_other_commands_refuse_the_same_way(bitwright, arguments, status, code):
    ran = bitwright(*arguments)
    assert (ran.status, ran.out) == (status, "")
    assert f"[{code}]" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["frobnicate"], id="no-such-command"),
        pytest.param(["plan", "--frobnicate"], id="no-such-option"),
        pytest.param(["plan", "qwen-72b for A6000", "--objective", "best"], id="no-such-objective"),
        pytest.param(["plan", "qwen-72b for A6000", "--concurrency", "many"], id="no-number"),
        pytest.param(["audit"], id="argument-missing"),
        pytest.param(["decisions", "--limit", "0"], id="limit-zero"),
    ],
)
def test_wrong_usage_is_status_2(bitwright, arguments):
    ran = bitwright(*arguments)
    assert ran.status == 2
    assert "Traceback" not in ran.err


def break_checkpoint(folder, how):
    if how == "lies":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 48}))
    elif how == "config cut off":
        (folder / "config.json").write_text((folder / "config.json").read_text()[:50])
    elif how == "weights cut off":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    elif how == "weights empty":
        (folder / "model.safetensors").write_bytes(b"")
    elif how == "pickled":
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    elif how == "shard missing":
        index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param("lies", "model.config_lies", id="config-lies"),
        pytest.param("config cut off", "model.config_unreadable", id="config-cut-off"),
        pytest.param("weights cut off", "model.shard_unreadable", id="weights-cut-off"),
        pytest.param("weights empty", "model.shard_unreadable", id="weights-empty"),
        pytest.param("pickled", "model.no_safetensors", id="pickled-only"),
        pytest.param("shard missing", "model.shard_missing", id="shard-missing"),
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_status_5(bitwright, tiny_checkpoint, how, code):
    break_checkpoint(tiny_checkpoint, how)
    ran = bitwright("plan", f'"{tiny_checkpoint}" for cpu')
    assert (ran.status, ran.out) == (5, "")
    assert f"[{code}]" in ran.err


def test_an_empty_shard_is_named_and_said_to_be_empty(bitwright, tiny_checkpoint):
    break_checkpoint(tiny_checkpoint, "weights empty")
    ran = bitwright("plan", f'"{tiny_checkpoint}" for cpu')
    assert f"{tiny_checkpoint}/model.safetensors is cut off or no safetensors file: it is empty" in ran.err


def test_a_folder_with_spaces_is_planned_when_it_is_quoted(bitwright, tiny_checkpoint):
    spaced = tiny_checkpoint.rename(tiny_checkpoint.parent / "my tiny model")
    ran = bitwright("plan", f'"{spaced}" for cpu', "--json")
    assert ran.status == 0
    assert json.loads(ran.out)["model"]["path"] == str(spaced)
