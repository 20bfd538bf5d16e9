"""A plan as people read it: what was understood, what to take, each card as a bar, what else, why not the rest.

On a terminal there is colour and a bar, and long lines wrap under their own column; in a pipe the same words
without either, each line whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from planner.cli.consoles import make_console
from planner.cli.wrapping import set_beside, wrap_command, wrap_lines
from planner.domain.units import GIB, format_gib, format_seconds

LABEL_WIDTH = 12
INDENT = LABEL_WIDTH + 1
"""Column at which text starts, right of its label."""
BAR_CELLS = 40
PARTS = (
    ("weights", "weights_bytes", "cyan", "█"),
    ("KV", "kv_cache_bytes", "magenta", "▓"),
    ("activations", "activation_bytes", "yellow", "▒"),
    ("overhead", "overhead_bytes", "bright_black", "░"),
)
BASIS_COLUMN = 60
FIGURES_COLUMN = 52
MESSAGE_COLUMN = 46
"""Columns, from INDENT on, at which the right part of a line starts."""
SHOWN_ALTERNATIVES = 3
SHOWN_REJECTED = 5
NOT_MODELLED = "speculative decoding, prefix-cache hits, other tenants' load, layers in host memory"


def print_plan(decision: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a decision for a person."""
    console = console or make_console()
    lines = [*_labelled(console, "understood", _understood(decision))]
    chosen = decision["chosen"]
    if chosen is None:
        lines += [Text(""), *_labelled(console, "take", _nothing_fits(decision))]
    else:
        lines += [
            Text(""),
            *_labelled(console, "take", _choice(console, decision, chosen)),
            Text(""),
            *_labelled(console, "each device", _memory(console, chosen)),
            *_labelled(console, "expected", _predictions(console, chosen)),
            *_labelled(console, "making it", [_job_line(chosen)]),
        ]
    for label, texts in (
        ("also", _alternatives(console, decision)),
        ("not", _rejections(console, decision)),
    ):
        lines += [Text(""), *_labelled(console, label, texts)] if texts else []
    lines += _labelled(console, "mind", [Text(text, style="yellow") for text in decision["warnings"]])
    lines += _labelled(console, "not modelled", [Text(NOT_MODELLED, style="dim")])
    for line in lines:
        console.print(line, soft_wrap=True)


def _labelled(console: Console, label: str, texts: Sequence[Text | str]) -> list[Text]:
    parts = [
        part
        for text in texts
        for part in wrap_lines(console, text if isinstance(text, Text) else Text(text), INDENT)
    ]
    lines = []
    for index, part in enumerate(parts):
        line = Text((label if index == 0 else "").ljust(INDENT), style="bold")
        line.append_text(part)
        line.stylize("not bold", LABEL_WIDTH)
        lines.append(line)
    return lines


def _understood(decision: Mapping[str, Any]) -> list[str]:
    request, model, target = decision["request"], decision["model"], decision["target"]
    where = f" on {target['host']}" if target["host"] else ""
    assumed = set(request["assumed"])
    parts = [
        f"{request['context']:,} tokens" + (" (default)" if "context" in assumed else ""),
        f"{request['concurrency']} at once" + (" (default)" if "concurrency" in assumed else ""),
        f"{request['task']} use" + (" (default)" if "task" in assumed else ""),
        f"3:1 prompt to output, {request['objective']}",
    ]
    return [
        f"{model['id']} · {describe_devices(target)}{where}",
        " · ".join(parts) + " · change: --context --concurrency --task --objective",
    ]


def describe_devices(target: Mapping[str, Any]) -> str:
    """The devices with their memory: `2 × RTX A6000, 48.0 GiB each`; each kind's own where they differ."""
    devices = target["devices"]
    kinds = target["label"].split(" + ")
    sizes = list(dict.fromkeys((device["name"], device["total_bytes"]) for device in devices))
    if len({size for _, size in sizes}) == 1:
        return f"{target['label']}, {format_gib(devices[0]['total_bytes'])} each"
    if len(kinds) == len(sizes):
        return " + ".join(
            f"{kind} of {format_gib(size)}" for kind, (_, size) in zip(kinds, sizes, strict=True)
        )
    listed = " + ".join(format_gib(device["total_bytes"]) for device in devices)
    return f"{target['label']}, {listed}"


def _choice(console: Console, decision: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[Text | str]:
    head = Text(describe_choice(chosen), style="bold green")
    if decision.get("decision_id"):
        head.append(f"   decision {decision['decision_id']}", style="dim")
    lines: list[Text | str] = [head]
    if chosen.get("prebuilt"):
        lines.append(f"published as {chosen['prebuilt']['repo']}: nothing to make")
    lines.append(chosen["why"])
    lines += [Text(part, style="cyan") for part in wrap_command(console, chosen["serve"], INDENT)]
    return lines


def describe_choice(candidate: Mapping[str, Any]) -> str:
    """A candidate in words: `W4A16, group 64, by gptq · vllm, TP 2`."""
    group = f", group {candidate['group_size']}" if candidate["group_size"] else ""
    method = f", by {candidate['method']}" if candidate["method"] not in {"none", "rtn"} else ""
    if candidate["method"] == "native":
        method = ", as released"
    if candidate["method"] == "rtn" and candidate["format"] != "gguf":
        method = ", by rtn"
    return f"{candidate['scheme']}{group}{method} · {candidate['engine']}, {describe_placement(candidate)}"


def describe_placement(candidate: Mapping[str, Any]) -> str:
    """The placement in words."""
    parts = [
        f"{candidate['dp']} replicas" if candidate["dp"] > 1 else "",
        f"TP {candidate['tp']}" if candidate["tp"] > 1 else "",
        "expert parallel" if candidate.get("ep", 1) > 1 else "",
        f"{'layers over' if candidate['engine'] != 'vllm' else 'PP'} {candidate['pp']}"
        if candidate["pp"] > 1
        else "",
    ]
    return " × ".join(part for part in parts if part) or "1 device"


def _memory(console: Console, chosen: Mapping[str, Any]) -> list[Text | str]:
    memory = chosen["memory"]
    usable = memory["usable_bytes"]
    words = "  ".join(f"{name} {memory[key] / GIB:.2f}" for name, key, _, _ in PARTS)
    low, high = memory["intervals"]["total_bytes"]
    total = f"= {memory['total_bytes'] / GIB:.1f} ({low / GIB:.1f}–{high / GIB:.1f}) of {usable / GIB:.1f} GiB usable"
    if not console.is_terminal:
        return [f"{words}  {total}"]
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
    return [bar, legend, total]


def _predictions(console: Console, chosen: Mapping[str, Any]) -> list[Text | str]:
    header = " " * 30 + f"{'low':>9}{'likely':>9}{'high':>9}"
    rows = [(Text(header, style="dim"), Text("stands on", style="dim"))]
    rows += [
        (Text(figures), Text(basis))
        for figures, basis in (
            _quality_line(benchmark, quality, chosen["method"])
            for benchmark, quality in chosen["quality"].items()
        )
    ]
    speed = chosen["speed"]
    if speed["decode_tokens_per_s"] is not None:
        low, high = speed["intervals"]["decode_tokens_per_s"]
        likely = speed["decode_tokens_per_s"]
        figures = f"{'tokens/s, one of the users':<30}{low:>9.1f}{likely:>9.1f}{high:>9.1f}"
        basis = f"{speed['basis']}: {speed['n_measurements']} figures of {chosen['engine']}, roofline"
        rows.append((Text(figures), Text(basis)))
    lines: list[Text | str] = [
        part for head, tail in rows for part in set_beside(console, head, tail, BASIS_COLUMN, INDENT)
    ]
    if speed["decode_tokens_per_s"] is None:
        lines.append("tokens/s: no measurement to predict from yet")
    return lines


def _quality_line(benchmark: str, quality: Mapping[str, Any], method: str) -> tuple[str, str]:
    """The figures, and what they stand on."""
    name = f"{benchmark}, change"
    if method in {"none", "native"}:
        return f"{name:<30}{'0':>9}{'0':>9}{'0':>9}", "unquantized" if method == "none" else "as released"
    delta = quality["expected_delta"]
    if delta is None:
        return f"{name:<30}{'–':>9}{'–':>9}{'–':>9}", "no measurements: insufficient"
    scale = abs(quality["loss"] / delta) if delta else 0.0
    percents = (100 * scale * value for value in (quality["low_delta"], delta, quality["high_delta"]))
    figures = "".join(f"{percent:>+8.1f}%" for percent in percents)
    sources = len(quality["sources"])
    many = "s" if sources != 1 else ""
    basis = f"{quality['basis']}: {quality['n_measurements']} results of {sources} source{many}"
    return f"{name:<30}{figures}", basis


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


def _alternatives(console: Console, decision: Mapping[str, Any]) -> list[Text | str]:
    seen = {_kind(decision["chosen"])} if decision["chosen"] else set()
    shown: list[Mapping[str, Any]] = []
    for candidate in decision["alternatives"]:
        if _kind(candidate) in seen:
            continue
        seen.add(_kind(candidate))
        shown.append(candidate)
        if len(shown) == SHOWN_ALTERNATIVES:
            break
    lines: list[Text | str] = [
        part
        for candidate in shown
        for part in set_beside(
            console,
            Text(describe_choice(candidate)),
            Text(_alternative_figures(candidate)),
            FIGURES_COLUMN,
            INDENT,
        )
    ]
    more = len(decision["alternatives"]) - len(shown)
    if more > 0 and shown:
        lines.append(f"… {more} more in --json")
    return lines


def _kind(candidate: Mapping[str, Any]) -> tuple[Any, ...]:
    return (candidate["scheme"], candidate["method"], candidate["engine"], bool(candidate.get("prebuilt")))


def _alternative_figures(candidate: Mapping[str, Any]) -> str:
    memory = candidate["memory"]
    spare = memory["headroom_bytes"] / memory["usable_bytes"]
    quality = next(iter(candidate["quality"].values()))
    loss = "no loss" if candidate["method"] in {"none", "native"} else "loss unknown"
    if candidate["method"] not in {"none", "native"} and quality["loss"] is not None:
        loss = f"{-100 * quality['loss']:+.1f} %"
    speed = candidate["speed"]["decode_tokens_per_s"]
    rate = f"{speed:.0f} tok/s" if speed is not None else "speed unknown"
    note = f"   take {candidate['prebuilt']['repo']}" if candidate.get("prebuilt") else ""
    return f"{loss:>9}  {rate:>9}  {spare:>4.0%} to spare{note}"


def _rejections(console: Console, decision: Mapping[str, Any]) -> list[Text | str]:
    rejected = decision["rejected"]
    if not rejected:
        return []
    by_code: dict[tuple[str, str], Mapping[str, Any]] = {}
    for item in sorted(rejected, key=_telling):
        by_code.setdefault((item["code"], item["scheme"]), item)
    codes: dict[str, int] = {}
    shown = 0
    lines: list[Text | str] = []
    for (code, _), item in by_code.items():
        codes[code] = codes.get(code, 0) + 1
        if codes[code] > 2 or shown >= 2 * SHOWN_REJECTED:
            continue
        shown += 1
        head = Text(_rejected_name(item))
        lines += set_beside(console, head, Text(item["message"]), MESSAGE_COLUMN, INDENT)
        if item.get("way_out") and code.startswith(("shape.", "capability.")):
            shown += 1
            way_out = Text(f"→ {', '.join(item['way_out'])}", style="green")
            lines += set_beside(console, Text(""), way_out, MESSAGE_COLUMN, INDENT)
    where = (
        f"bitwright decisions show {decision['decision_id']} --rejected"
        if decision.get("decision_id")
        else "--json"
    )
    lines.append(Text(f"… {len(rejected)} verdicts in all: {where}", style="dim"))
    return lines


def _telling(item: Mapping[str, Any]) -> int:
    order = ("shape.", "capability.", "driver.", "engine.", "unknown.", "memory.", "policy.", "objective.")
    return next((index for index, prefix in enumerate(order) if item["code"].startswith(prefix)), len(order))


def _rejected_name(item: Mapping[str, Any]) -> str:
    group = f", group {item['group_size']}" if item["group_size"] else ""
    return f"{item['scheme']}{group} · {item['engine']}, {describe_placement(item)}"


def _nothing_fits(decision: Mapping[str, Any]) -> list[Text | str]:
    lines: list[Text | str] = [Text("nothing that is allowed fits this target", style="bold red")]
    lines += [
        f"would do: {option['change']} ({option['target']}): {option['candidate']}"
        for option in decision.get("would_fit") or []
    ]
    if not decision.get("would_fit"):
        lines.append(
            "no wider target that was tried would do either: a smaller model, or a card with more memory"
        )
    return lines
