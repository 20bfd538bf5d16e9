"""Every row of `data/engine_rules.csv` that states a condition is reproduced, cell by cell, from its own words.

The columns that came with a row (capability, group sizes, divisibility, act-order, placement, KV types, CPU, Mac)
are read here once more, apart from the `conditions` that the planner follows, and each must allow and refuse as
they say. What is not reproduced is listed: rows by their `why_not`, single cells in `NOT_A_CONDITION`.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from planner.domain.facts.conditions import PREDICATES
from planner.domain.facts.kernels import Load, Placement
from planner.domain.facts.scheme import Scheme
from planner.sources.rules import make_rule

DATA = Path(__file__).parents[4] / "data"
with (DATA / "engine_rules.csv").open(encoding="utf-8", newline="") as table:
    ROWS = [row for row in csv.DictReader(table) if row["scheme"]]

CELLS = (
    *("min_compute_capability", "group_sizes", "divisibility_per_rank", "act_order", "tp_constraints"),
    *("kv_dtypes", "cpu_support", "mac_support"),
)
NOT_A_CONDITION = {
    ("group_sizes", "none"): "the scheme has no groups",
    ("group_sizes", "variable per tensor (q_groups)"): "whatever the checkpoint has is read",
    ("group_sizes", "block [128,128]"): "the scheme's own blocks; divisibility is tested",
    ("group_sizes", "128x128"): "the scheme's own blocks; divisibility is tested",
    ("group_sizes", "16"): "the scheme's own group",
    ("group_sizes", "16 / 32"): "the schemes' own groups",
    ("group_sizes", "see gptqmodel rows"): "refers to other rows",
    ("divisibility_per_rank", "as 4-bit marlin"): "refers to another row",
    ("divisibility_per_rank", "as gptq_marlin"): "refers to another row",
    ("min_compute_capability", "6.0 (class)"): "of a class that is registered for CPUs alone",
    ("act_order", "n/a"): "no such thing in this format",
    ("act_order", "yes (desc_act with group -1 is turned off)"): "taken either way",
    ("act_order", "yes (q_invperm)"): "taken either way",
    ("cpu_support", "x86 list separate"): "refers to another row",
    ("cpu_support", "see bitsandbytes row"): "refers to another row",
    ("mac_support", "see gptqmodel rows"): "refers to other rows",
    ("mac_support", "dequantized to bf16"): "runs as another scheme",
    ("mac_support", "mps with torch 2.15+"): "a torch that is not named in an estimate",
    ("cpu_support", "ipex path present"): "a package of its own",
    (
        "kv_dtypes",
        "2..8 bit quantized cache (k_bits and v_bits set apart)",
    ): "widths that no KV type here has",
}
SHAPE, GROUP, KV = "shape.", "shape.group_size_unsupported", "kv."
DEVICES = {"cpu_support": "CPU Xeon 6900P 12-channel DDR5-6400", "mac_support": "Apple M2 Max 96GB"}
CARDS = {
    "Hopper": 90,
    "Ada": 89,
    "Ampere": 80,
    "Blackwell sm120": 120,
    "Blackwell sm100/103": 100,
}


def group_cases(text):
    """(fields, code or None) of a cell that names group sizes."""
    positive = re.match(r">0", text)
    if positive:
        return [({"group_size": 16}, None), ({"group_size": None}, GROUP)]
    if "even" in text:
        return [({"group_size": 6}, None), ({"group_size": None}, None), ({"group_size": 7}, GROUP)]
    if "multiple of 32" in text:
        return [({"group_size": 96}, None), ({"group_size": 48}, GROUP)]
    sizes = re.split(r"[ ;]", text)[0].split("|")
    allowed = [None if size == "-1" else int(size) for size in sizes]
    cases = [({"group_size": size}, None) for size in allowed]
    return [
        *cases,
        ({"group_size": 48}, GROUP),
        *([] if None in allowed else [({"group_size": None}, GROUP)]),
    ]


def capability_cases(text):
    """Compute capabilities that a cell allows and refuses."""
    if "exactly" in text:
        return [({"sm": 90}, None), ({"sm": 80}, "capability."), ({"sm": 100}, "capability.")]
    if text == "12.x":
        return [({"sm": 120}, None), ({"sm": 90}, "capability.")]
    needed = round(float(re.match(r"[\d.]+", text)[0]) * 10)
    older = {50: 37, 60: 52, 61: 60, 70: 61, 75: 70, 80: 75, 89: 86, 90: 89, 100: 90}[needed]
    return [({"sm": needed}, None), ({"sm": older}, "capability.")]


def listed_cases(notes):
    """Cards that TensorRT-LLM's table lists and does not list."""
    yes = re.search(r"supported on: ([^;]*)", notes)
    no = re.search(r"not listed for: (.*)", notes)
    cases = [({"sm": CARDS[name]}, None) for name in yes[1].split(", ")]
    return cases + [({"sm": CARDS[name]}, "capability.") for name in (no[1].split(", ") if no else ())]


WIDTH = 4096
"""Feed-forward width of the models below: a multiple of every tile."""


def multiple_cases(columns, rows):
    """A width that is a multiple of both, one whose columns are not, one whose fused rows are not."""
    cases = [({"intermediate_size": WIDTH}, None)]
    if columns > 1:
        cases.append(({"intermediate_size": WIDTH + columns // 2}, "shape.not_multiple"))
    if rows > 2:
        cases.append(({"intermediate_size": WIDTH + rows // 4}, "shape.not_multiple"))
    return cases


STRADDLING = {"placement": Placement(tp=2), "group_size": 128, "intermediate_size": 4224}
"""4224 / 2 = 2112 columns a rank are 16.5 groups of 128."""
WHOLE = {"placement": Placement(tp=2), "group_size": 128, "intermediate_size": 4096}
UNEVEN = {"group_size": 128, "intermediate_size": 4160}
"""4160 columns are 32.5 groups of 128."""
IN_GROUPS = [(STRADDLING, "shape.group_not_divisible"), (WHOLE, None)]
WHOLE_GROUPS = [(UNEVEN, "shape.group_not_divisible"), ({"group_size": 128}, None)]
PADDED = [({"intermediate_size": 4104, "group_size": None}, None)]
DIVISIBILITY = {
    "K per rank % group_size == 0; N per rank % pack_factor == 0": [*IN_GROUPS, *multiple_cases(1, 8)],
    "(N%64 and K%128) or (N%128 and K%64), else zero-padded (dense layers); K per rank % group_size == 0 when "
    "group_size < full K": [*IN_GROUPS, *PADDED],
    "hidden % 128 == 0; intermediate per rank % 64 == 0 (padded otherwise); intermediate per rank % "
    "group_size == 0": [
        ({"moe_intermediate_size": 4224, **STRADDLING}, "shape.group_not_divisible"),
        ({"hidden_size": 1088}, "shape.not_multiple"),
        ({"moe_intermediate_size": 4104, "group_size": None}, None),
    ],
    "K%64 == 0; N%128 == 0": multiple_cases(64, 128),
    "N per rank % (32/bits) == 0; full K % group_size == 0": [*multiple_cases(1, 8), *WHOLE_GROUPS],
    "K%128 == 0 and N%128 == 0": multiple_cases(128, 128),
    "N%8 == 0; K % group == 0": [*multiple_cases(1, 8), *WHOLE_GROUPS],
    "N%8 == 0; full K % group == 0": [*multiple_cases(1, 8), *WHOLE_GROUPS],
    "K%32 == 0; N%32 == 0": multiple_cases(32, 32),
    "full K % group == 0": WHOLE_GROUPS,
    "K%32 == 0": multiple_cases(32, 1),
    "cutlass pads N and K to multiples of 16": PADDED,
    "K per rank % block_k == 0; each output partition % block_n == 0; MoE intermediate per rank % block_n == 0": [
        ({"placement": Placement(tp=2), "intermediate_size": 4224}, "shape.block_not_divisible"),
        ({"placement": Placement(tp=2), "intermediate_size": 4096}, None),
        ({"placement": Placement(tp=32), "num_heads": 32, "num_kv_heads": 32}, "shape.block_not_divisible"),
    ],
    "K%128 == 0; N % 128 == 0 (out_features)": multiple_cases(128, 128),
    "weight group row % 32 == 0": multiple_cases(1, 32),
    "MoE hidden and intermediate are rounded up per backend": [({"moe_intermediate_size": 4104}, None)],
    "N per rank % 64 == 0; K per rank % 128 == 0; K per rank % group_size == 0": [
        *IN_GROUPS,
        *multiple_cases(128, 64),
    ],
    "linear layers are padded to multiples of 128 (pad_to=128)": PADDED,
    "in_features per step % 32 == 0": multiple_cases(32, 1),
    "last weight dim % group_size == 0": WHOLE_GROUPS,
    "last dim % 32 == 0": multiple_cases(32, 1),
    "last dim % 16 == 0": multiple_cases(16, 1),
}


def divisibility_cases(text):
    """What a cell about divisibility allows and refuses."""
    both = re.fullmatch(r"in_features % (\d+); out_features % (\d+)", text)
    if both:
        return multiple_cases(int(both[1]), int(both[2]))
    block = re.fullmatch(r"row length \(K\) must be a multiple of (\d+)", text)
    if block and int(block[1]) < 256:
        return multiple_cases(int(block[1]), 1)
    if block:  # llama.cpp falls back to another type: test_rows_of_256 below
        return [({"intermediate_size": WIDTH + 128}, None)]
    return DIVISIBILITY[text]


def cell_cases(cell, text, row):
    """Every (fields, code or None) that a cell states."""
    if cell == "min_compute_capability":
        listed = "supported on" in row["notes"]
        cases = listed_cases(row["notes"]) if listed else capability_cases(text)
        kv = {"fp8 kv cache": "fp8", "kv": "int8"}.get(row["scheme"])
        return [({**fields, "kv_dtype": kv}, code and KV) for fields, code in cases] if kv else cases
    if cell == "group_sizes":
        return [] if has_own_group(row) else group_cases(text)
    if cell == "act_order":
        refused = text in {"no", "[False]"}
        return [({"act_order": True}, "scheme.act_order" if refused else None), ({}, None)]
    readers = {
        "divisibility_per_rank": divisibility_cases,
        "tp_constraints": placement_cases,
        "kv_dtypes": kv_cases,
    }
    if cell in readers:
        return readers[cell](text)
    refused = text.startswith("no")
    return [({"card": DEVICES[cell]}, ("engine.other_vendor", "capability.") if refused else None)]


def has_own_group(row):
    """Whether the group is the scheme's own block: `test_blocks_are_the_schemes_own` looks at those."""
    return row["scheme"].startswith(("gguf-", "mx", "nv")) and not row["scheme"].startswith("mlx")


def placement_cases(text):
    """What a cell about placement allows and refuses."""
    two = {"placement": Placement(tp=2)}
    if "heads" in text:
        return [(two, None), ({"placement": Placement(tp=3)}, "shape.heads_not_divisible")]
    if "group" in text:
        return IN_GROUPS
    if text.startswith("no tensor"):
        return [(two, "engine.no_tensor_parallel"), ({}, None)]
    if text.startswith("layer split"):
        return [({"placement": Placement(pp=3)}, None)]
    return [(two, None)]


def kv_cases(text):
    """KV types of a cell that this planner knows, and one that the cell does not name."""
    words = {"float16": "f16", "bfloat16": "bf16"}
    named = [words.get(word, word) for word in re.findall(r"[a-z]+\d*(?:_(?:e\dm\d|\d))?\b", text)]
    known = [
        name
        for name in named
        if name in {"auto", "f16", "bf16", "fp8", "fp8_e4m3", "fp8_e5m2", "q8_0", "q4_0"}
    ]
    if text == "fp8":  # one row about one type, which says nothing of the others
        return [({"kv_dtype": "fp8"}, None)]
    absent = "q4_0" if "q4_0" not in known else "fp8"
    return [*(({"kv_dtype": name}, None) for name in known), ({"kv_dtype": absent}, KV)]


def row_cases():
    for row in ROWS:
        for cell in CELLS:
            text = row[cell].strip()
            if row["role"] == "fact" or not text or (cell, text) in NOT_A_CONDITION:
                continue
            for number, (fields, code) in enumerate(cell_cases(cell, text, row)):
                yield pytest.param(row, fields, code, id=f"{row['rule_id']}-{cell}-{number}")


@pytest.fixture(scope="session")
def load_of_row(a_model, a_device):
    """A load that a row is about, with some of its fields changed."""

    def build(row, fields) -> Load:
        rule = make_rule(row)
        named = {name: fields[name] for name in MODEL_FIELDS & set(fields)}
        experts = {"num_experts": 8, "experts_per_token": 2, "moe_intermediate_size": 4096}
        is_mixture = "is_mixture" in row["conditions"] or "moe_intermediate_size" in fields
        card = fields.get("card") or next(
            (name for vendor, name in USUAL.items() if f"vendor_in={vendor}" in row["conditions"]),
            "NVIDIA RTX A6000",
        )
        if "architecture_has=RDNA" in row["conditions"] and "card" not in fields:
            card = "AMD Radeon RX 7900 XTX"
        scheme = (rule.schemes or ("W4A16",))[0].replace("*", "4.0bpw").replace("Q4.0bpw", "Q4_0")
        device = a_device(card)
        model = a_model(**{"num_kv_heads": 8, **(experts if is_mixture else {}), **named})
        return Load(
            engine=rule.engines[0],
            model=model,
            scheme=Scheme(
                name=scheme,
                format=(rule.formats or ("safetensors",))[0],
                weight_bits=4,
                activation_bits=16,
                scales="group",
            ),
            method=(rule.methods or ("gptq",))[0],
            group_size=fields.get("group_size", default_group(row)),
            kv_dtype=fields.get("kv_dtype", "auto"),
            placement=fields.get("placement", Placement()),
            device=replace(device, sm=fields["sm"]) if "sm" in fields else able(device, row),
            intermediate_size=fields.get("intermediate_size", model.intermediate_size),
            act_order=fields.get("act_order", False),
        )

    return build


MODEL_FIELDS = {"moe_intermediate_size", "hidden_size", "num_heads", "num_kv_heads"}
USUAL = {
    "cpu": "CPU Xeon 6900P 12-channel DDR5-6400",
    "apple": "Apple M2 Max 96GB",
    "intel": "Intel Arc B580",
    "amd": "AMD Radeon RX 7900 XTX",
}


def default_group(row):
    """128 where a row takes it, else the first size that it names."""
    sizes = re.findall(r"\d+", row["group_sizes"].split(" ")[0])
    return (
        128 if not sizes or "128" in sizes or row["group_sizes"].startswith((">", "-1 or")) else int(sizes[0])
    )


def able(device, row):
    """The card with the capability that the row asks for, so that other cells are seen alone."""
    wanted = re.search(r"(?:min_sm|sm_in)=(\d+)", row["conditions"])
    return replace(device, sm=int(wanted[1])) if wanted and device.vendor == "nvidia" else device


@pytest.mark.parametrize(("row", "fields", "code"), list(row_cases()))
def test_a_row_allows_and_refuses_as_its_cells_say(load_of_row, row, fields, code):
    found = [finding.code for finding in make_rule(row).failing(load_of_row(row, fields))]
    if row["role"] == "requires" and {"engine.other_vendor", "engine.other_kernel"} & set(found):
        found = []  # the row is not about this load: kernels.py passes over it
    if code is None:
        assert found == []
    else:
        assert any(one.startswith(code) for one in found), found


def test_every_row_judges_or_says_why_not():
    idle = [row for row in ROWS if row["role"] == "fact"]
    assert len(ROWS) == 203
    assert all(row["why_not"] for row in idle)
    assert len(idle) == 7  # 3 hold names in place of values, 4 say what a tool writes or reads


def test_rows_without_a_condition_of_their_own_still_say_yes_or_no():
    # Their versions list a KV type, a CPU or a Mac at most.
    bare = [row for row in ROWS if not any(row[cell].strip() for cell in CELLS[:5])]
    assert len(bare) == 24
    assert {row["role"] for row in bare} <= {"loads", "refuses", "requires", "optional", "fact"}


def test_blocks_are_the_schemes_own(tables):
    for row in ROWS:
        if not has_own_group(row) or not row["group_sizes"].isdigit():
            continue
        is_gguf, kind = row["scheme"].startswith("gguf-"), row["scheme"].removeprefix("gguf-")
        if is_gguf and kind in tables.gguf.types:
            assert tables.gguf.types[kind].block_elements == int(row["group_sizes"])
        elif not is_gguf and (row["schemes"].split("|")[0], "compressed-tensors") in tables.schemes:
            scheme = tables.schemes[row["schemes"].split("|")[0], "compressed-tensors"]
            assert scheme.fixed_group == int(row["group_sizes"])


def test_every_cell_that_is_left_out_is_in_the_table():
    present = {(cell, row[cell].strip()) for row in ROWS for cell in CELLS}
    assert set(NOT_A_CONDITION) <= present


def test_rows_of_256_fall_back_to_a_type_with_smaller_blocks(tables):
    # llama-quant.cpp: a K- or IQ-type whose block does not divide a row gives way to a 32-wide type.
    for row in ROWS:
        kind = row["scheme"].removeprefix("gguf-")
        if row["group_sizes"] == "256" and row["engine"] == "llama.cpp" and not kind.startswith("TQ"):
            stored = tables.gguf.types[kind]
            assert stored.block_elements == 256
            assert tables.gguf.types[stored.fallback].block_elements == 32


def test_every_condition_that_rows_name_exists():
    names = {part.partition("=")[0] for row in ROWS for part in row["conditions"].split(";") if part}
    assert names <= set(PREDICATES)
