"""What a version takes on a card, and what the planner's own serve command keeps."""

import pytest

from planner.domain.facts.versions import read_version
from planner.domain.predict.engine_defaults import (
    SERVE_TERMS,
    names_first_engine,
    resolve_constants,
)

A6000, H100, A100, T4 = (
    "NVIDIA RTX A6000",
    "NVIDIA H100 80GB SXM5",
    "NVIDIA A100 80GB SXM4",
    "NVIDIA T4",
)


@pytest.mark.parametrize(
    ("version", "card", "term", "likely"),
    [
        pytest.param(None, A6000, "utilisation", 0.92, id="newest-share"),
        pytest.param("0.23", A6000, "utilisation", 0.9, id="older-share"),
        pytest.param("0.28", H100, "sequence_slots", 1024, id="slots-of-a-large-card"),
        pytest.param("0.28", A100, "sequence_slots", 256, id="an-a100-is-not-large"),
        pytest.param("0.28", A6000, "batched_tokens", 2048, id="tokens"),
        pytest.param("0.28", H100, "batched_tokens", 8192, id="tokens-of-a-large-card"),
        pytest.param("0.6.1", A100, "batched_tokens", 512, id="first-chunks"),
        pytest.param("0.8.5", A100, "whole_prompt_tokens", 0, id="second-engine"),
        pytest.param("0.8.5", T4, "whole_prompt_tokens", 32768, id="first-engine-on-a-t4"),
        pytest.param("0.11", T4, "whole_prompt_tokens", 0, id="no-first-engine-any-more"),
        pytest.param("0.20", A6000, "graphs_counted", 0, id="graphs-outside"),
        pytest.param("0.21", A6000, "graphs_counted", 1, id="graphs-counted"),
    ],
)
def test_a_version_takes_its_own_defaults(tables, a_device, version, card, term, likely):
    found = resolve_constants(
        tables.memory, tables.defaults, "vllm", a_device(card), version=read_version(version)
    )
    assert found["vllm", term].likely == likely


def test_a_newer_card_may_be_told_to_use_the_first_engine(tables, a_device):
    text = "0.8.5 V0"
    found = resolve_constants(
        tables.memory,
        tables.defaults,
        "vllm",
        a_device(A100),
        version=read_version(text),
        is_first_engine=names_first_engine(text),
    )
    assert found["vllm", "whole_prompt_tokens"].likely == 32768


def test_the_serve_command_keeps_what_it_writes_out(tables, a_device):
    found = resolve_constants(tables.memory, tables.defaults, "vllm", a_device(H100), keep=SERVE_TERMS)
    assert (found["vllm", "utilisation"].likely, found["vllm", "sequence_slots"].likely) == (0.9, 16)
    assert found["vllm", "graphs_counted"].likely == 1


def test_only_fabrics_set_up_buffers_for_each_rank(tables, a_device):
    found = {
        card: resolve_constants(tables.memory, tables.defaults, "vllm", a_device(card))
        for card in (A6000, A100)
    }
    assert ("vllm", "nvlink_per_rank") in found[A100]
    assert ("vllm", "nvlink_per_rank") not in found[A6000]  # its bridge is no fabric
