"""`data/` in the database: once for each content, whole or not at all, every row with its source."""

import csv
import shutil
from pathlib import Path

import duckdb
import pytest

from planner.domain.errors import MachineRefused
from planner.store.loads import EVIDENCE_FILES, LoadStore, hash_data, hash_rules

DATA = Path(__file__).parents[3] / "data"
SUBJECTS = {
    "quality.csv": "quality",
    "speed.csv": "speed",
    "memory_truth.csv": "memory",
    "sizes.csv": "size",
    "quant_job_cost.csv": "job",
}


def count_rows(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


@pytest.fixture
def small_data(tmp_path):
    """A copy of `data/` whose evidence files have ten rows each."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    for name in EVIDENCE_FILES:
        path = folder / "evidence" / name
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[:11]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


def test_every_row_of_the_evidence_is_there(loaded):
    with loaded.cursor() as cursor:
        counts = dict(cursor.execute("SELECT subject, count(*) FROM evidence GROUP BY ALL").fetchall())
    quality = count_rows(DATA / "evidence/quality.csv") + count_rows(DATA / "evidence/guide.csv")
    assert counts["quality"] == quality
    for name, subject in list(SUBJECTS.items())[1:]:
        assert counts[subject] == count_rows(DATA / "evidence" / name)


def test_every_row_of_the_evidence_names_its_source(loaded):
    with loaded.cursor() as cursor:
        without = cursor.execute("SELECT count(*) FROM evidence WHERE trim(source_ref) = ''").fetchone()
    assert without == (0,)


def test_the_guides_own_table_is_marked_as_its_statement(loaded):
    with loaded.cursor() as cursor:
        rows = cursor.execute(
            "SELECT scheme, value FROM evidence WHERE flags LIKE '%guide_statement%' AND metric = 'mmlu'"
        ).fetchall()
    # data/README of the facts: FP8 85.9, GPTQ 4-bit 85.2, AWQ 85.4, Q4_K_M 85.1, 3-bit 83.4, 2-bit 78.6.
    assert sorted(value for _, value in rows) == [78.6, 83.4, 85.1, 85.2, 85.4, 85.9]


def test_small_tables_come_back_as_they_stand(loaded):
    load = LoadStore(loaded).find_load(hash_data(DATA))
    rows = LoadStore(loaded).list_facts(load, "prebuilt")
    with (DATA / "prebuilt.csv").open(encoding="utf-8", newline="") as file:
        assert rows == list(csv.DictReader(file))


def test_another_content_is_another_load_and_the_first_one_stays(database, small_data, read_word):
    store = LoadStore(database)
    first = store.add_load(small_data, hash_data(small_data), read_word, "2026-01-01T00:00:00")
    engines = small_data / "engines.csv"
    engines.write_text(engines.read_text().replace("transformers,cpu", "transformers,gpu|cpu"))
    second = store.add_load(small_data, hash_data(small_data), read_word, "2026-01-02T00:00:00")
    assert first.data_sha256 != second.data_sha256
    assert store.find_load(first.data_sha256) == first
    kinds = [
        {row["engine"]: row["kinds"] for row in store.list_facts(load, "engines")} for load in (first, second)
    ]
    assert [of["transformers"] for of in kinds] == ["cpu", "gpu|cpu"]


def test_a_file_that_cannot_be_read_leaves_nothing_behind(database, small_data, read_word):
    (small_data / "evidence" / "speed.csv").unlink()
    with pytest.raises(duckdb.Error):
        LoadStore(database).add_load(small_data, "a hash", read_word, "2026-01-01T00:00:00")
    assert LoadStore(database).find_load("a hash") is None
    with database.cursor() as cursor:
        assert cursor.execute("SELECT count(*) FROM evidence").fetchone() == (0,)
        assert cursor.execute("SELECT count(*) FROM facts").fetchone() == (0,)


def test_the_hash_follows_content_and_names(small_data):
    before = hash_data(small_data)
    assert hash_data(small_data) == before
    (small_data / "recipes.csv").rename(small_data / "recipe.csv")
    assert hash_data(small_data) != before


def test_the_rules_have_a_hash_of_their_own(small_data):
    before = hash_rules(small_data)
    (small_data / "evidence" / "sizes.csv").write_text("")
    assert hash_rules(small_data) == before
    (small_data / "engine_rules.csv").write_text("")
    assert hash_rules(small_data) != before


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(MachineRefused) as caught:
        hash_data(tmp_path)
    assert caught.value.code == "data.missing"
