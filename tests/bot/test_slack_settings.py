"""Settings: defaults, what is refused, and that no secret is ever printed."""

import inspect
import re
from dataclasses import fields

import pytest

from bot import settings as module
from bot.address import Address, find_address
from bot.failures import Refused
from bot.main import check_secrets
from bot.settings import Settings, read_settings

SECRETS = {
    "BITWRIGHT_TOKEN": "hidden-1",
    "BITWRIGHT_SLACK_BOT_TOKEN": "hidden-2",
    "BITWRIGHT_SLACK_SIGNING_SECRET": "hidden-3",
    "BITWRIGHT_SLACK_APP_TOKEN": "hidden-4",
}


def test_defaults_need_no_environment():
    settings = read_settings({})
    assert (settings.listen, settings.port, settings.approval_minutes) == ("127.0.0.1", 8421, 30.0)
    assert settings.slack_url == "https://slack.com/api/"
    assert settings.runners == frozenset()


def test_prints_no_secret():
    assert "hidden" not in repr(read_settings(SECRETS))


def test_every_field_names_its_variable():
    documented = re.findall(r'"""(BITWRIGHT_\w+):', inspect.getsource(Settings))
    assert len(documented) == len(fields(Settings))
    assert set(documented) == set(re.findall(r'"(BITWRIGHT_\w+)"', inspect.getsource(module)))


def test_reads_lists_of_people():
    settings = read_settings({"BITWRIGHT_BOT_APPROVERS": " U2, U1,,U2", "BITWRIGHT_BOT_RUNNERS": "U3"})
    assert settings.approvers == ("U2", "U1")
    assert settings.runners == {"U3"}


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_refuses_what_is_no_number(text):
    with pytest.raises(Refused, match=f'BITWRIGHT_BOT_APPROVAL_MINUTES is "{text}"'):
        read_settings({"BITWRIGHT_BOT_APPROVAL_MINUTES": text})


def test_finds_the_service_that_owns_the_home(tmp_path):
    (tmp_path / "server.json").write_text('{"url": "http://127.0.0.1:1", "token": "t", "pid": 1}')
    settings = read_settings({"BITWRIGHT_HOME": str(tmp_path)})
    assert find_address(settings) == Address("http://127.0.0.1:1", "t")


@pytest.mark.parametrize(
    ("content", "token"),
    [("from-file\n", "from-file"), ('{"token": "from-json", "url": "http://c"}', "from-json")],
)
def test_a_token_file_wins_over_the_environment(tmp_path, content, token):
    (tmp_path / "token").write_text(content)
    settings = read_settings({**SECRETS, "BITWRIGHT_SERVER": "http://a", "BITWRIGHT_HOME": str(tmp_path)})
    assert find_address(settings, "http://b", tmp_path / "token") == Address("http://b", token)


def test_no_token_is_printed_with_its_address():
    assert "hidden" not in repr(Address("http://a", "hidden"))


def test_says_that_there_is_no_service(tmp_path):
    (tmp_path / "server.json").write_text("{damaged")
    with pytest.raises(Refused, match="Which service"):
        find_address(read_settings({"BITWRIGHT_HOME": str(tmp_path)}))


def test_says_which_secrets_are_missing():
    with pytest.raises(Refused, match="BITWRIGHT_SLACK_SIGNING_SECRET"):
        check_secrets(read_settings({"BITWRIGHT_SLACK_BOT_TOKEN": "x"}))
    check_secrets(read_settings({"BITWRIGHT_SLACK_BOT_TOKEN": "x", "BITWRIGHT_SLACK_APP_TOKEN": "y"}))
