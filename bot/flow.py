"""From a slash command to a card, and from a press to what it does. Knows Slack's words, not its library."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.cards.ambiguity import make_menu, say_meant
from bot.cards.blocks import Block, context, escape
from bot.cards.choices import (
    make_alternatives_dialog,
    make_refused_dialog,
    make_submitted_dialog,
    make_why_not_dialog,
)
from bot.cards.plan import make_plan_card, summarise_plan
from bot.command import LONGEST_ASK, Help, TooLong, read_command
from bot.failures import Refused, describe_failure
from bot.following import Following
from bot.follows import Followed
from bot.ids import AskValue, JobValue, MessageValue, PlanValue
from bot.messages import Card, Messages, name_refusal
from bot.policy import Policy
from bot.service import Service
from planner.contract.errors import ContractError
from planner.contract.requests import CandidateChoice

log = logging.getLogger("bitwright.bot")

AMBIGUOUS_EXIT_STATUS = 4
HELP = (
    "Ask for a plan in one sentence:\n"
    "• `/quantize qwen-72b for 2x A6000`\n"
    "• `/quantize llama-8b for RTX 4090, 32k context, 8 users, best quality`\n"
    "• `/quantize /models/my-checkpoint for this machine`"
)
NOT_HERE = frozenset({"not_in_channel", "channel_not_found", "restricted_action"})
INVITE = (
    "I am not in this conversation, so this is for your eyes only. Invite me to run it: `/invite @Bitwright`"
)

Answer = Callable[[str, Sequence[Block] | None], Awaitable[Any]]
"""Say something to the one who asked, and to nobody else: text, and blocks in its place."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What happens when someone types or presses."""

    service: Service
    messages: Messages
    policy: Policy
    following: Following

    async def answer_command(self, text: str, user: str, channel: str, answer: Answer) -> None:
        """`/quantize …`: the plan, in the channel."""
        asked = read_command(text)
        if isinstance(asked, Help):
            await answer(HELP, None)
            return
        if isinstance(asked, TooLong):
            raise Refused(
                "request.too_long",
                f"That is {asked.characters:,} characters: a sentence has {LONGEST_ASK:,} at most.",
            )
        await self._plan(asked.sentence, user, channel, answer)

    async def answer_pick(
        self, value: AskValue, choice: str, user: str, channel: str, answer: Answer
    ) -> None:
        """What was meant by words that mean several things: the sentence again, with it in their place."""
        await self._plan(say_meant(value, choice), user, channel, answer)

    async def show_alternatives(self, message: MessageValue, trigger_id: str) -> None:
        """A dialog of alternatives, over the plan's message."""
        decision = await self.service.show_decision(message.decision_id)
        await self.messages.open_dialog(trigger_id, make_alternatives_dialog(decision, message))

    async def show_reasons(self, value: PlanValue, trigger_id: str) -> None:
        """A dialog of reasons against everything else."""
        decision = await self.service.show_decision(value.decision_id)
        await self.messages.open_dialog(trigger_id, make_why_not_dialog(decision))

    async def run(self, message: MessageValue, choice: CandidateChoice, user: str) -> str:
        """Make a job of a plan, approve it unless that takes someone else, follow it; the job's id.

        The message names the job, so that two presses make one.
        """
        self.policy.check_run(user)
        key = f"slack-{message.channel}-{message.timestamp}"
        job = await self.service.submit_job(message.decision_id, choice, key, user)
        decision = await self.service.show_decision(message.decision_id)
        made = _find_candidate(decision, choice)
        if job.state == "submitted" and not self.policy.needs_approval(made):
            await self.service.approve_job(job.job_id, user)
        value = JobValue(job_id=job.job_id, decision_id=message.decision_id, asker=message.asker, runner=user)
        self.following.start(Followed(channel=message.channel, timestamp=message.timestamp, job=value))
        return job.job_id

    async def run_alternative(
        self, message: MessageValue, choice: CandidateChoice, user: str, view_id: str
    ) -> None:
        """`Run this` in the dialog of alternatives: the answer stands in the dialog."""
        try:
            view = make_submitted_dialog(await self.run(message, choice, user))
        except Exception as error:  # noqa: BLE001 - a dialog has no other place for what went wrong
            view = make_refused_dialog(describe_failure(error))
        await self.messages.change_dialog(view_id, view)

    async def approve(self, value: JobValue, user: str, channel: str, timestamp: str) -> None:
        """`Approve`: executors may have the job."""
        self.policy.check_approval(user, value)
        await self.service.approve_job(value.job_id, user)
        self.following.start(Followed(channel=channel, timestamp=timestamp, job=value))

    async def cancel(self, value: JobValue, user: str, channel: str, timestamp: str) -> None:
        """`Cancel`: the job stops."""
        self.policy.check_cancel(user, value)
        await self.service.cancel_job(value.job_id)
        self.following.start(Followed(channel=channel, timestamp=timestamp, job=value))

    async def _plan(self, sentence: str, user: str, channel: str, answer: Answer) -> None:
        try:
            decision = await self.service.plan(sentence)
        except ContractError as error:
            menu = None
            if error.exit_status == AMBIGUOUS_EXIT_STATUS:
                menu = make_menu(sentence, error.message, error.choices)
            if menu is None:
                raise
            await answer(escape(error.message), menu)
            return
        chosen = decision["chosen"]
        needs_approval = chosen is not None and self.policy.needs_approval(chosen)
        blocks = make_plan_card(decision, user, needs_approval=needs_approval)
        await self._post(Card(blocks, summarise_plan(decision)), channel, answer)

    async def _post(self, card: Card, channel: str, answer: Answer) -> None:
        try:
            await self.messages.post(channel, card)
        except SlackApiError as error:
            if name_refusal(error) not in NOT_HERE:
                raise
            log.info("not in %s: answered in private", channel)
            shown = [block for block in card.blocks if block["type"] != "actions"]
            await answer(card.text, [*shown, context(INVITE)])


def _find_candidate(decision: dict[str, Any], choice: CandidateChoice) -> dict[str, Any]:
    """The candidate that a job of this choice makes: the best-ranked one that agrees with it."""
    wanted = choice.model_dump(exclude_none=True)
    candidates: list[dict[str, Any]] = [decision["chosen"], *decision["alternatives"]]
    agreeing = (one for one in candidates if all(one[name] == value for name, value in wanted.items()))
    return next(agreeing, candidates[0])
