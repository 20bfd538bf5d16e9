"""What numbers become: schemes as formats store them, the recipes that get there, and what exists already.

Rows come from `data/schemes.csv` (what a scheme stores for one weight), `data/recipes.csv` (which method,
format, engine and backend go together) and `data/prebuilt.csv` (published checkpoints).
"""

import re
from dataclasses import dataclass
from typing import Literal

ScaleLayout = Literal["none", "channel", "group", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How one (scheme, format) pair stores a weight matrix of N rows (outputs) and K columns (inputs)."""

    name: str
    format: str
    weight_bits: float
    """Stored bits of one weight, packing included; nominal bits per weight for GGUF mixes."""
    activation_bits: int
    scales: ScaleLayout
    """`channel`: one scale a row; `group`: one for `group_size` columns of a row; `block`: one a 128 × 128."""
    fixed_group: int | None = None
    """Group size that belongs to the scheme (16 in NVFP4); None where it is chosen."""
    scale_bytes: int = 0
    zero_point_bits: int = 0
    """Bits of a stored zero point for each scale; 0 where the scheme is symmetric and stores none."""
    matrix_bytes: int = 0
    """Bytes kept once for each matrix besides weights and scales (a packed shape, a global scale)."""
    index_bytes: int = 0
    """Bytes kept for each input column (GPTQ's g_idx)."""
    head_bits: float = 16
    """Stored bits of one weight of the output head."""
    left: frozenset[str] = frozenset()
    """Roles of linears that a released checkpoint leaves in 16 bits, beside those that every format leaves."""
    left_ends: bool = False
    """Whether the first and the last layer are left in 16 bits."""
    source: str = ""

    def __hash__(self) -> int:
        """By name and format, which only a released checkpoint's differ from in what they leave."""
        return hash((self.name, self.format))

    @property
    def is_gguf_mix(self) -> bool:
        """Whether llama.cpp chooses a type for each tensor (facts/gguf.py) instead of one for all."""
        return self.format == "gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeStorage:
    """How one checkpoint was released when it was never in 16 bits; one row of `data/native.csv`."""

    model_id: str
    scheme: str
    format: str
    group_size: int | None
    left: frozenset[str]
    """Roles of linears that it leaves in 16 bits."""
    left_ends: bool
    """Whether its first and last layer are in 16 bits."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to a served model: scheme, method, format, engine, and the backend that makes it."""

    scheme: str
    method: str
    format: str
    engine: str
    backend: str | None
    """None where nothing has to be made (16 bits as released)."""
    group_sizes: tuple[int | None, ...]
    below_sm: int | None
    """Weighed only on cards below this compute capability (times ten); None: on all."""
    calibrated: bool
    native_bits: float
    """Nominal weight bits that the policy about 3 and 2 bits looks at."""
    note: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prebuilt:
    """A published quantized checkpoint of a catalogue model."""

    model_id: str
    """The catalogue's id of the architecture."""
    repo: str
    scheme: str
    method: str
    format: str
    engine: str
    group_size: int | None
    intermediate_size: int | None
    """Padded intermediate size where it differs from the model's own."""
    note: str
    source: str

    @property
    def made_from(self) -> str:
        """The model that was quantized, as the repository's name says: `Qwen2.5-72B-Instruct`."""
        return STORAGE_SUFFIX.sub("", self.repo.rpartition("/")[2])


STORAGE_SUFFIX = re.compile(r"(?i)[-_.](?:awq|gptq|int[348]|w\d+a\d+|fp[48]|nvfp4|mxfp4|gguf|exl[23]).*")
"""Where a published checkpoint's name stops naming the model and starts naming how it is stored."""
CODEBOOKS = re.compile(r"AQLM_(?P<books>\d+)x(?P<bits>\d+)(?:g(?P<group>\d+))?")
"""AQLM's own words: codebooks x bits of a code, and the weights of a code where they are not what 2 bits ask."""
USUAL_CODE_BITS = 2
GROUPED_WIDTH = re.compile(r"W(?P<weights>[\d.]+)A(?P<activations>\d+)")
NAMED_WIDTH = re.compile(r"(?:EXL[23]_|VPTQ_)?\D*?(\d+(?:\.\d+)?)")


EXL_HEAD_BITS = 6
"""ExLlama's converters quantize the head to 6 bits unless told otherwise (-hb 6); the input embedding stays."""


def nominal_bits(scheme: str) -> float | None:
    """Bits of one weight as the scheme's own name says: 4 of `W4A16`, `NVFP4` and `IQ4_XS`, 4.5 of `EXL3_4.5bpw`."""
    found = NAMED_WIDTH.match(scheme)
    return float(found[1]) if found else None


def nominal_scheme(name: str) -> Scheme | None:
    """A scheme that no row of `data/schemes.csv` describes, stored at the width that its own name says.

    Codebooks are counted; what else a method keeps beside its weights is not. None where the name says no width.
    """
    codes = CODEBOOKS.fullmatch(name)
    if codes is not None:
        books, bits = int(codes["books"]), int(codes["bits"])
        group = int(codes["group"] or books * bits // USUAL_CODE_BITS)
        return Scheme(
            name=name,
            format="aqlm",
            weight_bits=books * bits / group,
            activation_bits=16,
            scales="channel",
            scale_bytes=2,
            matrix_bytes=books * 2**bits * group * 2,
            source="AQLM's name: codebooks x code bits; 16-bit codebooks and a scale a row",
        )
    width = nominal_bits(name)
    if width is None:
        return None
    grouped = GROUPED_WIDTH.match(name)
    return Scheme(
        name=name,
        format="safetensors",
        weight_bits=width,
        activation_bits=int(grouped["activations"]) if grouped else 16,
        scales="group" if grouped else "none",
        scale_bytes=2 if grouped else 0,
        head_bits=EXL_HEAD_BITS if name.startswith("EXL") else 16,
        source="the width in its name",
    )
