"""The plan's message once a job was made of it: waiting, under way, and the end with predicted beside measured."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bot.cards.blocks import Block, actions, button, clip, code, confirm, context, escape, section
from bot.cards.candidate import CHOICE_FIELDS, describe_candidate
from bot.cards.plan import describe_plan
from bot.figures import format_duration, format_figure
from bot.ids import ActionId, JobValue
from bot.progress import Progress, draw_progress
from planner.contract.answers import JobRecord

Record = Mapping[str, Any]

LABELS: Mapping[str, str] = {
    "artifact_bytes": "artifact on disk",
    "load_bytes": "weights in memory",
    "job_minutes": "making and checking",
    "peak_ram_bytes": "peak RAM of the job",
    "perplexity_change_percent": "perplexity, change",
    "decode_tokens_per_s": "decode, one user",
    "prefill_tokens_per_s": "prefill",
    "kl_divergence": "KL divergence",
    "top1_agreement": "same next token",
}
"""Figures in the order they are shown: the terminal's words."""
SILENT = "Bitwright's service does not answer at the moment: this is the last that was heard of the job."


def make_job_card(
    decision: Record, job: JobRecord, progress: Progress, value: JobValue, *, approvers: Sequence[str] = ()
) -> list[Block]:
    """The job as it stands."""
    made = find_made(decision, job)
    if progress.state == "completed":
        return [*describe_plan(decision, made)[:2], *_describe_done(decision, job, made), _foot(value)]
    card = [*describe_plan(decision, made), *_describe_standing(progress, value, approvers)]
    buttons = _buttons(progress, value)
    return [*card, _foot(value), *([actions(buttons)] if buttons else [])]


def summarise_job(decision: Record, job: JobRecord, progress: Progress) -> str:
    """The job in one line."""
    made = describe_candidate(find_made(decision, job))
    return escape(f"{decision['model']['id']}, {made}: {progress.state}")


def find_made(decision: Record, job: JobRecord) -> Record:
    """The candidate that a job makes: the one that its specification names."""
    candidates: list[Record] = [decision["chosen"], *decision["alternatives"]]
    named = {name: job.specification[name] for name in CHOICE_FIELDS if name in job.specification}
    for candidate in candidates:
        if all(candidate[name] == wanted for name, wanted in named.items()) and candidate["backend"]:
            return candidate
    return candidates[0]


def locate_serve(made: Record, job: JobRecord) -> str:
    """The serve command with the folder or file where the artifact really lies."""
    result = job.result or {}
    folder = str(result.get("artifact_dir", ""))
    files = [str(file["path"]) for file in result.get("manifest", {}).get("files", ())]
    single = next((name for name in files if name.endswith(".gguf")), None)
    place = f"{folder}/{single}" if single else folder
    parts = shlex.split(made["serve"])
    return shlex.join(place if folder and part.startswith("./") else part for part in parts)


def _describe_standing(progress: Progress, value: JobValue, approvers: Sequence[str]) -> list[Block]:
    texts = (*progress.warnings, *((SILENT,) if progress.is_silent else ()))
    warnings = [context(clip(f"⚠ {escape(text)}", 400)) for text in texts]
    return [section(f"*{_headline(progress, value, approvers)}*\n{_detail(progress)}"), *warnings]


def _headline(progress: Progress, value: JobValue, approvers: Sequence[str]) -> str:
    if progress.state == "submitted":
        who = " or ".join(f"<@{escape(user)}>" for user in approvers[:5] if user != value.runner)
        return f"Waits for approval by {who or 'someone else'}"
    if progress.state == "approved":
        return "Waits for a host"
    host = f" on {escape(progress.host)}" if progress.host else ""
    return {"claimed": "Running", "failed": "Failed", "cancelled": "Cancelled"}.get(
        progress.state, progress.state
    ) + host


def _detail(progress: Progress) -> str:
    if progress.state == "failed":
        error = progress.error or {}
        message = clip(escape(str(error.get("message", "no reason given"))), 800)
        return f"{message}  [{escape(str(error.get('code', 'unknown')))}]"
    if progress.state == "cancelled":
        return "Nothing was published."
    return escape(clip(draw_progress(progress), 600))


def _describe_done(decision: Record, job: JobRecord, made: Record) -> list[Block]:
    rows = [row for row in decision.get("measurements") or () if row["job_id"] == job.job_id]
    by_name = {row["name"]: row for row in rows}
    folder = str((job.result or {}).get("artifact_dir", ""))
    lies = f"\n*Artifact* on {escape(job.host or 'its host')}\n{code(folder, 400)}" if folder else ""
    return [
        section(f"*{_say_done(by_name)}*\n{code(tabulate_figures(by_name), 1600)}"),
        section(f"*Serve it with*\n{code(locate_serve(made, job), 900)}{lies}"),
    ]


def _say_done(by_name: Mapping[str, Record]) -> str:
    minutes = by_name.get("job_minutes")
    if minutes is None:
        return "Done"
    said = minutes["predicted"]
    promise = "" if said is None else f" (said {format_duration(60 * said)})"
    return f"Done in {format_duration(60 * minutes['measured'])}{promise}"


def tabulate_figures(by_name: Mapping[str, Record]) -> str:
    """Every figure measured, beside what was promised and its interval."""
    lines = [f"{'':<20}{'measured':>14}   said"]
    for name, label in LABELS.items():
        if name in by_name:
            row = by_name[name]
            lines.append(
                f"{label:<20}{format_figure(row['measured'], row['unit']):>14}   {_say_promise(row)}"
            )
    return "\n".join(lines)


def _say_promise(row: Record) -> str:
    if row["predicted"] is None:
        return "–"
    likely = format_figure(row["predicted"], row["unit"])
    ends = [row["predicted_low"], row["predicted_high"]]
    if None in ends:
        return likely
    low, high = (format_figure(end, row["unit"]) for end in ends)
    units = {text.partition(" ")[2] for text in (likely, low, high)}
    if len(units) == 1:
        low, high = low.partition(" ")[0], high.partition(" ")[0]
    return f"{likely} ({low} … {high})"


def _buttons(progress: Progress, value: JobValue) -> list[Block]:
    if progress.is_over:
        return []
    ends = confirm("Cancel it?", "The job stops and leaves nothing behind.", "Cancel the job", "Keep it")
    cancel = button("Cancel", ActionId.CANCEL, value.as_value(), style="danger", confirm=ends)
    if progress.state != "submitted":
        return [cancel]
    return [button("Approve", ActionId.APPROVE, value.as_value(), style="primary"), cancel]


def _foot(value: JobValue) -> Block:
    who = f"<@{escape(value.asker)}> asked"
    if value.runner != value.asker:
        who += f", <@{escape(value.runner)}> pressed Run"
    return context(f"{who} · decision {value.decision_id} · job {value.job_id}")
