"""How evidence and people write schemes, methods, benchmarks, engines and cards, and the one word for each.

`normalize` drops case and separators, so that `FP8-dynamic`, `fp8_dynamic` and `FP8 dynamic` are one. What
only a person could read stands in `data/spellings.csv`; widths and llama.cpp types are read by rule. What
names nothing (`W5A17`) or is a mix of several gives None: nothing joins by luck.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

WEIGHT_WIDTHS = frozenset({"1", "1.58", "2", "3", "4", "5", "6", "8", "16"})
ACTIVATION_WIDTHS = frozenset({"4", "6", "8", "16"})

_GGUF_WORDS = """
Q1_0 Q2_K Q2_K_S Q2_K_L Q3_K_S Q3_K_M Q3_K_L Q3_K_XL Q4_0 Q4_1 Q4_K_S Q4_K_M Q5_0 Q5_1 Q5_K_S Q5_K_M
Q5_K_XL Q6_0 Q6_K Q8_0 IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS IQ3_XS IQ3_S IQ3_M IQ4_XS IQ4_NL
IQ2_K IQ2_KS IQ2_KT IQ2_BN IQ3_K IQ4_K IQ4_KS IQ4_KSS IQ5_K Q8_K I2_S TQ1_0 TQ2_0 UD-Q2_K_XL UD-Q3_K_S
UD-Q3_K_XL UD-Q4_K_XL UD-Q5_K_XL UD-Q6_K_XL UD-Q8_K_XL UD-IQ1_S UD-IQ1_M UD-IQ2_XXS UD-IQ2_M UD-IQ3_XXS
UD-IQ4_XS
"""
GGUF_TYPES = frozenset(_GGUF_WORDS.split())
"""llama.cpp's file types, ik_llama.cpp's, and Unsloth's own mixes, as they are printed."""

GGUF_DEFAULTS = {"q3k": "Q3_K_M", "q4k": "Q4_K_M", "q5k": "Q5_K_M"}
"""Types that llama-quantize takes for their M mix (its option table calls them aliases)."""

PLAIN_SCHEMES = {
    "bf16": "BF16",
    "bfloat16": "BF16",
    "f16": "F16",
    "fp16": "F16",
    "float16": "F16",
    "half": "F16",
    "f32": "F32",
    "fp32": "F32",
    "float32": "F32",
    "fp8": "FP8_DYNAMIC",
    "fp8dynamic": "FP8_DYNAMIC",
    "fp8static": "FP8_STATIC",
    "fp8block": "FP8_BLOCK",
    "float8": "FP8_DYNAMIC",
    "nvfp4": "NVFP4",
    "nvfp4a16": "NVFP4A16",
    "mxfp4": "MXFP4",
    "mxfp8": "MXFP8",
    "nf4": "NF4",
    "fp4": "FP4",
}
"""Names that stand alone, normalized."""

GROUPED = re.compile(
    r"(?:(?P<tool>gptq|awq)[- ]?)?(?:int(?P<int>\d)|(?P<bit>\d)[- ]?bit)(?P<rest>.*)|w(?P<w>\d)g(?P<wg>\d+)"
)
WIDTHS = re.compile(r"w(?P<weights>\d+(?:\.\d+)?)a(?P<activations>\d+)(?:kv(?P<kv>\d+))?(?P<rest>.*)")
EXL = re.compile(r"exl(?P<version>[23])[-_ ]*(?P<bits>\d+(?:\.\d+)?)\s*(?:bpw|b)?")
GROUP_SIZE = re.compile(r"(?:^|[^a-z\d])g(?:roup)?[-_ ]?(?:size)?[-_ =]?(?P<g>\d+)|(?<!\d)(?P<before>\d+)g\b")
REPACKED = re.compile(r"[-_]r(?:4|8|16)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """One row of `data/spellings.csv`."""

    kind: str
    """`scheme`, `method`, `benchmark`, `engine` or `gpu`."""
    text: str
    canonical: str | None
    """None where nobody can tell what is meant; `note` says why."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeReading:
    """A scheme as words name it, with the group size where they carry one."""

    scheme: str
    group_size: int | None = None


class Spellings:
    """The table of spellings, indexed by kind and normalized text."""

    def __init__(self, rows: Iterable[Spelling]) -> None:
        """Index the rows; the canonical words themselves are spellings too."""
        self._rows: dict[tuple[str, str], Spelling] = {}
        for row in rows:
            self._rows[row.kind, normalize(row.text)] = row
        for row in list(self._rows.values()):
            if row.canonical is not None:
                own = Spelling(kind=row.kind, text=row.canonical, canonical=row.canonical)
                self._rows.setdefault((row.kind, normalize(row.canonical)), own)

    def read(self, kind: str, text: str) -> str | None:
        """The canonical word for a spelling, or None when it is unknown or cannot be told."""
        row = self._rows.get((kind, normalize(text)))
        if row is not None:
            return row.canonical
        if kind == "scheme":
            reading = read_scheme(text)
            return reading.scheme if reading else None
        return None

    def read_scheme(self, text: str) -> SchemeReading | None:
        """Scheme and group size for a spelling, by the table first and by rule after."""
        scheme = self.read("scheme", text)
        return None if scheme is None else SchemeReading(scheme=scheme, group_size=read_group_size(text))

    def note(self, kind: str, text: str) -> str:
        """Why a spelling cannot be told, or what was taken for granted; empty when all is plain."""
        row = self._rows.get((kind, normalize(text)))
        return row.note if row else ""


def normalize(text: str) -> str:
    """Lower case without spaces, hyphens, underscores and brackets; `+` and dots between digits stay."""
    lowered = text.strip().lower()
    return re.sub(r"(?<!\d)\.|\.(?!\d)|[^a-z\d.+]", "", lowered)


def read_scheme(text: str) -> SchemeReading | None:
    """Scheme and group size by rule alone, or None when the words name no scheme."""
    lowered = text.strip().lower()
    plain = PLAIN_SCHEMES.get(normalize(lowered))
    if plain is not None:
        return SchemeReading(scheme=plain)
    return read_gguf(lowered) or read_exl(lowered) or read_widths(lowered) or read_grouped(lowered)


def read_gguf(lowered: str) -> SchemeReading | None:
    """A llama.cpp type: `q4_k_m`, `Q4_K` (its M mix), `IQ4_K_R4` (repacked rows, same bits)."""
    text = normalize(REPACKED.sub("", lowered.removesuffix("gguf").strip()))
    name = GGUF_DEFAULTS.get(text) or GGUF_BY_NORMALIZED.get(text)
    return SchemeReading(scheme=name) if name else None


def read_exl(lowered: str) -> SchemeReading | None:
    """ExLlama's fractional widths: `EXL3-4.00bpw` is EXL3_4.0bpw."""
    found = EXL.fullmatch(lowered)
    if found is None:
        return None
    return SchemeReading(scheme=f"EXL{found['version']}_{float(found['bits'])}bpw")


def read_widths(lowered: str) -> SchemeReading | None:
    """Widths of weights and activations, `W4A16 g128`; None for a width that no hardware or tool has."""
    found = WIDTHS.fullmatch(lowered)
    if (
        found is None
        or found["weights"] not in WEIGHT_WIDTHS
        or found["activations"] not in ACTIVATION_WIDTHS
    ):
        return None
    group_size = read_group_size(found["rest"])
    if found["rest"].strip(" -_,") and group_size is None:
        return None
    kv = f"KV{found['kv']}" if found["kv"] else ""
    return SchemeReading(scheme=f"W{found['weights']}A{found['activations']}{kv}", group_size=group_size)


def read_grouped(lowered: str) -> SchemeReading | None:
    """Weight-only integers under older names: `GPTQ-Int4`, `int4 g32`, `AWQ-4bit-128g`, `w3g128`."""
    found = GROUPED.fullmatch(lowered)
    if found is None:
        return None
    width = found["int"] or found["bit"] or found["w"]
    rest = found["rest"] or ""
    group_size = int(found["wg"]) if found["wg"] else read_group_size(rest)
    if width not in WEIGHT_WIDTHS or (width == "8" and found["tool"] is None) or width == "1":
        return None
    if re.sub(r"-?act-?order|act=(?:yes|no)|g-(?=\s|$)", "", rest).strip(" -_,") and group_size is None:
        return None
    return SchemeReading(scheme=f"W{width}A16", group_size=group_size)


def read_group_size(text: str) -> int | None:
    """The group size that a spelling carries: 128 in `W4A16 g128` and in `4bit-128g`."""
    found = GROUP_SIZE.search(text.lower())
    return int(found["g"] or found["before"]) if found else None


def shorten(words: str, length: int = 60) -> str:
    """Words that were typed, fit for one sentence: single blanks, cut when long."""
    line = " ".join(words.split())
    return line if len(line) <= length else line[: length - 1] + "…"


GGUF_BY_NORMALIZED = {normalize(name): name for name in GGUF_TYPES}
