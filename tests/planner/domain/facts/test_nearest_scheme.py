"""What bounds a mix, a class, or weights beside a KV cache; and what still names no width."""

import pytest

from planner.domain.facts.nearest_scheme import Nearest, nearest_scheme
from planner.domain.facts.spellings import SchemeReading


@pytest.mark.parametrize(
    ("text", "note", "scheme", "group_size", "kv_dtype"),
    [
        pytest.param("IQ3_S mix", "mix by its author", "IQ3_S", None, None, id="a-mix"),
        pytest.param("Q2_K_S/Q4_K_S mix", "mix of widths", "Q4_K_S", None, None, id="the-wider-of-two"),
        pytest.param("ubergarm Q2_K_R4", "mix by its author", "Q2_K", None, None, id="an-author"),
        pytest.param("Q4_K class", "which of the class is not said", "Q4_K_M", None, None, id="a-class"),
        pytest.param("W4A16+W8 mixed", "mix of widths", "W8A16", None, None, id="the-wider-width"),
        pytest.param("attention 4-bit, experts 3-bit", "mix of widths", "W4A16", None, None, id="in-words"),
        pytest.param("NFL-W4G64", "a layout of its own", "W4A16", None, None, id="its-own-layout"),
        pytest.param("MXFP4/8 mixed", "mix of widths", "MXFP8", None, None, id="floats"),
        pytest.param("NVFP4 experts + FP8", "mix of widths", "FP8_DYNAMIC", None, None, id="floats-in-words"),
        pytest.param("W16A16KV8", "names the KV cache", "BF16", None, "int8", id="cache-width"),
        pytest.param("KV-FP8-E4M3", "names the KV cache", "BF16", None, "fp8_e4m3", id="cache-alone"),
        pytest.param("Q5_K_M+KV q5_1/q5_1", "", "Q5_K_M", None, "q5_1", id="cache-beside"),
        pytest.param("Q4_0+KV iq4_nl/iq4_nl", "", "Q4_0", None, "iq4_nl", id="cache-of-a-longer-name"),
    ],
)
def test_takes_what_bounds_it(text, note, scheme, group_size, kv_dtype):
    reading = SchemeReading(scheme=scheme, group_size=group_size)
    assert nearest_scheme(text, note) == Nearest(reading=reading, kv_dtype=kv_dtype)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        pytest.param("W5A17", "", id="no-such-width"),
        pytest.param("IQ3_S mix", "", id="nobody-wrote-it-so"),
        pytest.param("W2A16/W4A16/W8A16", "three schemes", id="three"),
        pytest.param("GPTQ 2/3-bit", "two widths", id="two-widths"),
        pytest.param("not printed in row", "not said", id="not-said"),
        pytest.param("compressed-tensors", "a format", id="a-format"),
        pytest.param("custom mix", "mix by its author", id="a-mix-of-what"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_what_says_no_width_is_none(text, note):
    assert nearest_scheme(text, note) is None
