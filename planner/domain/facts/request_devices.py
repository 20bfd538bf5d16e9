"""The devices of a request, taken apart: counts, hosts, and what was said of links and ECC. No table is looked at.

`2x A6000 + 1x 3090 with NVLink on host:gpu-1` is two asks of one host. What joins the cards belongs to the whole
target, error correction to each card.
"""

import re
from dataclasses import dataclass, replace

from planner.domain.errors import BadInput
from planner.domain.facts.hardware import LinkKind
from planner.domain.facts.hardware_described import BANDWIDTH, CAPABILITY
from planner.domain.facts.request_words import ANY_HOST, COUNT_WORDS, HOST_MARK, MACHINE_WORDS
from planner.domain.facts.spellings import shorten

MAX_DEVICES = 1024

COUNT_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?P<card>\d{4,}|.*[a-z].*?)\s+[x*]\s*(?P<count>\d+)",
        r"(?P<card>\d{4,}|.*[a-z].*?)\s+(?P<count>\d+)\s*[x*]",
        r"(?P<card>.*\d)[x*](?P<count>\d{1,3})",
        r"(?P<count>[-+]?\d+(?:[.,]\d+)?(?:e\d+)?)\s*[x*](?!tx?\b)\s*(?P<card>.*)",
        r"(?P<count>[-+]?\d{1,3}(?:\.\d+)?)\s+(?!(?:channels?|ch|cores?)\b)(?P<card>.*[a-z\d].*)",
        r"(?P<count>-\d+|\d{1,3})\s*(?P<card>)",
        rf"(?P<count>{'|'.join(sorted(COUNT_WORDS, key=len, reverse=True))})\s+(?P<card>.*)",
    )
)
"""`A6000 x2`, `A6000 2x`, `4090x4`, `2x A6000`, `2 A6000`, `-1`, `two A100s`; the first that fits. The x of an AMD
card's name (`7900 XTX`, `7900XT`) is none of a count."""

IN_BRACKETS = re.compile(r"\(\s*(?:[x*]\s*(?P<after>\d+)|(?P<before>\d+)\s*[x*]?)\s*\)", re.IGNORECASE)
"""A count in brackets: `A6000 (2x)`, `3090 (x2)`."""
COUNTED = re.compile(r"(?:pcs?|pieces?|units?|times)\b\.?(?: of)?\s+|of\s+", re.IGNORECASE)
"""What may stand between a count and its card: `2 pcs A6000`."""
HOST_PATTERN = re.compile(r"(?:the )?host\s*:\s*(?P<name>[^\s,;]+)", re.IGNORECASE)
ON_HOST = re.compile(rf"(?P<cards>.+?)\s+(?:on|at|in|of)\s+{HOST_PATTERN.pattern}", re.IGNORECASE)
HOST_WITH = re.compile(rf"{HOST_PATTERN.pattern}(?:\s+(?:with|having|using))?\s+(?P<cards>.+)", re.IGNORECASE)
ANY_HOST_PATTERN = re.compile(
    r"(?:any|some|a) host(?: (?:with|that has))?\s*(?P<cards>.*)", re.IGNORECASE | re.DOTALL
)
FREE_PATTERN = re.compile(r"\b(?:free|idle|unused)\b\s*", re.IGNORECASE)

_LINKED = r"(?:nv[- ]?link(?:ed|s)?(?: bridges?)?|nv[- ]?switch)"
_BEFORE = r"(?:\b(?:and|connected|linked|joined) )?(?:\b(?:with|over|via|through|by) (?:an? )?)?"
LINK_PATTERNS: tuple[tuple[LinkKind, re.Pattern[str]], ...] = (
    ("pcie", re.compile(rf"(?:\b(?:and|with) )?\b(?:without|no|not) (?:an? )?{_LINKED}\b", re.IGNORECASE)),
    (
        "pcie",
        re.compile(
            r"\b(?:(?:connected|linked|joined) )?(?:over|via|through|by) pci[- ]?e(?:xpress)?\b|\bpci[- ]?e only\b",
            re.IGNORECASE,
        ),
    ),
    ("nvlink", re.compile(rf"{_BEFORE}\b{_LINKED}\b", re.IGNORECASE)),
)
"""Words for how cards reach each other; `PCIe` alone is a form of a card, not a link."""
ECC_PATTERN = re.compile(
    r"(?:\b(?:with|and) )?\b(?:(?P<without>without|no) ecc|ecc(?: is)?(?: (?P<state>on|off|enabled|disabled))?)\b",
    re.IGNORECASE,
)
OFF_WORDS = frozenset({"off", "disabled"})
SPLIT = re.compile(r"\s*(?:(?<!max)\+|&|\band\b)\s*", re.IGNORECASE)
"""Between groups of devices; the + of `Ryzen AI Max+` belongs to its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsk:
    """`2x A6000` before it meets the tables: a count and the words for the card."""

    count: int
    words: str
    """`this machine` and `cpu` mean this machine; `host:NAME`, alone or before words for cards, and `any host CARD`
    mean one that has an executor."""
    link: LinkKind | None = None
    """How the target's devices reach each other, where it was said."""
    ecc: bool | None = None
    """Whether error correction is on, where it was said."""


def read_devices(text: str) -> tuple[DeviceAsk, ...]:
    """Every group of devices in the words after `for` or `on`.

    Raises:
        BadInput: `request.count`, `request.no_device`, `request.not_understood`.
    """
    host, text = take_host(text)
    link, text = take_link(text)
    ecc, text = take_ecc(text)
    if host is not None and not text.strip():
        return (replace(read_device(host), link=link, ecc=ecc),)
    asks = [read_device(words) for words in split_devices(text)]
    return tuple(
        replace(ask, words=f"{host} {ask.words}" if host else ask.words, link=link, ecc=ecc) for ask in asks
    )


def take_host(text: str) -> tuple[str | None, str]:
    """`host:gpu-1` where a host is named beside its cards, and the words without it."""
    named = HOST_PATTERN.fullmatch(text.strip())
    if named is not None:
        return f"{HOST_MARK}{named['name']}", ""
    found = ON_HOST.fullmatch(text.strip()) or HOST_WITH.fullmatch(text.strip())
    if found is None:
        return None, text
    return f"{HOST_MARK}{found['name']}", FREE_PATTERN.sub("", found["cards"])


def take_link(text: str) -> tuple[LinkKind | None, str]:
    """What was said of the way between the cards, and the words without it."""
    for kind, pattern in LINK_PATTERNS:
        if pattern.search(text):
            return kind, tidy(pattern.sub(" ", text))
    return None, text


def match_detail(text: str, position: int) -> str:
    """Words at `position` that say something of links or ECC; empty where there are none."""
    for pattern in (*(pattern for _, pattern in LINK_PATTERNS), ECC_PATTERN):
        found = pattern.match(text, position)
        if found is not None:
            return found[0]
    return ""


def take_ecc(text: str) -> tuple[bool | None, str]:
    """What was said of error correction, and the words without it."""
    found = ECC_PATTERN.search(text)
    if found is None:
        return None, text
    is_on = not found["without"] and (found["state"] or "on").lower() not in OFF_WORDS
    return is_on, tidy(text[: found.start()] + " " + text[found.end() :])


def tidy(text: str) -> str:
    """Words after some were taken out: no empty brackets, no comma or `and` at an end."""
    text = " ".join(re.sub(r"\(\s*\)", " ", text).split())
    return re.sub(r"^(?:and|,|\+)\s+|\s*(?:,|\band)$", "", text)


def split_devices(words: str) -> list[str]:
    """`2x A6000 + 1x 3090` as two; a part that only describes (`and sm_86`) belongs to the card before it.

    Raises:
        BadInput: `request.not_understood`, an end of a "+" is missing.
    """
    parts = [group.strip(" ,") for group in SPLIT.split(words)]
    if not all(parts):
        raise BadInput("request.not_understood", f'"{shorten(words)}": a device is missing beside "+".')
    groups = [parts[0]]
    for part in parts[1:]:
        if only_describes(part):
            groups[-1] += f" {part}"
        else:
            groups.append(part)
    return groups


def only_describes(part: str) -> bool:
    """Whether words are a bandwidth or a capability and no card."""
    rest = CAPABILITY.sub(" ", BANDWIDTH.sub(" ", part.lower()))
    return rest != part.lower() and not rest.strip()


def read_device(words: str) -> DeviceAsk:
    """A count and the words for the card: `2x A6000`, `A6000 x2`, `two A100s`, `4 x 4090`, `this machine`.

    Raises:
        BadInput: `request.count` for a count that no host has, `request.no_device` for a count alone.
    """
    machine = MACHINE_WORDS.get(" ".join(words.lower().split()))
    if machine is not None:
        return DeviceAsk(count=1, words=machine)
    host = read_host(words)
    if host is not None:
        return host
    count, card = split_count(
        IN_BRACKETS.sub(lambda found: f" x{found['after'] or found['before']} ", words).strip()
    )
    card = COUNTED.sub("", card, count=1) if count and COUNTED.match(card) else card
    if not card:
        raise BadInput("request.no_device", f'"{shorten(words)}" is a count; of which card?')
    number = COUNT_WORDS.get(count.lower()) if count else 1
    if number is None:
        number = read_count(count, card)
    named = MACHINE_WORDS.get(" ".join(card.lower().split()))
    if named is not None and number != 1:
        raise BadInput("request.count", f"{named} is one; a count belongs to cards, as in `2x A6000`.")
    return DeviceAsk(count=number, words=named or card)


def read_host(words: str) -> DeviceAsk | None:
    """`host:gpu-1`, `host:gpu-1 with 2x A6000` or `any host with 2 free A6000`; None for other words.

    Raises:
        BadInput: `request.count`, `request.no_device`.
    """
    host, cards = take_host(words)
    if host is not None:
        if not cards:
            return DeviceAsk(count=1, words=host)
        ask = read_device(cards)
        return DeviceAsk(count=ask.count, words=f"{host} {ask.words}")
    found = ANY_HOST_PATTERN.fullmatch(words)
    if found is None:
        return None
    cards = FREE_PATTERN.sub("", found["cards"]).strip()
    if not cards:
        return DeviceAsk(count=1, words=ANY_HOST)
    ask = read_device(cards)
    return DeviceAsk(count=ask.count, words=f"{ANY_HOST} {ask.words}")


def split_count(words: str) -> tuple[str, str]:
    """The count as typed, empty when there is none, and the rest."""
    for pattern in COUNT_PATTERNS:
        found = pattern.fullmatch(words)
        if found is not None:
            return found["count"].strip(), found["card"].strip()
    return "", words


def read_count(count: str, card: str) -> int:
    """A count of cards, a whole number.

    Raises:
        BadInput: `request.count`, zero, negative, a fraction or more than any host has.
    """
    number = float(count.replace(",", "."))
    if not 1 <= number <= MAX_DEVICES or number != int(number):
        raise BadInput(
            "request.count",
            f'"{count}" is no count of {shorten(card)}: it is a whole number from 1 to {MAX_DEVICES}.',
        )
    return int(number)
