"""A small real Slack on loopback: its Web API, response URLs and Socket Mode, with Slack's limits and error codes.

It runs in a thread of its own, keeps every message as it stands and every call in order, and signs what it sends
to an app as Slack does. Left out: channels' history, users, files, threads.
"""

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from aiohttp import WSMsgType, web
from fakes.slack_limits import LARGEST_MESSAGE, count_text, find_faults

BOT_TOKEN = "xoxb-fake"
APP_TOKEN = "xapp-fake"
SIGNING_SECRET = "shh"
CHANNEL = "C0LAB"
CLOSED_CHANNEL = "C0CLOSED"
"""A channel that the bot is not in."""
RESPONSES_TO_A_URL = 5

Message = dict[str, Any]


class FakeSlack:
    """One workspace, one app."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.messages: dict[str, Message] = {}
        self.history: dict[str, list[Message]] = {}
        """Every state that a message was in, by timestamp."""
        self.private: list[Message] = []
        """What was said to one person alone, by response URL or chat.postEphemeral."""
        self.dialogs: list[dict[str, Any]] = []
        self.limited_calls = 0
        """How many calls to refuse with 429 next."""
        self.retry_after = 1
        self.answers: list[dict[str, Any]] = []
        """What an app answered over Socket Mode."""
        self._changed = threading.Condition()
        self._responses: dict[str, int] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = iter(range(1, 1_000_000))

    # What a test asks of it.

    def wait_until(self, happened: Callable[["FakeSlack"], Any], seconds: float = 5.0) -> Any:
        """What `happened` returns as soon as that is true.

        Raises:
            AssertionError: it did not become true.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: happened(self), seconds)
        assert found, f"Slack waited {seconds} s in vain; its calls: {[name for name, _ in self.calls]}"
        return found

    def make_response_url(self) -> str:
        """An address that takes five answers to one command or press."""
        return f"{self.url.removesuffix('api/')}respond/{next(self._numbers)}"

    def send_over_socket(self, kind: str, payload: dict[str, Any]) -> None:
        """A command or press to the app that is connected in Socket Mode."""
        self.wait_until(lambda slack: slack._sockets)
        assert self._loop is not None
        envelope = {
            "envelope_id": f"e-{next(self._numbers)}",
            "type": kind,
            "payload": payload,
            "accepts_response_payload": True,
        }
        asyncio.run_coroutine_threadsafe(self._sockets[0].send_json(envelope), self._loop).result(5)

    # The Web API.

    async def call(self, request: web.Request) -> web.Response:
        """`/api/<method>`."""
        method = request.match_info["method"]
        sent = await _read_body(request)
        if self.limited_calls > 0 and method != "auth.test":
            self.limited_calls -= 1
            headers = {"Retry-After": str(self.retry_after)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if request.headers.get("Authorization") != f"Bearer {wanted}":
            return _refuse("invalid_auth")
        act = getattr(self, "_" + method.replace(".", "_"), None)
        if act is None:
            return _refuse("unknown_method")
        with self._changed:
            answer: web.Response = act(sent)
            self.calls.append((method, sent))
            self._changed.notify_all()
        return answer

    def _auth_test(self, sent: dict[str, Any]) -> web.Response:
        del sent
        return _accept(url=self.url, team="Lab", user="bitwright", team_id="T1", user_id="UBOT", bot_id="B1")

    def _conversations_info(self, sent: dict[str, Any]) -> web.Response:
        return _accept(
            channel={"id": sent.get("channel"), "is_member": sent.get("channel") != CLOSED_CHANNEL}
        )

    def _chat_postMessage(self, sent: dict[str, Any]) -> web.Response:  # noqa: N802 - Slack's own name
        if sent.get("channel") == CLOSED_CHANNEL:
            return _refuse("not_in_channel")
        if (refusal := _judge_message(sent, text_limit=40_000)) is not None:
            return refusal
        timestamp = f"1700000000.{next(self._numbers):06d}"
        self._keep(timestamp, sent)
        return _accept(channel=sent["channel"], ts=timestamp)

    def _chat_update(self, sent: dict[str, Any]) -> web.Response:
        if sent.get("ts") not in self.messages:
            return _refuse("message_not_found")
        if (refusal := _judge_message(sent, text_limit=4000)) is not None:
            return refusal
        self._keep(sent["ts"], sent)
        return _accept(channel=sent["channel"], ts=sent["ts"])

    def _chat_postEphemeral(self, sent: dict[str, Any]) -> web.Response:  # noqa: N802 - Slack's own name
        if (refusal := _judge_message(sent, text_limit=40_000)) is not None:
            return refusal
        self.private.append(sent)
        return _accept(message_ts="1700000000.000000")

    def _views_open(self, sent: dict[str, Any]) -> web.Response:
        if not sent.get("trigger_id"):
            return _refuse("invalid_trigger")
        return self._show_dialog(sent)

    def _views_update(self, sent: dict[str, Any]) -> web.Response:
        return self._show_dialog(sent) if sent.get("view_id") else _refuse("not_found")

    def _show_dialog(self, sent: dict[str, Any]) -> web.Response:
        view = sent["view"]
        too_long = len(view["title"]["text"]) > 24 or len(view.get("private_metadata", "")) > 3000
        faults = find_faults(view["blocks"], most=100)
        if too_long or faults:
            return _refuse("invalid_arguments", faults)
        self.dialogs.append(view)
        return _accept(view={**view, "id": f"V{len(self.dialogs)}"})

    def _apps_connections_open(self, sent: dict[str, Any]) -> web.Response:
        del sent
        return _accept(url=self.url.replace("http:", "ws:").removesuffix("api/") + "link")

    def _keep(self, timestamp: str, sent: dict[str, Any]) -> None:
        self.messages[timestamp] = sent
        self.history.setdefault(timestamp, []).append(sent)

    # Response URLs and Socket Mode.

    async def respond(self, request: web.Request) -> web.Response:
        """A response URL: five answers, then no more."""
        sent = await request.json()
        key = request.match_info["key"]
        with self._changed:
            self._responses[key] = self._responses.get(key, 0) + 1
            if self._responses[key] > RESPONSES_TO_A_URL:
                return web.json_response({"ok": False, "error": "used_url"}, status=404)
            if sent.get("blocks") and find_faults(sent["blocks"]):
                return web.Response(text="invalid_blocks", status=400)
            self.private.append(sent)
            self._changed.notify_all()
        return web.Response(text="ok")

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        """The WebSocket of Socket Mode."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        with self._changed:
            self._sockets.append(socket)
            self._changed.notify_all()
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                with self._changed:
                    self.answers.append({**json.loads(message.data), "at": time.monotonic()})
                    self._changed.notify_all()
        return socket


@contextmanager
def open_slack() -> Iterator[FakeSlack]:
    """A Slack that answers until the end of the block."""
    slack = FakeSlack()
    loop = asyncio.new_event_loop()
    slack._loop = loop
    app = web.Application()
    app.router.add_post("/api/{method}", slack.call)
    app.router.add_post("/respond/{key}", slack.respond)
    app.router.add_get("/link", slack.link)
    runner = web.AppRunner(app, shutdown_timeout=0.05)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    loop.run_until_complete(start())
    slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def sign(body: str, *, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """The headers of a request as Slack signs it: `v0=` HMAC-SHA256 of `v0:timestamp:body`."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def encode_press(payload: dict[str, Any]) -> str:
    """The body of an interaction."""
    return urlencode({"payload": json.dumps(payload)})


def _judge_message(sent: dict[str, Any], text_limit: int) -> web.Response | None:
    blocks = sent.get("blocks") or []
    if len(sent.get("text", "")) > text_limit:
        return _refuse("msg_too_long")
    if blocks and (faults := find_faults(blocks)):
        return _refuse("invalid_blocks", faults)
    if count_text(blocks) > LARGEST_MESSAGE:
        return _refuse("msg_blocks_too_long")
    return None if blocks or sent.get("text") else _refuse("no_text")


async def _read_body(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return dict(await request.json())
    form = {name: str(value) for name, value in (await request.post()).items()}
    return {name: json.loads(value) if name in {"blocks", "view"} else value for name, value in form.items()}


def _accept(**fields: Any) -> web.Response:
    return web.json_response({"ok": True, **fields})


def _refuse(code: str, faults: list[str] | None = None) -> web.Response:
    answer: dict[str, Any] = {"ok": False, "error": code}
    if faults:
        said = [f"[ERROR] {fault}" for fault in faults]
        answer |= {"errors": faults, "response_metadata": {"messages": said}}
    return web.json_response(answer)
