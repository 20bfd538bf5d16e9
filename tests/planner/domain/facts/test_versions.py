"""Versions as evidence writes them, and the ranges that rows name."""

import pytest

from planner.domain.facts.versions import is_newer_than, is_within, just_after, read_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.6.3.post1", (0, 6, 3)),
        (">=0.10.0", (0, 10, 0)),
        ("0.7.x V1", (0, 7)),
        ("0.7-0.10", (0, 7)),
        ("0.10.0.dev", (0, 10, 0)),
        ("0.19.1rc1.dev71", (0, 19, 1)),
        ("4.51.3 + AutoAWQ 0.2.9", (4, 51, 3)),
        ("0.1.dev16944", None),
        ("2026-06 main (auto_gptq consolidation)", None),
        ("4426e298 (2824)", None),
        ("nightly 2025-11", None),
        ("", None),
        (None, None),
    ],
)
def test_the_first_version_in_a_text_counts(text, version):
    assert read_version(text) == version


@pytest.mark.parametrize(
    ("version", "since", "before", "within"),
    [
        ((0, 5, 5), (0, 5, 5), (0, 24, 0), True),
        ((0, 24, 0), (0, 5, 5), (0, 24, 0), False),
        ((0, 10, 2), (0, 9, 0), None, True),
        (None, (0, 5, 5), None, True),
        (None, None, (0, 24, 0), False),
        ((0, 4), (0, 4, 1), None, True),
        ((0, 4), None, (0, 4, 1), True),
    ],
)
def test_a_range_has_its_first_version_and_not_its_last(version, since, before, within):
    assert is_within(version, since, before) == within


def test_a_whole_line_is_within_when_all_of_it_is():
    assert not is_within((0, 4), (0, 4, 1), None, whole_line=True)
    assert is_within((0, 4), (0, 4, 0), (0, 5, 0), whole_line=True)


def test_what_is_missing_in_a_release_may_be_in_its_next():
    assert is_within((0, 6, 5), None, just_after((0, 6, 5)))
    assert not is_within((0, 6, 6), None, just_after((0, 6, 5)))


def test_a_later_patch_is_no_newer_line():
    assert not is_newer_than((0, 33, 7), (0, 33, 0))
    assert is_newer_than((0, 34, 0), (0, 33, 0))
