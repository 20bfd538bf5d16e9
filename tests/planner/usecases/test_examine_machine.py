"""Facts in, findings out: what is a problem, what a warning, and what to do about it."""

from pathlib import Path

import pytest

from planner.domain.units import GIB, MIB
from planner.sources.rules import read_driver_needs
from planner.usecases.examine_machine import (
    judge_commands,
    judge_folder,
    judge_packages,
    judge_python,
    judge_slack,
    judge_snapshot,
)

DATA = Path(__file__).parents[3] / "data"


def a_snapshot(**changes):
    """A machine without cards and with nothing built."""
    return {
        "ram_available_bytes": 8 * GIB,
        "ram_total_bytes": 16 * GIB,
        "driver": None,
        "devices": [],
        "backends": [],
        "engines": [],
        "notes": [],
        **changes,
    }


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        pytest.param((3, 10, 14), "problem", id="too-old"),
        pytest.param((3, 11, 0), "ok", id="the-oldest-that-does"),
        pytest.param((3, 14, 1), "ok", id="newer"),
    ],
)
def test_python_is_3_11_or_newer(version, verdict):
    assert judge_python(version).verdict == verdict


def test_packages_out_of_range_are_named_with_what_to_do():
    found = judge_packages({"duckdb": "is 2.0.1, <1.6,>=1.5.5 was asked for"}, 11)
    assert (found.verdict, found.advice) == ("problem", "make setup")
    assert found.message == "duckdb is 2.0.1, <1.6,>=1.5.5 was asked for"


@pytest.mark.parametrize(
    ("why_not", "free", "verdict"),
    [
        pytest.param("", 50 * GIB, "ok", id="room"),
        pytest.param("", 500 * MIB, "warning", id="little-room"),
        pytest.param("", 50 * MIB, "problem", id="no-room"),
        pytest.param("not writable (Permission denied)", 50 * GIB, "problem", id="not-writable"),
    ],
)
def test_a_folder_needs_room_and_leave_to_write(why_not, free, verdict):
    found = judge_folder("home", "/h", why_not=why_not, free_bytes=free, needs=100 * MIB, wants=GIB)
    assert found.verdict == verdict
    assert ("BITWRIGHT_HOME" in found.advice) == (verdict != "ok")


def test_a_command_that_is_missing_or_breaks_is_a_problem():
    executor, bot = judge_commands({"bot": "cannot be loaded (ImportError: slack_bolt)"}, ["bot"])
    assert (executor.verdict, executor.message) == ("problem", "bitwright executor is not installed")
    assert (bot.verdict, bot.message) == (
        "problem",
        "bitwright bot cannot be loaded (ImportError: slack_bolt)",
    )


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        pytest.param([], "ok", id="no-bot-here"),
        pytest.param(["BITWRIGHT_SLACK_BOT_TOKEN", "BITWRIGHT_SLACK_APP_TOKEN"], "ok", id="socket-mode"),
        pytest.param(["BITWRIGHT_SLACK_BOT_TOKEN", "BITWRIGHT_SLACK_SIGNING_SECRET"], "ok", id="http"),
        pytest.param(["BITWRIGHT_SLACK_BOT_TOKEN"], "warning", id="no-secret"),
        pytest.param(["BITWRIGHT_SLACK_APP_TOKEN"], "warning", id="no-bot-token"),
    ],
)
def test_slack_settings_are_all_there_or_none(names, verdict):
    assert judge_slack(names).verdict == verdict


@pytest.mark.parametrize(
    ("changes", "name", "verdict"),
    [
        pytest.param({"ram_available_bytes": GIB}, "memory", "warning", id="little-memory"),
        pytest.param({"ram_available_bytes": None}, "memory", "warning", id="unknown-memory"),
        pytest.param(
            {"notes": [{"code": "nvml.absent", "message": "No driver."}]}, "nvidia", "ok", id="no-driver"
        ),
        pytest.param(
            {"notes": [{"code": "nvml.card_lost", "message": "Card 1 is lost."}]},
            "nvidia",
            "warning",
            id="a-lost-card",
        ),
        pytest.param(
            {"driver": {"version": "560.35.03", "cuda": "12.6"}},
            "nvidia",
            "warning",
            id="a-driver-without-cards",
        ),
        pytest.param(
            {
                "backends": [
                    {"name": "exl3", "state": "broken", "disk_bytes": 5, "message": "its Python is gone"}
                ]
            },
            "backend",
            "warning",
            id="a-broken-environment",
        ),
        pytest.param(
            {"backends": [{"name": "exl3", "state": "not built", "disk_bytes": 5, "message": ""}]},
            "backend",
            "ok",
            id="an-environment-to-come",
        ),
    ],
)
def test_what_the_inventory_says_is_judged(changes, name, verdict):
    found = [finding for finding in judge_snapshot(a_snapshot(**changes)) if finding.name == name]
    assert [finding.verdict for finding in found] == [verdict]


def test_cards_are_shown_with_what_is_free():
    cards = [{"name": "NVIDIA RTX A6000", "free_bytes": 48_690 * MIB}]
    snapshot = a_snapshot(driver={"version": "560.35.03", "cuda": "12.6"}, devices=cards)
    (found,) = [finding for finding in judge_snapshot(snapshot) if finding.name == "nvidia"]
    assert found.message == "driver 560.35.03, CUDA 12.6: NVIDIA RTX A6000 47.5 GiB free"


@pytest.mark.parametrize(
    ("cuda", "engines", "said"),
    [
        pytest.param("11.8", ["vllm"], ["vllm", "torch"], id="too-old-for-both"),
        pytest.param("12.4", ["vllm"], ["torch"], id="any-driver-of-12-runs-12.9"),
        pytest.param("13.0", ["vllm"], [], id="new-enough"),
        pytest.param("11.8", [], ["torch"], id="what-is-not-installed-wants-nothing"),
    ],
)
def test_a_driver_is_judged_by_what_is_to_run_on_it(cuda, engines, said):
    snapshot = a_snapshot(
        driver={"version": "550.54", "cuda": cuda},
        devices=[{"name": "RTX A6000", "free_bytes": 48 * GIB, "compute_capability": "8.6"}],
        engines=[{"name": name, "version": "0.33.0"} for name in engines],
    )
    needs = read_driver_needs(DATA / "engine_cuda.csv")
    found = [finding for finding in judge_snapshot(snapshot, needs) if "is built with" in finding.message]
    assert [finding.verdict for finding in found] == ["warning"] * len(said)
    assert all(name in finding.message for name, finding in zip(said, found, strict=True))
    assert all("newer driver" in finding.advice for finding in found)
