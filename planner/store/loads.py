"""`data/` in the database: loaded when its content hash is new, every load kept, so that old plans replay."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from planner.domain.errors import MachineRefused
from planner.store.connection import Database
from planner.store.queries import load_queries

EVIDENCE_FILES: Mapping[str, str] = {
    "quality.csv": "add_quality_evidence",
    "guide.csv": "add_quality_evidence",
    "speed.csv": "add_speed_evidence",
    "memory_truth.csv": "add_memory_evidence",
    "memory_negatives.csv": "add_negative_evidence",
    "sizes.csv": "add_size_evidence",
    "quant_job_cost.csv": "add_job_evidence",
}
"""Files of `data/evidence/` in load order, with the statement that reads each."""
RULE_FILES = (
    *("engine_rules", "engine_models", "schemes", "recipes", "prebuilt", "engines"),
    *("native", "engine_kin", "engine_options", "engine_defaults", "engine_cuda", "links"),
    *("ggml_types", "gguf_mix", "gguf_dynamic"),
)
"""Tables whose hash is a decision's `rules_version`."""

ReadWord = Callable[[str, str], str | None]
"""(kind, text as found) → canonical word, or None when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Load:
    """One version of `data/` in the database."""

    load_id: int
    data_sha256: str


def hash_data(folder: Path) -> str:
    """SHA-256 over the names and bytes of every CSV under `data/`."""
    digest = hashlib.sha256()
    paths = sorted(folder.rglob("*.csv"))
    if not paths:
        raise MachineRefused(
            "data.missing",
            f"No tables were found under {folder}. Install Bitwright again or set BITWRIGHT_DATA.",
        )
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def hash_rules(folder: Path) -> str:
    """SHA-256 over the rule tables alone."""
    digest = hashlib.sha256()
    for stem in RULE_FILES:
        digest.update((folder / f"{stem}.csv").read_bytes())
    return digest.hexdigest()


class LoadStore:
    """Loads of `data/` and the small tables in them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("loads")

    def find_load(self, data_sha256: str) -> Load | None:
        """The load of this content, if there is one."""
        with self._database.cursor() as cursor:
            row = cursor.execute(self._queries["find_load"], {"data_sha256": data_sha256}).fetchone()
        return None if row is None else Load(row[0], data_sha256)

    def add_load(self, folder: Path, data_sha256: str, read_word: ReadWord, loaded_at: str) -> Load:
        """Load all tables of `folder`, in one transaction."""
        with self._database.transaction() as cursor:
            row = cursor.execute(
                self._queries["add_load"], {"data_sha256": data_sha256, "loaded_at": loaded_at}
            ).fetchone()
            assert row is not None
            load_id = int(row[0])
            for path in sorted(folder.glob("*.csv")):
                cursor.execute(
                    self._queries["add_facts"], {"load_id": load_id, "name": path.stem, "path": str(path)}
                )
            self._add_spellings(cursor, folder, read_word)
            for name, statement in EVIDENCE_FILES.items():
                cursor.execute(
                    self._queries[statement],
                    {"load_id": load_id, "path": str(folder / "evidence" / name), "loaded_at": loaded_at},
                )
            cursor.execute(self._queries["add_efficiencies"], {"load_id": load_id})
        return Load(load_id, data_sha256)

    def list_facts(self, load: Load, name: str) -> list[dict[str, str]]:
        """Rows of one small table, every cell a string, blank for none."""
        with self._database.cursor() as cursor:
            rows = cursor.execute(
                self._queries["list_facts"], {"load_id": load.load_id, "name": name}
            ).fetchall()
        return [{key: value or "" for key, value in json.loads(row[0]).items()} for row in rows]

    def _add_spellings(self, cursor: duckdb.DuckDBPyConnection, folder: Path, read_word: ReadWord) -> None:
        paths = [str(folder / "evidence" / name) for name in EVIDENCE_FILES]
        words = cursor.execute(self._queries["list_words"], {"paths": paths}).fetchall()
        found = [(kind, text) for kind, text in words if text]
        cursor.execute(self._queries["begin_spellings"])
        cursor.execute(
            self._queries["add_spellings"],
            {
                "kinds": [kind for kind, _ in found],
                "texts": [text for _, text in found],
                "canonicals": [read_word(kind, text) for kind, text in found],
            },
        )
