"""Settings of the bot, read once from the environment in `main`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from bot.failures import Refused

SLACK_URL = "https://slack.com/api/"
PORT = 8421
APPROVAL_MINUTES = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whom the bot talks to and who may do what; each field is one `BITWRIGHT_*` variable."""

    home: Path
    """BITWRIGHT_HOME: messages that are being followed are kept in it. Default: the platform's data folder."""
    server: str
    """BITWRIGHT_SERVER: address of the service. Default: the one that owns the home."""
    token: str = field(repr=False)
    """BITWRIGHT_TOKEN: the service's token, to plan, run, approve and speak for others. Default: the home's own."""
    bot_token: str = field(repr=False)
    """BITWRIGHT_SLACK_BOT_TOKEN: the app's bot token (xoxb-…)."""
    signing_secret: str = field(repr=False)
    """BITWRIGHT_SLACK_SIGNING_SECRET: checks that requests come from Slack; needed without an app token."""
    app_token: str = field(repr=False)
    """BITWRIGHT_SLACK_APP_TOKEN: app-level token (xapp-…); with it Socket Mode is used and no port opened."""
    slack_url: str
    """BITWRIGHT_SLACK_URL: where Slack's Web API is. Default: https://slack.com/api/."""
    listen: str
    """BITWRIGHT_BOT_LISTEN: address to listen on. Default: 127.0.0.1, for a proxy that speaks TLS."""
    port: int
    """BITWRIGHT_BOT_PORT: port to listen on, 0 takes a free one. Default: 8421."""
    runners: frozenset[str]
    """BITWRIGHT_BOT_RUNNERS: Slack user ids, comma-separated, who may press Run. Default: everyone."""
    approvers: tuple[str, ...]
    """BITWRIGHT_BOT_APPROVERS: user ids who may approve costly runs. Default: everyone but who asked."""
    approval_minutes: float
    """BITWRIGHT_BOT_APPROVAL_MINUTES: a run that may take longer needs approval. Default: 30; 0: every run."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment.

    Raises:
        Refused: `settings.not_a_number`.
    """
    return Settings(
        home=Path(environment.get("BITWRIGHT_HOME") or user_data_path("bitwright")).expanduser(),
        server=environment.get("BITWRIGHT_SERVER") or "",
        token=environment.get("BITWRIGHT_TOKEN") or "",
        bot_token=environment.get("BITWRIGHT_SLACK_BOT_TOKEN") or "",
        signing_secret=environment.get("BITWRIGHT_SLACK_SIGNING_SECRET") or "",
        app_token=environment.get("BITWRIGHT_SLACK_APP_TOKEN") or "",
        slack_url=(environment.get("BITWRIGHT_SLACK_URL") or SLACK_URL).rstrip("/") + "/",
        listen=environment.get("BITWRIGHT_BOT_LISTEN") or "127.0.0.1",
        port=int(_read_number(environment, "BITWRIGHT_BOT_PORT", PORT)),
        runners=frozenset(_read_ids(environment, "BITWRIGHT_BOT_RUNNERS")),
        approvers=_read_ids(environment, "BITWRIGHT_BOT_APPROVERS"),
        approval_minutes=_read_number(environment, "BITWRIGHT_BOT_APPROVAL_MINUTES", APPROVAL_MINUTES),
    )


def _read_ids(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in environment.get(name, "").split(",") if word.strip()))


def _read_number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise Refused("settings.not_a_number", f'{name} is "{text}": it has to be a number from 0 on.')
    return number
