"""Options of a request: how each is written, and how its value is read.

Each row of OPTIONS is a field of the request, a pattern of whole words and a reader; the first that matches
wins. A reader refuses what cannot be (`context 0`) rather than bend it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from planner.domain.errors import BadInput
from planner.domain.facts.request_words import (
    ENGINES,
    GROUP_WORDS,
    KV_DTYPES,
    METHODS,
    NUMBER,
    OBJECTIVES,
    TASKS,
    WIDTH_SCHEMES,
)
from planner.domain.facts.spellings import read_scheme
from planner.domain.units import KIB, MIB, format_count

MAX_CONTEXT = 100_000_000
MAX_CONCURRENCY = 100_000


def read_number(text: str) -> float:
    """A number as people type it: `32k` is 32768, `1m` 1048576, `32,768`, `1e9`."""
    found = re.fullmatch(r"([-+]?[\d.,]+(?:e[-+]?\d+)?)\s?([km]?)i?b?", text.strip().lower())
    assert found is not None, text
    scale = {"": 1, "k": KIB, "m": MIB}[found[2]]
    return float(found[1].replace(",", "")) * scale


def read_context(found: re.Match[str]) -> int:
    """Tokens of context, a whole number.

    Raises:
        BadInput: `request.context`, no number, or one that no context has.
    """
    if found["number"] is None:
        raise BadInput("request.context", "how much context? Say it in tokens: `context 32k`.")
    tokens = read_number(found["number"])
    if not 1 <= tokens <= MAX_CONTEXT or tokens != int(tokens):
        raise BadInput(
            "request.context",
            f'a context of "{found["number"].strip()}" tokens cannot be: it is a whole number from 1 to '
            f"{format_count(MAX_CONTEXT)}, as in `context 32k`.",
        )
    return int(tokens)


def read_concurrency(found: re.Match[str]) -> int:
    """Sequences at once, a whole number.

    Raises:
        BadInput: `request.concurrency`, no number, or one that cannot be served.
    """
    if found["number"] is None:
        raise BadInput("request.concurrency", "how many at once? Say a number: `16 users`.")
    users = read_number(found["number"])
    if not 1 <= users <= MAX_CONCURRENCY or users != int(users):
        raise BadInput(
            "request.concurrency",
            f'"{found["number"].strip()}" at once cannot be: it is a whole number from 1 to '
            f"{format_count(MAX_CONCURRENCY)}, as in `16 users`.",
        )
    return int(users)


def read_widths(found: re.Match[str]) -> tuple[str, ...]:
    """Every scheme of the width that was said.

    Raises:
        BadInput: `request.scheme`, no scheme has that width.
    """
    schemes = WIDTH_SCHEMES.get(found["width"])
    if schemes is None:
        known = ", ".join(WIDTH_SCHEMES)
        raise BadInput("request.scheme", f"no scheme has {found['width']} bits; there are {known}.")
    return schemes


def read_scheme_word(found: re.Match[str]) -> tuple[str, ...]:
    """The scheme that one word names.

    Raises:
        BadInput: `request.scheme`, the word looks like a scheme and names none (`W5A17`).
    """
    word = found["scheme"]
    group = GROUP_WORDS.get(" ".join(word.lower().split()))
    if group is not None:
        return group
    reading = read_scheme(word)
    if reading is None:
        raise BadInput(
            "request.scheme", f'"{word}" names no scheme. Examples: W4A16, FP8_DYNAMIC, NVFP4, Q4_K_M, BF16.'
        )
    if reading.group_size is not None:
        raise BadInput(
            "request.scheme",
            f'"{word}": a plan weighs the group sizes itself. Ask for {reading.scheme}, or give the '
            "group size to `bitwright estimate --group-size`.",
        )
    return (reading.scheme,)


def _whole(pattern: str) -> re.Pattern[str]:
    """A pattern of whole words, ended by a blank, a comma or the end of the sentence."""
    return re.compile(rf"(?:{pattern})(?=[.!?]*(?:[\s,;]|$))", re.IGNORECASE)


def _option_of(
    name: str, table: Mapping[str, str], template: str
) -> tuple[str, re.Pattern[str], Callable[[re.Match[str]], Any]]:
    """The option whose values and their spellings are a table; `template` holds the words around them."""
    values = list(table)
    words = "|".join(f"(?P<v{number}>{table[value]})" for number, value in enumerate(values))

    def read_value(found: re.Match[str]) -> str:
        assert found.lastgroup is not None, found[0]
        return values[int(found.lastgroup[1:])]

    return name, _whole(template.format(words=words)), read_value


_CONTEXT = r"(?:context|ctx)(?:[ -](?:length|window|size|len))?"
_USERS = (
    r"(?:concurrent )?(?:users?|requests?|sequences|streams|clients|people)|at once|in parallel|concurrent"
)
_SCHEME = (
    r"(?:ud-)?i?q\d(?:_[a-z\d]+)*|w\d+(?:\.\d+)?a\d+(?:kv\d+)?(?:[ -]?g\d+)?|nvfp4(?:a16)?|mxfp[48]|nf4|fp4"
    r"|fp8(?:[ _-](?:dynamic|static|block))?|bf16|bfloat16|fp16|f16|float16|f32|fp32|int[48]"
    r"|exl[23][-_ ]\d+(?:\.\d+)?bpw|gguf|full precision|unquantized"
)
OPTIONS: list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], Any]]] = [
    _option_of("kv_dtype", KV_DTYPES, r"(?:with |in |and |using )?(?:an? )?(?:{words})[ -]kv(?:[ -]cache)?"),
    _option_of(
        "kv_dtype",
        KV_DTYPES,
        r"(?:with |and )?kv(?:[ -]cache)?(?:[ -]d?type)?(?: in| as| at|=|:)? ?(?:{words})",
    ),
    ("concurrency", _whole(rf"(?:for |with |and |at )?{NUMBER} ?(?:{_USERS})"), read_concurrency),
    (
        "concurrency",
        _whole(rf"(?:with |and |at )?(?:concurrency|batch(?: size)?)(?: of|=|:)? ?{NUMBER}?"),
        read_concurrency,
    ),
    (
        "context_tokens",
        # `4090 context 8k` is a card and a context: what a number follows does not count backwards.
        _whole(
            rf"(?:with |and |at )?(?:an? )?{NUMBER} ?(?:tokens?|tok)?(?: of)? ?{_CONTEXT}"
            r"(?!(?: of|=|:)? ?[-+\d])"
        ),
        read_context,
    ),
    (
        "context_tokens",
        _whole(rf"(?:with |and |at )?(?:a )?{_CONTEXT}(?: of|=|:)? ?{NUMBER}(?: ?tokens)?"),
        read_context,
    ),
    ("context_tokens", _whole(rf"(?:with |and |at |for )?{NUMBER} ?(?:tokens|tok)"), read_context),
    ("context_tokens", _whole(rf"(?:with |and )?{_CONTEXT}(?P<number>(?!))?"), read_context),
    _option_of(
        "objective", OBJECTIVES, r"(?:with |and |for |objective[ =:]+|optimi[sz]ed for )?(?:the )?(?:{words})"
    ),
    _option_of(
        "engine",
        ENGINES,
        r"(?:(?:with|using|on|in|via|through|under|served by|and|engine[ =:]?) )?(?:{words})",
    ),
    _option_of("task", TASKS, r"(?:(?:used? |good )?for|task[ =:]?) ?(?:{words})"),
    ("schemes", _whole(r"(?:(?:in|at|to|as|with|and|or) )?(?P<width>\d+)[- ]?bits?"), read_widths),
    ("schemes", _whole(rf"(?:(?:in|at|to|as|with|and|or|using) )?(?P<scheme>{_SCHEME})"), read_scheme_word),
    _option_of("method", METHODS, r"(?:(?:with|by|using|via|and) )?(?:{words})"),
]
"""Name of the field, pattern, and how its value is read; tried in this order."""
