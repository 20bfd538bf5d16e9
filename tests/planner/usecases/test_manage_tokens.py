"""Tokens: what is refused when one is made, and that listening beyond loopback takes one."""

import pytest

from planner.api.service import check_exposure, is_loopback, name_url
from planner.domain.errors import BadInput
from planner.usecases.manage_tokens import create_token, revoke_token


@pytest.mark.parametrize(
    ("scopes", "name", "code"),
    [
        pytest.param([], None, "token.scopes", id="none"),
        pytest.param(["plan", "root"], None, "token.scopes", id="unknown scope"),
        pytest.param(["plan"], "owner", "token.name", id="the owner's name"),
        pytest.param(["plan"], "slack/U1", "token.name", id="a person's name"),
        pytest.param(["plan"], "x" * 61, "token.name", id="too long"),
        pytest.param(["plan"], "taken", "token.name", id="taken"),
    ],
)
def test_a_token_that_cannot_be_is_refused(workshop, scopes, name, code):
    create_token(workshop, ["plan"], "taken")
    with pytest.raises(BadInput) as refused:
        create_token(workshop, scopes, name)
    assert refused.value.code == code


def test_a_name_is_free_again_when_its_token_is_revoked(workshop):
    first, _ = create_token(workshop, ["plan"], "laptop")
    revoke_token(workshop, "laptop")
    second, _ = create_token(workshop, ["run"], "laptop")
    assert revoke_token(workshop, "laptop").token_id == second.token_id != first.token_id
    with pytest.raises(BadInput) as refused:
        revoke_token(workshop, "nobody")
    assert refused.value.code == "token.unknown"


def test_nobody_listens_beyond_loopback_before_somebody_has_a_token(workshop):
    check_exposure(workshop, None)
    check_exposure(workshop, "127.0.0.1")
    with pytest.raises(BadInput) as refused:
        check_exposure(workshop, "0.0.0.0")
    assert refused.value.code == "service.no_token"
    create_token(workshop, ["execute"], "gpu-hosts")
    check_exposure(workshop, "0.0.0.0")
    revoke_token(workshop, "gpu-hosts")
    with pytest.raises(BadInput):
        check_exposure(workshop, "0.0.0.0")


@pytest.mark.parametrize(
    ("host", "url", "only_here"),
    [
        ("127.0.0.1", "http://127.0.0.1:1", True),
        ("localhost", "http://localhost:1", True),
        ("0.0.0.0", "http://127.0.0.1:1", False),
        ("::", "http://[::1]:1", False),
        ("10.0.0.5", "http://10.0.0.5:1", False),
    ],
)
def test_the_address_in_server_json_is_one_that_this_machine_reaches(host, url, only_here):
    assert (name_url(host, 1), is_loopback(host)) == (url, only_here)
