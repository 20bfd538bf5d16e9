"""`bitwright token`, `bitwright hosts` and `bitwright serve --host`, as a person types them."""

import json

import pytest


@pytest.fixture
def run(bitwright, home):
    return lambda *arguments: bitwright(*arguments, home=home)


def test_a_token_is_printed_once_and_can_be_revoked(run):
    made = run("token", "create", "--scopes", "plan, run", "--name", "laptop")
    assert made.status == 0
    assert made.out.startswith("bw_")
    assert "not shown again" in made.err
    listed = run("token", "list")
    assert "laptop" in listed.out
    assert made.out.strip() not in listed.out
    assert run("token", "revoke", "laptop").status == 0
    (row,) = json.loads(run("token", "list", "--json").out)["tokens"]
    assert row["scopes"] == ["plan", "run"]
    assert row["revoked_at"] is not None


def test_what_cannot_be_is_bad_input(run):
    assert run("token", "create", "--scopes", "root").status == 2
    assert run("token", "revoke", "nobody").status == 2
    refused = run("serve", "--host", "0.0.0.0", "--port", "0", "--json")
    assert (refused.status, json.loads(refused.out)["error"]["code"]) == (2, "service.no_token")
    assert json.loads(run("plan", "demo for host:gpu-1", "--json").out)["error"]["code"] == "host.unknown"


def test_a_home_without_hosts_says_how_to_get_one(run):
    assert "bitwright executor" in run("hosts").out
    assert json.loads(run("hosts", "--json").out) == {"hosts": []}
