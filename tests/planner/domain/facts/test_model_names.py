"""Which model people mean, and which they do not."""

import pytest

from planner.domain.errors import Ambiguous, BadInput, BitwrightError, UnknownModel
from planner.domain.facts.model_names import names_a_folder, resolve_model
from planner.domain.facts.model_words import cut_words


@pytest.mark.parametrize(
    ("words", "model_id"),
    [
        pytest.param("qwen-72b", "Qwen/Qwen2.5-72B", id="newest-of-four"),
        pytest.param("qwen72b", "Qwen/Qwen2.5-72B", id="glued"),
        pytest.param("Qwen 72 B", "Qwen/Qwen2.5-72B", id="spaced"),
        pytest.param("Qwen/Qwen-72B", "Qwen/Qwen-72B", id="full-id-is-exact"),
        pytest.param("qwen/qwen-72b", "Qwen/Qwen-72B", id="full-id-in-lower-case"),
        pytest.param("qwen2-72b", "Qwen/Qwen2-72B", id="release-said"),
        pytest.param("qwen27b", "Qwen/Qwen3.6-27B", id="27b-is-a-size"),
        pytest.param("qwen2-7b", "Qwen/Qwen2-7B", id="2-is-a-release"),
        pytest.param("qwen 3b", "Qwen/Qwen2.5-3B", id="3b-is-not-30b-a3b"),
        pytest.param("qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B", id="active-experts"),
        pytest.param("qwen coder 7b", "Qwen/Qwen2.5-Coder-7B", id="line-said"),
        pytest.param("qwen 7b", "Qwen/Qwen2.5-7B", id="line-not-said"),
        pytest.param("llama-3-8b", "meta-llama/Meta-Llama-3-8B", id="3-is-not-3.1"),
        pytest.param("llama 8b", "meta-llama/Llama-3.1-8B", id="llama-8b"),
        pytest.param("llama 70b", "meta-llama/Llama-3.3-70B-Instruct", id="llama-70b"),
        pytest.param("llama 3.3", "meta-llama/Llama-3.3-70B-Instruct", id="release-with-one-size"),
        pytest.param("mistral 7b", "mistralai/Mistral-7B-Instruct-v0.3", id="mistral"),
        pytest.param("mixtral 8x7b", "mistralai/Mixtral-8x7B-v0.1", id="mixtral"),
        pytest.param("gemma 2 9b", "google/gemma-2-9b", id="gemma"),
        pytest.param("phi-4", "microsoft/phi-4", id="phi-4"),
        pytest.param("deepseek-coder-v2", "deepseek-ai/DeepSeek-Coder-V2-Instruct", id="not-the-lite-one"),
        pytest.param("Meta-Llama-3.1-70B", "meta-llama/Llama-3.1-70B", id="meta-said"),
        pytest.param("CodeLlama-70b", "codellama/CodeLlama-70b-hf", id="codellama"),
        pytest.param("DeepSeek R1 BF16", "deepseek-ai/DeepSeek-R1", id="bf16-is-one-word"),
        pytest.param("phi 1.5", "microsoft/phi-1_5", id="underscore-is-a-dot"),
        pytest.param("gpt-oss-20b", "openai/gpt-oss-20b", id="gpt-oss"),
        pytest.param("deepseek r1", "deepseek-ai/DeepSeek-R1", id="not-its-distillations"),
        pytest.param("starcoder", "bigcode/starcoder", id="whole-name"),
        pytest.param("demo", "local/smollm2-135m-instruct-from-q4_1", id="demo"),
        pytest.param("hermes 8b", "NousResearch/Hermes-3-Llama-3.1-8B", id="words-left-out"),
        pytest.param("https://huggingface.co/Qwen/Qwen2.5-72B", "Qwen/Qwen2.5-72B", id="address"),
    ],
)
def test_finds_the_model(models, words, model_id):
    assert models.resolve(words).model.model_id == model_id


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        pytest.param("Qwen/Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-72B-Instruct", id="id-with-suffix"),
        pytest.param("qwen2.5-72b-instruct", "Qwen/Qwen2.5-72B-Instruct", id="words-with-suffix"),
        pytest.param("qwen2.5-72b", "Qwen/Qwen2.5-72B", id="bare"),
        pytest.param("llama-2-7b-chat", "meta-llama/Llama-2-7b-chat-hf", id="suffix-before-hf"),
        pytest.param("gemma-3-4b", "google/gemma-3-4b-it", id="catalogue's-own-suffix"),
        pytest.param("llama 70b", "meta-llama/Llama-3.3-70B-Instruct", id="only-tuned"),
    ],
)
def test_keeps_a_typed_suffix_and_adds_none(models, words, typed):
    assert models.resolve(words).typed == typed


def test_says_aloud_that_it_took_the_newest_and_lists_the_others(models):
    match = models.resolve("qwen-72b")
    assert match.note == "newest of 4 called qwen-72b"
    assert match.others == ("Qwen/Qwen2-72B", "Qwen/Qwen1.5-72B", "Qwen/Qwen-72B")


@pytest.mark.parametrize(
    ("words", "model_id"),
    [
        pytest.param("DeepSeek-R1-0528", "deepseek-ai/DeepSeek-R1", id="not-its-distillation"),
        pytest.param("DeepSeek-V3.1-Terminus", "deepseek-ai/DeepSeek-V3.1", id="a-word-for-a-date"),
        pytest.param("DeepSeek-V2-Chat-0628", "deepseek-ai/DeepSeek-V2", id="suffix-and-date"),
        pytest.param("deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-R1", id="publisher-typed"),
        pytest.param("Kimi-K2-Instruct-0905", "moonshotai/Kimi-K2-Instruct", id="kimi"),
        pytest.param("Qwen3-4B-Instruct-2507", "Qwen/Qwen3-4B", id="qwen"),
        pytest.param("Qwen3-235B-A22B-Thinking-2507", "Qwen/Qwen3-235B-A22B", id="thinking"),
        pytest.param("qwen3 30b 2507", "Qwen/Qwen3-30B-A3B", id="active-experts-left-out"),
    ],
)
def test_takes_a_later_release_for_the_shape_of_the_first_and_says_so(models, words, model_id):
    match = models.resolve(words)
    assert match.model.model_id == model_id
    assert f"later release of {model_id}" in match.note
    assert match.typed != model_id


@pytest.mark.parametrize(
    ("words", "tokens"),
    [("Qwen/Qwen3-30B-A3B-Instruct-2507", 262_144), ("kimi-k2-0905", 262_144), ("Qwen3-30B-A3B", 40_960)],
)
def test_a_later_release_reads_what_its_own_row_says(models, words, tokens):
    assert models.resolve(words).model.max_position == tokens


def test_a_later_date_than_any_of_a_dated_name_is_not_taken(models):
    # Mistral-Small-4-119B-2603 has another shape than Mistral-Small-2409 with its 22B.
    with pytest.raises(UnknownModel):
        models.resolve("Mistral-Small-2603")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        pytest.param("Jamba-Mini", "ai21labs/AI21-Jamba-Mini-1.5", id="another-word"),
        pytest.param("hermes", "NousResearch/Hermes-3-Llama-3.1-8B", id="another-family"),
        pytest.param("ling", "inclusionAI/Ling-lite", id="lite"),
    ],
)
def test_words_left_out_with_no_size_said_are_not_taken(models, words, suggestion):
    with pytest.raises(UnknownModel) as caught:
        models.resolve(words)
    assert suggestion in caught.value.suggestions


def test_a_name_without_lite_is_not_lite_even_where_only_lite_is_known(catalogue):
    only_lite = [model for model in catalogue if model.model_id != "deepseek-ai/DeepSeek-Coder-V2-Instruct"]
    for words in ("DeepSeek-Coder-V2", "DeepSeek-Coder-V2-Instruct", "DeepSeek-Coder-V2-Instruct-AWQ"):
        with pytest.raises(UnknownModel):
            resolve_model(words, only_lite)


def test_says_aloud_the_size_that_was_not_said(models):
    assert models.resolve("falcon-h1").note == "falcon-h1 is taken to mean tiiuae/Falcon-H1-7B-Instruct"


def test_says_aloud_what_loose_words_were_taken_for(models):
    assert "taken to mean NousResearch/Hermes" in models.resolve("hermes 8b").note


def test_takes_another_publishers_copy_for_the_same_shape_and_says_so(models):
    match = models.resolve("unsloth/Llama-3.3-70B-Instruct")
    assert match.typed == "unsloth/Llama-3.3-70B-Instruct"
    assert "taken to have the shape of meta-llama/Llama-3.3-70B-Instruct" in match.note


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        pytest.param("qwen", ("Qwen/Qwen3.6-27B", "Qwen/Qwen3.6-35B-A3B"), id="sizes-of-the-newest"),
        pytest.param("mixtral", ("mistralai/Mixtral-8x7B-v0.1", "mistralai/Mixtral-8x22B-v0.1"), id="family"),
        pytest.param(
            "phi", ("microsoft/Phi-4-mini-instruct", "microsoft/Phi-4-reasoning", "microsoft/phi-4"), id="phi"
        ),
        pytest.param(
            "llama 3.1",
            ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B", "meta-llama/Llama-3.1-405B"),
            id="release-without-size",
        ),
        pytest.param(
            "llama 4 17b",
            ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "meta-llama/Llama-4-Maverick-17B-128E-Instruct"),
            id="size-of-what-is-active",
        ),
    ],
)
def test_asks_when_sizes_differ(models, words, choices):
    with pytest.raises(Ambiguous) as caught:
        models.resolve(words)
    assert caught.value.code == "model.ambiguous"
    assert caught.value.choices == choices


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        pytest.param("qwenn-72b", "Qwen/Qwen2.5-72B", id="misspelt"),
        pytest.param("lama 70b", "meta-llama/Llama-3.3-70B-Instruct", id="letter-missing"),
        pytest.param("qwen 3.5 72b", "Qwen/Qwen2.5-72B", id="no-such-size"),
        pytest.param("llama-3.3-8b", "meta-llama/Llama-3.1-8B", id="no-such-release"),
        pytest.param("70b", "meta-llama/Llama-3.3-70B-Instruct", id="size-alone"),
        pytest.param("somebody/qwen-72b-merged", "Qwen/Qwen2.5-72B", id="another's-merge"),
    ],
)
def test_suggests_near_misses(models, words, suggestion):
    with pytest.raises(UnknownModel) as caught:
        models.resolve(words)
    assert caught.value.code == "model.unknown"
    assert suggestion in caught.value.suggestions
    assert len(caught.value.suggestions) <= 3


@pytest.mark.parametrize(
    "words", ["", "it", "b", "😀", "foo/bar", "instruct", "./nowhere", "x" * 5000, "-", "/"]
)
def test_refuses_words_that_name_no_model(models, words):
    with pytest.raises(UnknownModel) as caught:
        models.resolve(words)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "words",
    [
        "Qwen2.5-72B-Instruct-AWQ",
        "Qwen/Qwen2.5-72B-Instruct-GPTQ-Int4",
        "unsloth/Qwen2.5-72B-Instruct-bnb-4bit",
    ],
)
def test_says_what_to_do_with_a_quantized_checkpoint(models, words):
    with pytest.raises(BadInput) as caught:
        models.resolve(words)
    assert caught.value.code == "model.quantized"
    assert caught.value.suggestions == ("Qwen/Qwen2.5-72B-Instruct",)


@pytest.mark.parametrize(
    "mark",
    ["FP8", "FP4", "NVFP4", "MXFP4", "INT4", "Int8", "W4A16", "W8A8", "w8a16", "exl2", "EXL3", "NF4", "4bit"],
)
@pytest.mark.parametrize("publisher", ["", "Qwen/", "somebody/"])
def test_knows_every_mark_of_a_quantized_checkpoint(models, publisher, mark):
    with pytest.raises(BadInput) as caught:
        models.resolve(f"{publisher}Qwen3-235B-A22B-Instruct-2507-{mark}")
    assert caught.value.code == "model.quantized"
    assert caught.value.suggestions == ("Qwen/Qwen3-235B-A22B-Instruct-2507",)


def test_asks_for_the_size_of_a_quantized_checkpoint_too(models):
    with pytest.raises(Ambiguous):
        models.resolve("Qwen2 GPTQ")


def test_every_row_answers_to_its_id_its_name_and_its_aliases(models, catalogue):
    unheard = []
    for model in catalogue:
        if "padded" in model.flags:
            continue
        for words in (model.model_id, model.model_id.split("/")[1], *model.aliases):
            try:
                match = models.resolve(words)
                heard = {match.typed, match.model.model_id, *match.others}
            except BitwrightError as error:
                heard = set(error.choices)
            if model.model_id not in heard:
                unheard.append((words, model.model_id))
    assert unheard == []


def test_padded_shapes_are_reached_by_id_alone(models):
    assert models.resolve("Qwen/Qwen2.5-72B-padded-29696").model.intermediate_size == 29696
    assert "Qwen/Qwen2.5-72B-padded-29696" not in models.resolve("qwen 72b").others


def test_padding_adds_the_rows_and_columns_it_should(models):
    plain = models.resolve("Qwen/Qwen2.5-72B").model
    padded = models.resolve("Qwen/Qwen2.5-72B-padded-29696").model
    # gate, up and down of 80 layers grow by 29696 - 29568 = 128 columns of 8192: 80 * 3 * 128 * 8192
    assert padded.params_total - plain.params_total == 251_658_240


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("qwen27b", ["qwen", "27b"], id="size"),
        pytest.param("Qwen2-7B", ["qwen", "2", "7b"], id="release-and-size"),
        pytest.param("Qwen3-30B-A3B", ["qwen", "3", "30b", "a3b"], id="active"),
        pytest.param("Mixtral-8x7B-v0.1", ["mixtral", "8x7b", "v0.1"], id="experts"),
        pytest.param("internlm2_5-7b", ["internlm", "2.5", "7b"], id="underscore"),
        pytest.param("gemma-3n-E4B", ["gemma", "3n", "e4b"], id="effective"),
        pytest.param("c4ai-command-r7b", ["c4ai", "command", "r7b"], id="letters-and-digits"),
    ],
)
def test_cuts_names_into_words_and_numbers(name, words):
    assert cut_words(name) == words


@pytest.mark.parametrize(
    ("words", "is_folder"),
    [
        ("./x", True),
        ("/x", True),
        ("~/x", True),
        ("../x", True),
        ("C:\\x", True),
        ("Qwen/x", False),
        ("x", False),
    ],
)
def test_knows_a_folder_when_it_sees_one(words, is_folder):
    assert names_a_folder(words) is is_folder


def test_one_look_up_needs_no_index(catalogue):
    assert resolve_model("demo", catalogue).model.max_position == 8192
