"""Every row of the table is found by its name, by NVML's and by each alias, or asked about with its likes."""

import csv
import re
from pathlib import Path

from planner.domain.errors import Ambiguous, BitwrightError
from planner.sources.tables import make_accelerator

DATA = Path(__file__).parents[4] / "data"
VENDOR_WORDS = re.compile(
    r"\b(?:nvidia|amd|apple|intel|geforce|tesla|radeon|instinct|generation|edition|gpu)\b"
)
with (DATA / "accelerators.csv").open(encoding="utf-8", newline="") as file:
    ROWS = [make_accelerator(row) for row in csv.DictReader(file)]


def letters(name):
    """A name as hasty people write it: no vendor, no punctuation, `80g` for `80gb`."""
    bare = re.sub(r"(\d+) ?gb?\b", r"\1gb", VENDOR_WORDS.sub("", name.lower()))
    return re.sub(r"[^a-z\d]", "", bare)


def kind_of(row):
    """What tells cards apart: advertised memory and capability."""
    return row.memory_gib, row.sm or row.architecture


SHARING = {}
for one in ROWS:
    for said in {letters(name) for name in (one.name, *one.nvml_names, *one.aliases)}:
        SHARING.setdefault(said, []).append(one)


def those_called(name):
    """Rows that share a name; a bare name means the desktop card."""
    rows = SHARING[letters(name)]
    return [row for row in rows if row.form != "laptop" or "laptop" in name.lower()] or rows


def complaints_about(cards, row, name):
    """What is wrong with the answer to a row's name: empty for that card, a like one said aloud, or a question."""
    sharing = those_called(name)
    try:
        match = cards.resolve(name)
    except Ambiguous as question:
        choices = letters(" ".join(question.choices))
        missing = [shared.name for shared in sharing if letters(shared.name) not in choices]
        return f"not among the choices: {missing}" if missing or len(question.choices) < 2 else ""
    if match.accelerator not in sharing:
        return f"is {match.accelerator.name}"
    if len({kind_of(shared) for shared in sharing}) > 1 and match.accelerator.name.lower() != name.lower():
        return (
            "" if match.notes else f"could be {[shared.name for shared in sharing]}, and was not asked about"
        )
    return (
        ""
        if len(sharing) == 1 or match.notes or name in match.accelerator.nvml_names
        else "said nothing of like cards"
    )


def test_there_are_rows():
    assert len(ROWS) > 280


def test_every_row_is_found_by_its_own_name(cards):
    wrong = {row.name: cards.resolve(row.name).accelerator.name for row in ROWS}
    assert {asked: found for asked, found in wrong.items() if asked != found} == {}


def test_every_alias_is_its_card_or_asked_about(cards):
    found = {(row.name, alias): complaints_about(cards, row, alias) for row in ROWS for alias in row.aliases}
    assert {who: complaint for who, complaint in found.items() if complaint} == {}


def test_every_name_that_nvml_prints_is_its_card(cards):
    """A driver gives the memory beside the name, which tells the 3080 of 10 GiB from that of 12."""
    wrong = {}
    for row in ROWS:
        shown = row.visible_bytes or int((row.memory_gib or 0) * 2**30)
        for name in row.nvml_names:
            found = cards.resolve_nvml(name, shown).accelerator
            complaint = complaints_about(cards, row, name)
            if kind_of(found) != kind_of(row) or complaint:
                wrong[row.name, name] = found.name, complaint
    assert wrong == {}


def test_a_slip_in_a_name_brings_suggestions(cards):
    """The last letter but one left out: a suggestion, a choice, or another card (`T4` leaves one letter)."""
    helpless = []
    for row in ROWS:
        if len(letters(row.name)) < 4:
            continue
        try:
            cards.resolve(row.name[:-2] + row.name[-1:])
        except BitwrightError as error:
            if not (error.suggestions or error.choices):
                helpless.append(row.name)
    assert helpless == []
