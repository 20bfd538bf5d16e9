"""A plan as people read it: what was understood, what to take, each card as a bar, what else, why not the rest.

On a terminal there is colour and a bar; in a pipe the same words without either. Nothing important wraps: every
line is cut to the width it is given.
"""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from planner.domain.units import GIB, format_gib, format_seconds

LABEL_WIDTH = 12
BAR_CELLS = 40
PARTS = (
    ("weights", "weights_bytes", "cyan", "█"),
    ("KV", "kv_cache_bytes", "magenta", "▓"),
    ("activations", "activation_bytes", "yellow", "▒"),
    ("overhead", "overhead_bytes", "bright_black", "░"),
)
SHOWN_ALTERNATIVES = 3
SHOWN_REJECTED = 5
PIPE_WIDTH = 160
NOT_MODELLED = "speculative decoding, prefix-cache hits, other tenants' load, CPU offload"


def print_plan(decision: Mapping[str, Any]) -> None:
    """Print a decision for a person."""
    console = make_console()
    lines = [*_understood(decision)]
    chosen = decision["chosen"]
    if chosen is None:
        lines += _nothing_fits(decision)
    else:
        lines += [
            Text(""),
            *_choice(decision, chosen),
            Text(""),
            *_memory(console, chosen),
            *_predictions(chosen),
        ]
    lines += _alternatives(decision)
    lines += _rejections(decision)
    lines += _labelled("mind", [Text(text, style="yellow") for text in decision["warnings"]])
    lines += _labelled("not modelled", [Text(NOT_MODELLED, style="dim")])
    for line in lines:
        console.print(line, overflow="ignore", no_wrap=True, crop=False, soft_wrap=True)


def make_console() -> Console:
    """A console that wraps nothing; colour only on a terminal."""
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    return Console(highlight=False, width=max(width, 80), soft_wrap=True)


def _labelled(label: str, texts: Sequence[Text | str]) -> list[Text]:
    lines = []
    for index, text in enumerate(texts):
        line = Text((label if index == 0 else "").ljust(LABEL_WIDTH) + " ", style="bold")
        line.append_text(text if isinstance(text, Text) else Text(text))
        line.stylize("not bold", LABEL_WIDTH)
        lines.append(line)
    return lines


def _understood(decision: Mapping[str, Any]) -> list[Text]:
    request, model, target = decision["request"], decision["model"], decision["target"]
    device = target["devices"][0]
    where = f" on {target['host']}" if target["host"] else ""
    assumed = set(request["assumed"])
    parts = [
        f"{request['context']:,} tokens" + (" (default)" if "context" in assumed else ""),
        f"{request['concurrency']} at once" + (" (default)" if "concurrency" in assumed else ""),
        f"{request['task']} use" + (" (default)" if "task" in assumed else ""),
        f"3:1 prompt to output, {request['objective']}",
    ]
    return _labelled(
        "understood",
        [
            f"{model['id']} · {target['label']}{where}, {device['total_bytes'] / GIB:.1f} GiB each",
            " · ".join(parts) + " · change: --context --concurrency --task --objective",
        ],
    )


def _choice(decision: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[Text]:
    head = Text(describe_choice(chosen), style="bold green")
    if decision.get("decision_id"):
        head.append(f"   decision {decision['decision_id']}", style="dim")
    lines: list[Text | str] = [head]
    if chosen.get("prebuilt"):
        lines.append(f"published as {chosen['prebuilt']['repo']}: nothing to make")
    lines += [chosen["why"], Text(chosen["serve"], style="cyan")]
    return _labelled("take", lines)


def describe_choice(candidate: Mapping[str, Any]) -> str:
    """A candidate in words: `W4A16, group 64, by gptq · vllm, TP 2`."""
    group = f", group {candidate['group_size']}" if candidate["group_size"] else ""
    method = f", by {candidate['method']}" if candidate["method"] not in {"none", "rtn"} else ""
    if candidate["method"] == "rtn" and candidate["format"] != "gguf":
        method = ", by rtn"
    return f"{candidate['scheme']}{group}{method} · {candidate['engine']}, {describe_placement(candidate)}"


def describe_placement(candidate: Mapping[str, Any]) -> str:
    """The placement in words."""
    parts = [
        f"{candidate['dp']} replicas" if candidate["dp"] > 1 else "",
        f"TP {candidate['tp']}" if candidate["tp"] > 1 else "",
        f"{'layers over' if candidate['engine'] != 'vllm' else 'PP'} {candidate['pp']}"
        if candidate["pp"] > 1
        else "",
    ]
    return " × ".join(part for part in parts if part) or "1 device"


def _memory(console: Console, chosen: Mapping[str, Any]) -> list[Text]:
    memory = chosen["memory"]
    usable = memory["usable_bytes"]
    words = "  ".join(f"{name} {memory[key] / GIB:.2f}" for name, key, _, _ in PARTS)
    low, high = memory["intervals"]["total_bytes"]
    total = f"= {memory['total_bytes'] / GIB:.1f} ({low / GIB:.1f}–{high / GIB:.1f}) of {usable / GIB:.1f} GiB usable"
    if not console.is_terminal:
        return _labelled("each device", [f"{words}  {total}"])
    bar = Text()
    used = 0
    for _, key, style, cell in PARTS:
        cells = round(BAR_CELLS * memory[key] / usable)
        bar.append(cell * cells, style=style)
        used += cells
    bar.append("·" * max(0, BAR_CELLS - used), style="dim")
    legend = Text()
    for name, key, style, cell in PARTS:
        legend.append(f"{cell} ", style=style)
        legend.append(f"{name} {memory[key] / GIB:.2f}  ")
    return _labelled("each device", [bar, legend, total])


def _predictions(chosen: Mapping[str, Any]) -> list[Text]:
    header = " " * 30 + f"{'low':>9}{'likely':>9}{'high':>9}   stands on"
    lines: list[Text | str] = [Text(header, style="dim")]
    for benchmark, quality in chosen["quality"].items():
        lines.append(_quality_line(benchmark, quality, chosen["method"]))
    speed = chosen["speed"]
    if speed["decode_tokens_per_s"] is None:
        lines.append("tokens/s: no measurement to predict from yet")
    else:
        low, high = speed["intervals"]["decode_tokens_per_s"]
        lines.append(
            f"{'tokens/s, one of the users':<30}{low:>9.1f}{speed['decode_tokens_per_s']:>9.1f}{high:>9.1f}   "
            f"{speed['basis']}: {speed['n_measurements']} figures of {chosen['engine']}, roofline"
        )
    return [*_labelled("expected", lines), *_labelled("making it", [_job_line(chosen)])]


def _quality_line(benchmark: str, quality: Mapping[str, Any], method: str) -> str:
    name = f"{benchmark}, change"
    if method == "none":
        return f"{name:<30}{'0':>9}{'0':>9}{'0':>9}   unquantized"
    delta = quality["expected_delta"]
    if delta is None:
        return f"{name:<30}{'–':>9}{'–':>9}{'–':>9}   no measurements: insufficient"
    scale = abs(quality["loss"] / delta) if delta else 0.0
    percents = (100 * scale * value for value in (quality["low_delta"], delta, quality["high_delta"]))
    figures = "".join(f"{percent:>+8.1f}%" for percent in percents)
    sources = len(quality["sources"])
    return (
        f"{name:<30}{figures}   {quality['basis']}: {quality['n_measurements']} results of {sources} "
        f"source{'s' if sources != 1 else ''}"
    )


def _job_line(chosen: Mapping[str, Any]) -> str:
    job = chosen["job"]
    if job["backend"] is None:
        fetch = f": {format_gib(job['disk_bytes'])} to fetch" if job["disk_bytes"] else ""
        return f"nothing to make{fetch}"
    low, high = job["intervals"]["minutes"]
    time = f"{format_seconds(60 * low)} to {format_seconds(60 * high)}, likely {format_seconds(60 * job['minutes'])}"
    vram = f" · {format_gib(job['vram_bytes'])} on one card" if job["vram_bytes"] else ""
    calibration = ""
    if job["calibration_samples"]:
        calibration = f" · {job['calibration_samples']} × {job['calibration_tokens']} tokens of calibration"
    guess = " · a guess until one has run" if job["basis"] == "prior" else ""
    return (
        f"{time} by {job['backend']} · {format_gib(job['ram_bytes'])} RAM{vram} · "
        f"{format_gib(job['disk_bytes'])} disk{calibration}{guess}"
    )


def _alternatives(decision: Mapping[str, Any]) -> list[Text]:
    seen = {_kind(decision["chosen"])} if decision["chosen"] else set()
    shown: list[str] = []
    for candidate in decision["alternatives"]:
        if _kind(candidate) in seen:
            continue
        seen.add(_kind(candidate))
        shown.append(_alternative_line(candidate))
        if len(shown) == SHOWN_ALTERNATIVES:
            break
    more = len(decision["alternatives"]) - len(shown)
    if more > 0 and shown:
        shown.append(f"… {more} more in --json")
    return [Text(""), *_labelled("also", shown)] if shown else []


def _kind(candidate: Mapping[str, Any]) -> tuple[Any, ...]:
    return (candidate["scheme"], candidate["method"], candidate["engine"], bool(candidate.get("prebuilt")))


def _alternative_line(candidate: Mapping[str, Any]) -> str:
    memory = candidate["memory"]
    spare = memory["headroom_bytes"] / memory["usable_bytes"]
    quality = next(iter(candidate["quality"].values()))
    loss = "no loss" if candidate["method"] == "none" else "loss unknown"
    if candidate["method"] != "none" and quality["loss"] is not None:
        loss = f"{-100 * quality['loss']:+.1f} %"
    speed = candidate["speed"]["decode_tokens_per_s"]
    rate = f"{speed:.0f} tok/s" if speed is not None else "speed unknown"
    note = f"   take {candidate['prebuilt']['repo']}" if candidate.get("prebuilt") else ""
    return f"{describe_choice(candidate):<52}{loss:>9}  {rate:>9}  {spare:>4.0%} to spare{note}"


def _rejections(decision: Mapping[str, Any]) -> list[Text]:
    rejected = decision["rejected"]
    if not rejected:
        return []
    by_code: dict[tuple[str, str], Mapping[str, Any]] = {}
    for item in sorted(rejected, key=_telling):
        by_code.setdefault((item["code"], item["scheme"]), item)
    codes: dict[str, int] = {}
    lines: list[Text | str] = []
    for (code, _), item in by_code.items():
        codes[code] = codes.get(code, 0) + 1
        if codes[code] > 2 or len(lines) >= 2 * SHOWN_REJECTED:
            continue
        lines.append(f"{_rejected_name(item):<46}{item['message']}")
        if item.get("way_out") and code.startswith(("shape.", "capability.")):
            lines.append(Text(f"{'':<46}→ {', '.join(item['way_out'])}", style="green"))
    where = (
        f"bitwright decisions show {decision['decision_id']} --rejected"
        if decision.get("decision_id")
        else "--json"
    )
    lines.append(Text(f"… {len(rejected)} verdicts in all: {where}", style="dim"))
    return [Text(""), *_labelled("not", lines)]


def _telling(item: Mapping[str, Any]) -> int:
    order = ("shape.", "capability.", "engine.", "unknown.", "memory.", "policy.", "objective.")
    return next((index for index, prefix in enumerate(order) if item["code"].startswith(prefix)), len(order))


def _rejected_name(item: Mapping[str, Any]) -> str:
    group = f", group {item['group_size']}" if item["group_size"] else ""
    return f"{item['scheme']}{group} · {item['engine']}, {describe_placement(item)}"


def _nothing_fits(decision: Mapping[str, Any]) -> list[Text]:
    lines: list[Text | str] = [Text("nothing that is allowed fits this target", style="bold red")]
    lines += [
        f"would do: {option['change']} ({option['target']}): {option['candidate']}"
        for option in decision.get("would_fit") or []
    ]
    if not decision.get("would_fit"):
        lines.append(
            "no wider target that was tried would do either: a smaller model, or a card with more memory"
        )
    return [Text(""), *_labelled("take", lines)]
