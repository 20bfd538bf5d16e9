"""From an estimate's fields to a spelled-out candidate in canonical words; what is not modelled is refused."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from planner.domain.choose.named_candidate import PER_CHANNEL, EstimateAsk
from planner.domain.errors import BadInput
from planner.domain.facts.nearest_scheme import nearest_scheme
from planner.domain.facts.request_devices import MAX_DEVICES, DeviceAsk, read_devices
from planner.domain.facts.request_options import MAX_CONCURRENCY, MAX_CONTEXT, read_number
from planner.domain.facts.spellings import Spellings, shorten
from planner.domain.predict.kv_cache import KV_DTYPE_BYTES

NEEDED = ("model", "scheme", "device")
PLACEMENT = ("tp", "pp", "dp", "ep")
TOKENS = ("context", "prompt_tokens", "max_num_batched_tokens")
OPTIONAL = frozenset(
    {
        *("method", "format", "group_size", "engine", "engine_version", "count", "offload"),
        *("concurrency", "kv_dtype", "free_bytes", "gpu_memory_utilization", "engine_options"),
        *("act_order", "symmetric"),
        *PLACEMENT,
        *TOKENS,
    }
)
KV_SPELLINGS = {"fp16": "f16", "float16": "f16", "bfloat16": "bf16", "q8": "q8_0", "q4": "q4_0"}
KV_WORD = re.compile(r"[a-z]+\d*(?:[ _/-](?:\d|e\dm\d|nl)\b)?(?![a-z\d])")
"""The type in `fp8 (e4m3; checkpoint's scales)`, `fp8/e4m3 @ scale=1.0` and `auto(bf16/f16)`; the rest explains."""
IMPLIED_KV = re.compile(r"KV(\d+)$")
IMPLIED_METHOD = re.compile(r"gptq|awq")
ON_CPU = re.compile(r"\s*\(cpu(?: only)?\)\s*$", re.IGNORECASE)
NAMED_FORMATS = {
    "marlin format": "marlin",
    "compressed-tensors": "compressed-tensors",
    "llm-compressor": "compressed-tensors",
    "gptq-": "gptq",
    "awq-": "awq",
    "gguf": "gguf",
    "bitsandbytes": "bitsandbytes",
    "bnb": "bitsandbytes",
}
"""Formats by the words that scheme and method name them with, the plainest word first."""
ACT_ORDER = re.compile(r"act-?order|act=yes|desc_act")
NO_ACCELERATOR = 0
"""Count of accelerators of a host that computes on its CPU, as evidence writes it."""
LIMITS = {"context": MAX_CONTEXT, "concurrency": MAX_CONCURRENCY, "free_bytes": 1 << 50, "offload": 1000}
"""Beyond these a figure is a slip; counts of devices have their own limit, the rest that of a context."""
ONE = re.compile(r"(?i)\s*(?:1\s*[x×]|one\b|a\s+single\b|single\b)")
"""Words that say one device, where a bare name leaves the count to tensor and pipeline parallel."""
NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e\d+)?\s?[km]?i?b?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateFields:
    """An estimate's fields, read."""

    model: str
    devices: tuple[DeviceAsk, ...]
    """One ask a kind of card."""
    on_cpu: bool
    """Whether the words leave a chip's graphics out: `M3 16GB (CPU only)`."""
    candidate: EstimateAsk
    count: int | None
    context: int | None
    concurrency: int | None
    free_bytes: int | None
    notes: tuple[str, ...]
    """Words that were taken as not said, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeWords:
    """What the words for a scheme say."""

    scheme: str
    group_size: int | None = None
    kv_dtype: str | None = None
    note: str = ""
    """What was taken for granted; empty when nothing was."""


def read_estimate(fields: Mapping[str, Any], spellings: Spellings) -> EstimateFields:
    """An estimate's fields with every word in its canonical form.

    Raises:
        BadInput: `estimate.unknown_field`, `.missing_field`, `.bad_field`, `.not_modelled`, `scheme.unknown`,
            `method.unknown` or `engine.unknown`.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    _check_names(given)
    devices, count = _read_devices(given, spellings)
    reading = read_scheme(str(given["scheme"]), spellings)
    group = given.get("group_size", reading.group_size)
    return EstimateFields(
        model=str(given["model"]),
        devices=devices,
        on_cpu=ON_CPU.search(str(given["device"])) is not None,
        count=count,
        context=_whole(given, "context"),
        concurrency=_whole(given, "concurrency"),
        free_bytes=_whole(given, "free_bytes"),
        notes=(*filter(None, [reading.note]), *_untold(given, spellings)),
        candidate=EstimateAsk(
            scheme=reading.scheme,
            method=read_word("method", given.get("method"), spellings)
            or _implied_method(str(given["scheme"])),
            format=_implied_method(str(given["scheme"]))
            if given.get("format") is None
            else str(given["format"]).lower(),
            format_named=_named_format(given),
            group_size=group
            if group is None or group == PER_CHANNEL
            else _whole({"group_size": group}, "group_size"),
            engine=read_word("engine", given.get("engine"), spellings),
            engine_version=None if given.get("engine_version") is None else str(given["engine_version"]),
            tp=_whole(given, "tp"),
            pp=_whole(given, "pp"),
            dp=_whole(given, "dp"),
            ep=_whole(given, "ep"),
            kv_dtype=_read_kv_dtype(
                given.get("kv_dtype") or reading.kv_dtype or _implied_kv_dtype(reading.scheme)
            ),
            prompt_tokens=_whole(given, "prompt_tokens"),
            gpu_memory_utilization=_read_share(given.get("gpu_memory_utilization")),
            act_order=bool(given.get("act_order", ACT_ORDER.search(str(given["scheme"]).lower()))),
            symmetric=bool(given.get("symmetric", True)),
            max_num_batched_tokens=_whole(given, "max_num_batched_tokens"),
            offload=_whole(given, "offload") or 0,
        ),
    )


def read_scheme(text: str, spellings: Spellings) -> SchemeWords:
    """What a spelling says of the weights; a mix or a class is taken as what bounds it, and the note says so.

    Raises:
        BadInput: `scheme.unknown`, it names no width.
    """
    reading = spellings.read_scheme(text)
    if reading is not None:
        return SchemeWords(scheme=reading.scheme, group_size=reading.group_size)
    why = spellings.note("scheme", text)
    nearest = nearest_scheme(text, why)
    if nearest is None:
        raise BadInput(
            "scheme.unknown",
            f'"{shorten(text)}" names no scheme{f" ({why})" if why else ""}. '
            "Examples: W4A16, FP8_DYNAMIC, NVFP4, Q4_K_M, BF16.",
        )
    beside = f" beside a KV cache in {nearest.kv_dtype}" if nearest.kv_dtype else ""
    return SchemeWords(
        scheme=nearest.reading.scheme,
        group_size=nearest.reading.group_size,
        kv_dtype=nearest.kv_dtype,
        note=f'scheme "{shorten(text)}" is taken as {nearest.reading.scheme}{beside}{f": {why}" if why else ""}',
    )


def read_word(kind: str, text: Any, spellings: Spellings) -> str | None:
    """The canonical word of a spelling; None for none, and for one that is known to name none (`awq/gptq`).

    Raises:
        BadInput: `<kind>.unknown`.
    """
    if text is None:
        return None
    word = spellings.read(kind, str(text))
    if word is None and not spellings.note(kind, str(text)):
        raise BadInput(f"{kind}.unknown", f'"{shorten(str(text))}" names no {kind}.')
    return word


def _implied_method(scheme: str) -> str | None:
    """The method, and the format, that a scheme's own words name: `GPTQ-Int4` is made and stored by gptq."""
    found = IMPLIED_METHOD.match(scheme.strip().lower())
    return found[0] if found else None


def _implied_kv_dtype(scheme: str) -> str | None:
    """The KV cache's type that a scheme's own name ends in: four bits in `W4A8KV4`."""
    found = IMPLIED_KV.search(scheme)
    return {"4": "q4_0", "8": "int8"}.get(found[1]) if found else None


def _named_format(given: Mapping[str, Any]) -> str | None:
    """The format that a scheme's or a method's words name, where no field says one."""
    words = f"{given['scheme']} {given.get('method') or ''}".lower()
    if given.get("format") is not None:
        return None
    return next((form for word, form in NAMED_FORMATS.items() if word in words), None)


def _untold(given: Mapping[str, Any], spellings: Spellings) -> Iterator[str]:
    """Methods and engines that evidence writes and nobody can tell: as if they had not been said."""
    for kind in ("method", "engine"):
        text = str(given.get(kind) or "")
        if text and spellings.read(kind, text) is None:
            yield f'{kind} "{shorten(text)}" is taken as not said: {spellings.note(kind, text)}'


def _check_names(given: Mapping[str, Any]) -> None:
    known = sorted({*NEEDED, *OPTIONAL})
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise BadInput(
            "estimate.unknown_field",
            f'An estimate has no field "{shorten(unknown[0])}". Fields: {", ".join(known)}.',
            choices=known,
        )
    missing = [name for name in NEEDED if not str(given.get(name) or "").strip()]
    if missing:
        raise BadInput("estimate.missing_field", f"An estimate needs {', '.join(missing)}.")


def _read_devices(given: Mapping[str, Any], spellings: Spellings) -> tuple[tuple[DeviceAsk, ...], int | None]:
    """The cards by their canonical names where a spelling is known, and how many; None when nobody said."""
    text = str(given["device"]).strip()
    count = NO_ACCELERATOR if given.get("count") == NO_ACCELERATOR else _whole(given, "count")
    known = spellings.read("gpu", text)
    asks = (DeviceAsk(count=1, words=known),) if known else read_devices(ON_CPU.sub("", text))
    asks = tuple(replace(ask, words=spellings.read("gpu", ask.words) or ask.words) for ask in asks)
    named = sum(ask.count for ask in asks)
    if named > 1 and count not in {None, named} and (len(asks) == 1 or count is None or count < named):
        raise BadInput("estimate.bad_field", f'device says {named} ("{shorten(text)}"), count says {count}.')
    is_counted = named > 1 or ONE.match(text) is not None
    return asks, named if count is None and is_counted else count


def _whole(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = read_number(value)
    limit = MAX_DEVICES if name in {"count", *PLACEMENT} else LIMITS.get(name, MAX_CONTEXT)
    lowest = 0 if name == "offload" else 1
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not lowest <= value <= limit or value != int(value):
        raise BadInput(
            "estimate.bad_field",
            f'{name} is a whole number from {lowest} to {limit:,}, not "{shorten(str(given[name]))}".',
        )
    return int(value)


def _read_kv_dtype(value: Any) -> str:
    text = str(value or "auto").strip().lower().replace("-", "_")
    found = KV_WORD.match(text)
    word = re.sub(r"[ /]", "_", found[0]) if found else text
    word = KV_SPELLINGS.get(word, word)
    if word not in KV_DTYPE_BYTES:
        known = list(KV_DTYPE_BYTES)
        raise BadInput(
            "estimate.bad_field",
            f'kv_dtype is one of {", ".join(known)}, not "{shorten(str(value))}".',
            choices=known,
        )
    return word


def _read_share(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise BadInput(
            "estimate.bad_field",
            f'gpu_memory_utilization is above 0 and at most 1, not "{shorten(str(value))}".',
        )
    return float(value)
