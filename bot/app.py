"""Slack's library and the flow, wired: what is typed or pressed is acknowledged first and answered after.

Slack waits three seconds for an acknowledgement; it is sent before anything is asked of anybody. Every request's
signature is checked by the library (HMAC-SHA256 of the body, not older than five minutes), except in Socket Mode,
where there are no requests from outside.

Failures are told here and not in Bolt's error handler: an error that comes right after `ack()` makes Bolt 1.30
forget the acknowledgement and hold Slack up for its whole three seconds (listener/asyncio_runner.py).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.blocks import Block
from bot.failures import describe_failure, log
from bot.flow import Answer, Flow
from bot.ids import (
    ActionId,
    AskValue,
    ChoiceValue,
    JobValue,
    MessageValue,
    PlanValue,
    read_value,
)
from bot.messages import CONNECTION_ERRORS
from planner.contract.requests import CandidateChoice

COMMAND = "/quantize"

Body = Mapping[str, Any]
Act = Callable[[Flow, Body, Answer], Awaitable[None]]


def make_app(client: AsyncWebClient, signing_secret: str, identity: AuthorizeResult, flow: Flow) -> AsyncApp:
    """The Slack app over a flow; `identity` is who the bot's token belongs to."""

    async def authorize() -> AuthorizeResult:
        return identity

    # Without a token of its own: Bolt takes the one of `authorize`, and would warn of two.
    bare = AsyncWebClient(base_url=client.base_url)
    app = AsyncApp(client=bare, signing_secret=signing_secret, authorize=authorize)
    app.command(COMMAND)(_make_listener(_quantize, flow))
    for action_id, act in ACTS.items():
        app.action(action_id)(_make_listener(act, flow))
    return app


def _make_listener(act: Act, flow: Flow) -> Callable[..., Awaitable[None]]:
    """Acknowledge, act, and tell whoever pressed what went wrong."""

    async def listen(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        await ack()
        answer = _answer_with(respond)
        try:
            await act(flow, body, answer)
        except Exception as error:  # noqa: BLE001 - every failure is told, and none may reach Bolt
            sentence = describe_failure(error)
            try:
                await answer(sentence, None)
            except (ValueError, *CONNECTION_ERRORS):
                log.warning("could not be told: %s", sentence)

    return listen


async def _quantize(flow: Flow, body: Body, answer: Answer) -> None:
    await flow.answer_command(body.get("text", ""), body["user_id"], body["channel_id"], answer)


async def _pick(flow: Flow, body: Body, answer: Answer) -> None:
    action = body["actions"][0]
    value = read_value(AskValue, action["block_id"])
    user, channel, _ = _where(body)
    await flow.answer_pick(value, action["selected_option"]["value"], user, channel, answer)


async def _run(flow: Flow, body: Body, answer: Answer) -> None:
    del answer
    user, message = _message(body)
    await flow.run(message, CandidateChoice(), user)


async def _show_alternatives(flow: Flow, body: Body, answer: Answer) -> None:
    del answer
    _, message = _message(body)
    await flow.show_alternatives(message, body["trigger_id"])


async def _show_reasons(flow: Flow, body: Body, answer: Answer) -> None:
    del answer
    await flow.show_reasons(read_value(PlanValue, _value(body)), body["trigger_id"])


async def _run_alternative(flow: Flow, body: Body, answer: Answer) -> None:
    del answer
    view = body["view"]
    message = read_value(MessageValue, view["private_metadata"])
    choice = read_value(ChoiceValue, _value(body)).choice
    await flow.run_alternative(message, choice, body["user"]["id"], view["id"])


async def _approve(flow: Flow, body: Body, answer: Answer) -> None:
    del answer
    await flow.approve(read_value(JobValue, _value(body)), *_where(body))


async def _cancel(flow: Flow, body: Body, answer: Answer) -> None:
    del answer
    await flow.cancel(read_value(JobValue, _value(body)), *_where(body))


ACTS: Mapping[ActionId, Act] = {
    ActionId.PICK: _pick,
    ActionId.RUN: _run,
    ActionId.ALTERNATIVES: _show_alternatives,
    ActionId.WHY_NOT: _show_reasons,
    ActionId.RUN_ALTERNATIVE: _run_alternative,
    ActionId.APPROVE: _approve,
    ActionId.CANCEL: _cancel,
}
"""What each press does; every action id has one."""


def _answer_with(respond: AsyncRespond) -> Answer:
    async def answer(text: str, blocks: Sequence[Block] | None) -> None:
        await respond(text=text, blocks=blocks, response_type="ephemeral", replace_original=False)

    return answer


def _value(body: Body) -> str:
    return str(body["actions"][0]["value"])


def _message(body: Body) -> tuple[str, MessageValue]:
    """Who pressed, and the plan's message with what its button carries."""
    value = read_value(PlanValue, _value(body))
    user, channel, timestamp = _where(body)
    return user, MessageValue(**value.model_dump(), channel=channel, timestamp=timestamp)


def _where(body: Body) -> tuple[str, str, str]:
    """Who pressed, in which channel, on which message."""
    container = body["container"]
    return body["user"]["id"], container["channel_id"], container["message_ts"]
