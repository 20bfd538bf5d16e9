"""The plan: what to take, memory per card, quality, speed, what making it costs, why not the obvious.

The same card goes on as the job's message (cards/job.py), so that one message tells the story to its end.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.cards.blocks import (
    Block,
    actions,
    button,
    clip,
    code,
    confirm,
    context,
    escape,
    header,
    inline_code,
    section,
)
from bot.cards.candidate import (
    describe_candidate,
    describe_job,
    describe_quality,
    describe_rejected,
    describe_speed,
    is_made,
)
from bot.charts import draw_memory
from bot.figures import format_duration, format_size
from bot.ids import ActionId, PlanValue

Record = Mapping[str, Any]

SHOWN_REASONS = 3
OBVIOUS = ("shape.", "capability.", "engine.", "unknown.", "memory.", "objective.", "policy.")
"""Codes by how surprising they are to someone who asks "why not …?"."""
NAMESAKE_FIELDS = ("scheme", "group_size", "engine", "tp", "pp", "dp")


def make_plan_card(decision: Record, asker: str, *, needs_approval: bool) -> list[Block]:
    """The answer to `/quantize`, with what can be pressed."""
    if decision["chosen"] is None:
        return [
            *describe_nothing_fits(decision),
            *_small_print(decision, asker),
            *_buttons(decision, asker, None),
        ]
    return [
        *describe_plan(decision, decision["chosen"]),
        *_reasons(decision),
        *_small_print(decision, asker),
        *_buttons(decision, asker, decision["chosen"], needs_approval=needs_approval),
    ]


def summarise_plan(decision: Record) -> str:
    """The plan in one line: notifications and screen readers show this instead of blocks."""
    subject = f"{decision['model']['id']} on {decision['target']['label']}"
    chosen = decision["chosen"]
    take = "nothing that is allowed fits" if chosen is None else describe_candidate(chosen)
    return escape(f"{subject}: {take}")


def describe_plan(decision: Record, candidate: Record) -> list[Block]:
    """Model, target and one candidate with everything predicted for it."""
    quality = [
        escape(describe_quality(name, predicted, candidate["method"]))
        for name, predicted in candidate["quality"].items()
    ]
    if candidate["method"] in {"none", "native"}:
        quality = quality[:1]
    low, high = candidate["memory"]["intervals"]["total_bytes"]
    return [
        _title(decision),
        section(f"*Take {escape(describe_candidate(candidate))}*\n{clip(escape(candidate['why']), 800)}"),
        section(
            f"*Memory of each card* · {format_size(low)} to {format_size(high)} at the ends of the estimate\n"
            + code(draw_memory(candidate["memory"]), 400)
        ),
        section(
            clip(
                f"*Quality* · {' · '.join(quality[:1])}\n"
                + "".join(f"{line}\n" for line in quality[1:])
                + f"*Speed* · {escape(describe_speed(candidate))}\n"
                f"*Making it* · {escape(describe_job(candidate))}{_say_what_to_take(candidate)}",
                1200,
            )
        ),
        section(f"*Serve it with*\n{code(candidate['serve'], 900)}"),
    ]


def describe_nothing_fits(decision: Record) -> list[Block]:
    """That nothing fits, why, and what would do."""
    would = [
        f"• *{escape(option['change'])}*: {escape(option['candidate'])} on {escape(option['target'])}"
        for option in decision.get("would_fit") or ()
    ]
    advice = would or ["• no wider target that was tried: a smaller model, or cards with more memory"]
    return [
        _title(decision),
        section("*Nothing that is allowed fits.*\n*What would do*\n" + clip("\n".join(advice), 1500)),
        *_reasons(decision),
    ]


def rank_reasons(rejected: Sequence[Record]) -> list[Record]:
    """One rejection for each code and scheme, the most telling codes first."""
    first: dict[tuple[str, str], Record] = {}
    for item in sorted(rejected, key=lambda item: _telling(item["code"])):
        first.setdefault((item["code"], item["scheme"]), item)
    return list(first.values())


def describe_reason(item: Record, chosen: Record | None) -> str:
    """Why one candidate was not taken, and the way out where there is one."""
    # A published checkpoint may be padded where the model as released is not: the same words, another fate.
    is_namesake = chosen is not None and all(item[name] == chosen[name] for name in NAMESAKE_FIELDS)
    whose = " of the model as released" if is_namesake and not item.get("prebuilt") else ""
    text = f"• *{escape(describe_rejected(item))}*{whose}: {escape(item['message'])}"
    ways = item.get("way_out")
    return clip(text, 500) + (f"\n   → {clip(escape(', '.join(ways)), 300)}" if ways else "")


def _say_what_to_take(candidate: Record) -> str:
    if candidate.get("prebuilt"):
        return f" as {inline_code(candidate['prebuilt']['repo'])}; the command below fetches and serves it"
    return "" if is_made(candidate) else "; the command below serves the model as released"


def _title(decision: Record) -> Block:
    target = decision["target"]
    where = f" ({target['host']})" if target.get("host") else ""
    return header(f"{decision['model']['id']} on {target['label']}{where}")


def _reasons(decision: Record) -> list[Block]:
    shown: list[Record] = []
    kinds: set[str] = set()
    for item in rank_reasons(decision["rejected"]):
        kind = item["code"]
        if kind not in kinds:
            kinds.add(kind)
            shown.append(item)
    lines = "\n".join(describe_reason(item, decision["chosen"]) for item in shown[:SHOWN_REASONS])
    return [section(f"*Why not …*\n{lines}")] if shown else []


def _small_print(decision: Record, asker: str) -> list[Block]:
    request = decision["request"]
    assumed = set(request["assumed"])
    workload = " · ".join(
        text + (" (default)" if name in assumed else "")
        for name, text in (
            ("context", f"{request['context']:,} tokens"),
            ("concurrency", f"{request['concurrency']} at once"),
            ("task", f"{request['task']} use"),
        )
    )
    asked = f"<@{escape(asker)}> asked {inline_code(clip(request['text'], 300))}"
    warnings = [f"⚠ {clip(escape(text), 300)}" for text in decision["warnings"][:4]]
    return [
        *([context("\n".join(warnings))] if warnings else []),
        context(
            f"{asked} · {escape(workload)} · {request['objective']} · decision {decision['decision_id']}"
        ),
    ]


def _buttons(
    decision: Record, asker: str, chosen: Record | None, *, needs_approval: bool = False
) -> list[Block]:
    value = PlanValue(decision_id=decision["decision_id"], asker=asker).as_value()
    row: list[Block] = []
    if chosen is not None and is_made(chosen):
        job = chosen["job"]
        text = (
            f"{format_duration(60 * job['minutes'])} of work, {format_size(job['disk_bytes'])} of disk."
            + (" Someone else has to approve it." if needs_approval else "")
        )
        asks = confirm("Make it?", text, "Run", "Not now")
        row.append(button("Run", ActionId.RUN, value, style="primary", confirm=asks))
    if decision["alternatives"]:
        row.append(button("Alternatives", ActionId.ALTERNATIVES, value))
    if decision["rejected"]:
        row.append(button("Why not…", ActionId.WHY_NOT, value))
    return [actions(row)] if row else []


def _telling(code: str) -> int:
    return next((place for place, prefix in enumerate(OBVIOUS) if code.startswith(prefix)), len(OBVIOUS))
