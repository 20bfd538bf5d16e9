"""What to read beside a plan: its alternatives, and all reasons against the rest. Both are dialogs."""

from collections.abc import Mapping
from typing import Any

from bot.cards.blocks import Block, button, clip, confirm, context, escape, inline_code, modal, section
from bot.cards.candidate import (
    describe_candidate,
    describe_loss,
    describe_spare,
    is_made,
    name_choice,
)
from bot.cards.plan import describe_reason, rank_reasons
from bot.figures import format_duration
from bot.ids import ActionId, ChoiceValue, MessageValue

Record = Mapping[str, Any]

SHOWN_ALTERNATIVES = 20
SHOWN_REJECTED = 40


def make_alternatives_dialog(decision: Record, message: MessageValue) -> Block:
    """Alternatives from best to worst; what can be made has a button that makes it."""
    candidates = decision["alternatives"]
    blocks = [_describe_alternative(candidate) for candidate in candidates[:SHOWN_ALTERNATIVES]]
    rest = len(candidates) - len(blocks)
    more = [context(f"… {rest} more: bitwright decisions show {decision['decision_id']}")] if rest > 0 else []
    return modal("Alternatives", [*blocks, *more], message.as_value())


def make_why_not_dialog(decision: Record) -> Block:
    """One reason for each scheme and code, the most telling first."""
    reasons = rank_reasons(decision["rejected"])
    blocks = [section(describe_reason(item, decision["chosen"])) for item in reasons[:SHOWN_REJECTED]]
    count = len(decision["rejected"])
    more = f"{count} verdicts in all: bitwright decisions show {decision['decision_id']} --rejected"
    return modal("Why not…", [*blocks, context(more)])


def make_submitted_dialog(job_id: str) -> Block:
    """After a button in the dialog: the message goes on from here."""
    return modal(
        "Alternatives", [section(f"Job {escape(job_id)} is submitted: the message shows how it goes.")]
    )


def make_refused_dialog(sentence: str) -> Block:
    """A refusal where the dialog was."""
    return modal("Alternatives", [section(f"⚠ {sentence}")])


def _describe_alternative(candidate: Record) -> Block:
    rate = candidate["speed"]["decode_tokens_per_s"]
    speed = "speed unknown" if rate is None else f"{rate:.0f} tokens/s"
    facts = f"{describe_loss(candidate)} · {speed} · {describe_spare(candidate)}"
    text = f"*{escape(describe_candidate(candidate))}*\n{escape(facts)}"
    if not is_made(candidate):
        return section(f"{text}\n{_say_what_to_do(candidate)}")
    minutes = format_duration(60 * candidate["job"]["minutes"])
    value = ChoiceValue(choice=name_choice(candidate)).as_value()
    asks = confirm("Make this one?", f"{minutes} of work.", "Run", "Not now")
    return section(
        f"{text} · {minutes} to make", button("Run this", ActionId.RUN_ALTERNATIVE, value, confirm=asks)
    )


def _say_what_to_do(candidate: Record) -> str:
    if candidate.get("prebuilt"):
        return f"nothing to make: take {inline_code(clip(candidate['prebuilt']['repo'], 200))}"
    return "nothing to make: the model as released"
