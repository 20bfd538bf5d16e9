"""`bitwright estimate MODEL --scheme … --on "2x A6000"`: one candidate, with numbers also when it does not fit."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from planner.cli.batch import JSON_LINES, answer_lines
from planner.cli.door import Session, open_door
from planner.cli.saying import say
from planner.domain.errors import BadInput
from planner.domain.units import format_gib, format_seconds

PARTS = (
    ("weights", "weights_bytes"),
    ("KV cache", "kv_cache_bytes"),
    ("activations", "activation_bytes"),
    ("overhead", "overhead_bytes"),
    ("total", "total_bytes"),
    ("usable", "usable_bytes"),
)
FIT_WORDS = {True: ", and fits", False: ", and does not fit", None: ""}
LEGAL_WORDS = {True: "loads", False: "does not load", None: "no rule says whether it loads"}


@click.command()
@click.argument("model", required=False)
@click.option("--scheme", help="What the numbers become: W4A16, FP8_DYNAMIC, Q4_K_M, …")
@click.option("--method", help="How it gets there: gptq, awq, rtn, …")
@click.option("--format", help="How it is stored.")
@click.option("--group-size", type=int, help="Columns that share a scale; -1 for a whole row.")
@click.option("--engine", help="The engine that will serve it.")
@click.option("--engine-version", help="Its version; the newest known otherwise.")
@click.option("--on", "device", help='The devices: "2x A6000", "this machine".')
@click.option("--count", type=int, help="How many of them, where the words do not say.")
@click.option("--tp", type=int, help="Tensor parallel.")
@click.option("--pp", type=int, help="Pipeline parallel, or layers over devices.")
@click.option("--dp", type=int, help="Replicas.")
@click.option("--ep", type=int, help="Expert parallel: ranks that hold whole experts.")
@click.option("--offload", type=int, help="Layers that stay in host memory (llama.cpp).")
@click.option("--context", help="Tokens kept a sequence, as 8192 or 32k.")
@click.option("--concurrency", help="Sequences served at once.")
@click.option("--prompt-tokens", help="The largest prompt at once.")
@click.option("--kv-dtype", help="Type of the KV cache.")
@click.option("--free-bytes", help="Bytes free on each device, as read off.")
@click.option("--gpu-memory-utilization", type=float, help="Share that the engine may fill.")
@click.option("--max-num-batched-tokens", help="Tokens of one step.")
@click.option("--batch", type=JSON_LINES, help="JSON lines of fields, or - for standard input.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def estimate(session: Session, /, model: str | None, batch: Any, as_json: bool, **options: Any) -> int:
    """Estimate one candidate, whether or not it fits or may load."""
    fields = {name: value for name, value in {"model": model, **options}.items() if value is not None}
    if batch is None and not fields:
        raise BadInput(
            "estimate.missing_field",
            'Say what to estimate, for example: bitwright estimate qwen2.5-72b --scheme W4A16 --on "2x A6000"',
        )
    with open_door(session) as door:
        if batch is not None:
            return answer_lines(door.estimate, batch)
        answer = door.estimate(fields)
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print_estimate(answer)
    return 0


def _print_estimate(answer: Mapping[str, Any]) -> None:
    what = answer["candidate"]
    group = f", group {what['group_size']}" if what["group_size"] else ""
    say(f"{what['model']} as {what['scheme']}{group} by {what['method']} ({what['format']})")
    say(f"{what['engine']} on {what['target']}: tp {what['tp']} × pp {what['pp']} × dp {what['dp']}")
    click.echo(f"{what['context']:,} tokens, {what['concurrency']} at once, KV cache {what['kv_dtype']}")
    if answer["total_bytes"] is None:
        click.echo(f"{LEGAL_WORDS[answer['legal']]}; its sizes are not known")
    else:
        _print_memory(answer)
    if answer["decode_tokens_per_s"] is not None:
        click.echo(f"about {answer['decode_tokens_per_s']:.1f} tokens/s for one user")
    if answer["job"]["minutes"] is not None:
        took = format_seconds(60 * answer["job"]["minutes"])
        click.echo(f"making it: about {took}, {format_gib(answer['artifact_bytes'], 2)} on disk")
    for verdict in answer["verdicts"]:
        say(f"  not {verdict['code']}: {verdict['message']}", 6)
        if verdict.get("way_out"):
            say(f"      → {', '.join(verdict['way_out'])}", 8)
    _print_ways_out(answer["ways_out"])
    for note in answer["assumed"]:
        say(f"  mind {note}", 7)


def _print_memory(answer: Mapping[str, Any]) -> None:
    low, high = answer["intervals"]["total_bytes"]
    for name, key in PARTS:
        spread = f"   {format_gib(low, 2)} to {format_gib(high, 2)}" if name == "total" else ""
        click.echo(f"  {name:<12}{format_gib(answer[key], 2):>12}{spread}")
    fits = "fits" if answer["fits"] else "does not fit"
    click.echo(f"{fits}; {LEGAL_WORDS[answer['legal']]}; room for {answer['kv_capacity_tokens']:,} tokens")


def _print_ways_out(ways: Sequence[Mapping[str, Any]]) -> None:
    """What would load instead, nearest first, and whether it fits."""
    for way in ways:
        say(f"  would load: {way['change']}{FIT_WORDS[way['fits']]}", 14)
