"""A database of one's own, and one with `data/` in it that a whole run of tests shares."""

from pathlib import Path

import pytest

from planner.domain.facts.spellings import Spellings
from planner.domain.record.decision import Decision, Draft, write_body
from planner.sources.tables import read_spellings
from planner.store.connection import Database, open_database
from planner.store.evidence import EvidenceStore
from planner.store.loads import LoadStore, hash_data
from planner.store.records import RecordStore

AT = "2026-01-01T00:00:00+00:00"
DATA = Path(__file__).parents[3] / "data"
A_BODY = {
    "request": {"text": "a test"},
    "model": {"id": "test/model"},
    "target": {"label": "1 × RTX A6000"},
    "chosen": {"scheme": "W4A16", "method": "gptq", "engine": "vllm"},
    "alternatives": [
        {"scheme": "FP8", "method": "rtn", "engine": "vllm", "tp": 2, "memory": {"total_bytes": 9}},
        {"scheme": "Q8_0", "method": "rtn", "engine": "llama.cpp", "tp": 1, "memory": {"total_bytes": 8}},
    ],
    "rejected": [
        {
            "scheme": "BF16",
            "method": "none",
            "group_size": None,
            "engine": "vllm",
            "tp": 1,
            "pp": 1,
            "code": "memory.over_by",
            "message": "too large",
            "numbers": {"over_by_bytes": 7},
            "source": "a test",
            "way_out": ["fewer bits"],
        }
    ],
}


@pytest.fixture
def database(tmp_path):
    opened = open_database(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def records(database) -> RecordStore:
    return RecordStore(database)


@pytest.fixture
def keep(records):
    """Keep a body as the newest decision."""

    def build(body, request_document=None, documents=()) -> Decision:
        draft = Draft(write_body(body), request_document, documents)
        return records.add_decisions([draft], AT)[0]

    return build


@pytest.fixture
def a_body():
    """A decision's body, as small as the store lets it be."""
    return dict(A_BODY)


@pytest.fixture(scope="session")
def read_word():
    return Spellings(read_spellings(DATA / "spellings.csv")).read


@pytest.fixture(scope="session")
def loaded(tmp_path_factory, read_word) -> Database:
    """A database with `data/` loaded and one decision in it."""
    opened = open_database(tmp_path_factory.mktemp("loaded"))
    LoadStore(opened).add_load(DATA, hash_data(DATA), read_word, "2026-01-01T00:00:00")
    RecordStore(opened).add_decisions([Draft(write_body(A_BODY))], AT)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def evidence(loaded) -> EvidenceStore:
    return EvidenceStore(loaded)
