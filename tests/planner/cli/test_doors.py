"""A command gets the same answers from the service of a home as from its database."""

import pytest

from planner.cli.local_door import LocalDoor
from planner.cli.server_door import ServerDoor, name_folders
from planner.domain.errors import Ambiguous, BadInput, BitwrightError
from planner.live_server import LiveServer, find_live_server, read_server, write_server

ESTIMATE = {"model": "qwen2.5-7b", "scheme": "W4A16", "device": "1x 4090"}
PREDICTION = {"model": "qwen2.5-7b", "scheme": "W4A16", "method": "gptq", "benchmark": "mmlu"}


@pytest.fixture
def doors(shared_service):
    return LocalDoor(shared_service.workshop), ServerDoor(shared_service.client)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda door: door.plan_unrecorded({"ask": "qwen-72b for 2x A6000"}), id="plan"),
        pytest.param(lambda door: door.estimate(ESTIMATE), id="estimate"),
        pytest.param(lambda door: door.predict_evidence(PREDICTION), id="predict evidence"),
        pytest.param(lambda door: door.list_evidence({"scheme": "W4A16"}, 3), id="evidence"),
        pytest.param(lambda door: door.list_sources(), id="sources"),
        pytest.param(lambda door: door.list_jobs(5), id="jobs"),
        pytest.param(lambda door: door.audit("SELECT count(*) FROM evidence"), id="audit"),
        pytest.param(lambda door: door.audit("SELECT * FROM range(10001)"), id="more rows than are answered"),
    ],
)
def test_both_doors_answer_alike(doors, ask):
    local, server = map(ask, doors)
    assert server == local


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        pytest.param(
            lambda door: door.plan({"ask": "qwen-72b for RTX 6000"}), Ambiguous, id="ambiguous card"
        ),
        pytest.param(
            lambda door: door.plan({"ask": "qwen-72b for cpu", "x": 1}), BadInput, id="unknown field"
        ),
        pytest.param(
            lambda door: door.plan_unrecorded({"ask": "qwen-72b for A600"}), BadInput, id="batch line"
        ),
        pytest.param(
            lambda door: door.estimate({"model": "qwen2.5-7b"}), BadInput, id="estimate without scheme"
        ),
        pytest.param(
            lambda door: door.estimate({**ESTIMATE, "x": 1}), BadInput, id="estimate's unknown field"
        ),
        pytest.param(
            lambda door: door.plan({"ask": "demo for cpu", "must_quantize": "false"}),
            BadInput,
            id="no boolean",
        ),
        pytest.param(lambda door: door.show_decision("d-nothing"), BadInput, id="unknown decision"),
        pytest.param(lambda door: door.audit("DELETE FROM jobs"), BadInput, id="not a SELECT"),
        pytest.param(lambda door: list(door.follow_job("j-nothing")), BadInput, id="unknown job"),
    ],
)
def test_both_doors_refuse_alike(doors, ask, kind):
    refusals = []
    for door in doors:
        with pytest.raises(BitwrightError) as caught:
            ask(door)
        refusals.append(caught.value)
    local, server = refusals
    assert type(server) is type(local) is kind
    assert (server.code, server.message, server.choices) == (local.code, local.message, local.choices)


def test_a_server_file_of_a_dead_process_is_ignored(home):
    dead = LiveServer(url="http://127.0.0.1:9", pid=2**22 - 1, token="t", started_at="now")
    write_server(home, dead)
    assert read_server(home) == dead
    assert (home / "server.json").stat().st_mode & 0o777 == 0o600
    assert find_live_server(home) is None


def test_a_server_file_that_cannot_be_read_is_ignored(home):
    (home / "server.json").write_text('{"url": ')
    assert find_live_server(home) is None


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        pytest.param("./tiny for cpu", '"{here}/tiny" for cpu', id="beside"),
        pytest.param("'../my models/tiny' for cpu", '"{here}/../my models/tiny" for cpu', id="quoted"),
        pytest.param("plan ./tiny, context 4k", 'plan "{here}/tiny", context 4k', id="before a comma"),
        pytest.param("~/tiny for cpu", '"{home}/tiny" for cpu', id="at home"),
        pytest.param("qwen-2.5 for 2x A6000", "qwen-2.5 for 2x A6000", id="no folder"),
    ],
)
def test_a_service_is_told_folders_in_full(tmp_path, monkeypatch, ask, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/maria")
    wanted = named.format(here=tmp_path, home="/home/maria")
    assert name_folders({"ask": ask}) == {"ask": wanted}


def test_a_folder_beside_the_command_is_planned_by_a_service_elsewhere(doors, tiny_checkpoint, monkeypatch):
    monkeypatch.chdir(tiny_checkpoint.parent)
    local, server = (
        door.plan_unrecorded({"ask": f"./{tiny_checkpoint.name} for cpu"})["model"]["id"] for door in doors
    )
    assert server == str(tiny_checkpoint)
    assert local
