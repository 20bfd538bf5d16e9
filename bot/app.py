"""Slack's library and the flow, wired: what is typed or pressed is acknowledged first and answered after.

Slack waits three seconds for an acknowledgement; it is sent before anything is asked of anybody. Every request's
signature is checked by the library (HMAC-SHA256 of the body, not older than five minutes), except in Socket Mode,
where there are no requests from outside.
"""

from collections.abc import Sequence
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.cards.blocks import Block
from bot.failures import describe_failure
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
from planner.contract.requests import CandidateChoice

COMMAND = "/quantize"

Body = dict[str, Any]


def make_app(client: AsyncWebClient, signing_secret: str, identity: AuthorizeResult, flow: Flow) -> AsyncApp:
    """The Slack app over a flow; `identity` is who the bot's token belongs to."""

    async def authorize() -> AuthorizeResult:
        return identity

    app = AsyncApp(client=client, signing_secret=signing_secret, authorize=authorize)
    _take_commands(app, flow)
    _take_plan_presses(app, flow)
    _take_job_presses(app, flow)
    _take_failures(app)
    return app


def _take_commands(app: AsyncApp, flow: Flow) -> None:
    @app.command(COMMAND)
    async def quantize(ack: AsyncAck, command: Body, respond: AsyncRespond) -> None:
        await ack()
        text, user, channel = command.get("text", ""), command["user_id"], command["channel_id"]
        await flow.answer_command(text, user, channel, _answer_with(respond))

    @app.action(ActionId.PICK)
    async def pick(ack: AsyncAck, body: Body, action: Body, respond: AsyncRespond) -> None:
        await ack()
        value = read_value(AskValue, action["block_id"])
        choice = action["selected_option"]["value"]
        user, channel, _ = _where(body)
        await flow.answer_pick(value, choice, user, channel, _answer_with(respond))


def _take_plan_presses(app: AsyncApp, flow: Flow) -> None:
    @app.action(ActionId.RUN)
    async def run(ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        value = read_value(PlanValue, action["value"])
        user, channel, timestamp = _where(body)
        message = MessageValue(**value.model_dump(), channel=channel, timestamp=timestamp)
        await flow.run(message, CandidateChoice(), user)

    @app.action(ActionId.ALTERNATIVES)
    async def alternatives(ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        value = read_value(PlanValue, action["value"])
        _, channel, timestamp = _where(body)
        await flow.show_alternatives(value, body["trigger_id"], channel, timestamp)

    @app.action(ActionId.WHY_NOT)
    async def why_not(ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        await flow.show_reasons(read_value(PlanValue, action["value"]), body["trigger_id"])

    @app.action(ActionId.RUN_ALTERNATIVE)
    async def run_alternative(ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        view = body["view"]
        message = read_value(MessageValue, view["private_metadata"])
        choice = read_value(ChoiceValue, action["value"]).choice
        await flow.run_alternative(message, choice, body["user"]["id"], view["id"])


def _take_job_presses(app: AsyncApp, flow: Flow) -> None:
    @app.action(ActionId.APPROVE)
    async def approve(ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        await flow.approve(read_value(JobValue, action["value"]), *_where(body))

    @app.action(ActionId.CANCEL)
    async def cancel(ack: AsyncAck, body: Body, action: Body) -> None:
        await ack()
        await flow.cancel(read_value(JobValue, action["value"]), *_where(body))


def _take_failures(app: AsyncApp) -> None:
    @app.error
    async def fail(error: Exception, body: Body, respond: AsyncRespond) -> BoltResponse:
        sentence = describe_failure(error)
        if body.get("response_url"):
            await _answer_with(respond)(sentence, None)
        return BoltResponse(status=200, body="")


def _answer_with(respond: AsyncRespond) -> Answer:
    async def answer(text: str, blocks: Sequence[Block] | None) -> None:
        await respond(text=text, blocks=blocks, response_type="ephemeral", replace_original=False)

    return answer


def _where(body: Body) -> tuple[str, str, str]:
    """Who pressed, in which channel, on which message."""
    container = body["container"]
    return body["user"]["id"], container["channel_id"], container["message_ts"]
