"""The manifest against what Slack documents for version 1, and against what the code does."""

import re
from pathlib import Path

import pytest
import yaml

from bot.app import COMMAND
from bot.doors import PATH

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "deploy" / "slack" / "manifest.yaml"
SCOPES = {
    "chat_postMessage": "chat:write",
    "chat_update": "chat:write",
    "views_open": None,
    "views_update": None,
}
"""Web API methods that the bot calls, and the scope that Slack documents for each; views need none."""


@pytest.fixture(scope="module")
def manifest():
    return yaml.safe_load(MANIFEST.read_text())


def test_has_the_sections_that_slack_knows(manifest):
    assert set(manifest) == {"_metadata", "display_information", "features", "oauth_config", "settings"}
    assert set(manifest["settings"]) == {
        *("interactivity", "org_deploy_enabled", "socket_mode_enabled", "token_rotation_enabled")
    }


def test_keeps_slacks_limits(manifest):
    display = manifest["display_information"]
    assert 1 <= len(display["name"]) <= 35
    assert len(display["description"]) <= 140
    assert re.fullmatch(r"#[0-9a-fA-F]{6}", display["background_color"])
    assert re.fullmatch(r"[A-Za-z0-9\-_.]{1,80}", manifest["features"]["bot_user"]["display_name"])
    for command in manifest["features"]["slash_commands"]:
        assert re.fullmatch(r"/[a-z0-9_\-]{1,31}", command["command"])
        assert 1 <= len(command["description"]) <= 2000
        assert len(command["usage_hint"]) <= 1000


def test_names_the_command_that_is_answered(manifest):
    assert [command["command"] for command in manifest["features"]["slash_commands"]] == [COMMAND]


def test_asks_for_the_scopes_of_what_is_called_and_no_more(manifest):
    code = "\n".join(path.read_text() for path in (ROOT / "bot").glob("*.py"))
    called = set(re.findall(r"_client\.((?:chat|views|conversations|users|files)_\w+)", code))
    assert called == set(SCOPES)
    wanted = {"commands", "chat:write.public", *filter(None, SCOPES.values())}
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == wanted


def test_works_as_it_stands_over_socket_mode(manifest):
    """Buttons need interactivity; in Socket Mode neither it nor a command may need an address."""
    settings = manifest["settings"]
    assert settings["interactivity"] == {"is_enabled": True}
    assert settings["socket_mode_enabled"] is True
    assert "url" not in manifest["features"]["slash_commands"][0]


def test_the_lines_for_http_name_the_bots_path():
    commented = re.findall(
        r"# (?:url|request_url): https://bitwright\.example\.com(\S+)", MANIFEST.read_text()
    )
    assert commented == [PATH, PATH]
