"""What a person does in Slack and reads there: commands and presses, sent as Slack sends them; a card's text."""

from urllib.parse import urlencode

import httpx
from fakes.slack import CHANNEL, encode_press, sign

ASKER, OTHER = "U0ASKER", "U0OTHER"


class Person:
    """What people do in Slack, sent as Slack sends it."""

    def __init__(self, slack, url):
        self.slack, self.url = slack, url

    def type(self, text, *, user=ASKER, channel=CHANNEL, **signed):
        """`/quantize text`."""
        return self.send(urlencode(command_body(self.slack, text, user, channel)), **signed)

    def press(self, element, timestamp="1700000000.000001", *, user=ASKER, **more):
        """A button or a menu's option."""
        return self.send(encode_press(press_payload(self.slack, element, timestamp, user, **more)))

    def send(self, body, **signed):
        """A signed request."""
        # Without certificates to load, which would be timed as well.
        return httpx.post(self.url, content=body, headers=sign(body, **signed), trust_env=False, verify=False)


def command_body(slack, text, user=ASKER, channel=CHANNEL):
    return {
        "command": "/quantize",
        "text": text,
        "user_id": user,
        "channel_id": channel,
        "team_id": "T1",
        "response_url": slack.make_response_url(),
        "trigger_id": "trigger-1",
    }


def press_payload(slack, element, timestamp, user=ASKER, **more):
    return {
        "type": "block_actions",
        "user": {"id": user},
        "team": {"id": "T1"},
        "container": {"type": "message", "channel_id": CHANNEL, "message_ts": timestamp},
        "channel": {"id": CHANNEL},
        "trigger_id": "trigger-2",
        "response_url": slack.make_response_url(),
        "actions": [{"type": element.get("type", "button"), "block_id": "b", **element}],
        **more,
    }


def say(blocks):
    """All text of a card, for reading."""
    return "\n".join(_texts(blocks))


def find_button(blocks, action_id):
    """A button or menu by its action id."""
    for block in blocks:
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("action_id") == action_id:
                return element
    return None


def _texts(item):
    if isinstance(item, dict):
        found = item.get("text")
        return ([found] if isinstance(found, str) else []) + [
            text for value in item.values() if isinstance(value, dict | list) for text in _texts(value)
        ]
    return [text for one in item for text in _texts(one)] if isinstance(item, list) else []
