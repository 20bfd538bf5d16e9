"""Tables and evidence by version, read from the store once and kept while the process lives."""

import gc
import threading
from pathlib import Path

from planner.domain.choose.candidates import Tables
from planner.domain.errors import BadInput
from planner.domain.facts.evidence import EvidenceBase
from planner.domain.facts.spellings import Spellings
from planner.ports import Clock, KnowledgeVersion
from planner.sources.rules import RULE_TABLES, make_planning_tables
from planner.sources.tables import Row, make_spelling, read_spellings
from planner.store.evidence import EvidenceStore
from planner.store.loads import Load, LoadStore, hash_data, hash_rules

KEPT = 4
"""Versions of evidence that are kept: that of now, and those that somebody replays."""


class StoredKnowledge:
    """What is known, from the database, after `data/` was loaded if its content is new."""

    def __init__(self, loads: LoadStore, evidence: EvidenceStore, data: Path, clock: Clock) -> None:
        self._loads = loads
        self._evidence = evidence
        data_sha256 = hash_data(data)
        load = loads.find_load(data_sha256)
        if load is None:
            spellings = Spellings(read_spellings(data / "spellings.csv"))
            load = loads.add_load(data, data_sha256, spellings.read, clock.now())
        self.load = load
        self._rules_sha256 = hash_rules(data)
        self._turn = (
            threading.Lock()
        )  # read once, however many ask: what is worked out from it goes by identity
        self._tables: dict[str, Tables] = {}
        self._bases: dict[tuple[str, str | None], EvidenceBase] = {}
        self._spellings: Spellings | None = None

    def version(self) -> KnowledgeVersion:
        """The newest version."""
        return KnowledgeVersion(self.load.data_sha256, self._rules_sha256, self._evidence.highest_id())

    def rows(self, name: str) -> list[Row]:
        """Rows of one small table of the current load."""
        return self._loads.list_facts(self.load, name)

    def tables(self, version: KnowledgeVersion) -> Tables:
        """Planning tables of a version.

        Raises:
            BadInput: `data.version_missing` when this home never loaded that version.
        """
        with self._turn:
            found = self._tables.get(version.data_sha256)
            if found is None:
                load = self._find_load(version)
                rows = {name: self._loads.list_facts(load, name) for name in RULE_TABLES}
                found = self._tables[version.data_sha256] = make_planning_tables(rows)
        return found

    def evidence(self, version: KnowledgeVersion, benchmark: str | None = None) -> EvidenceBase:
        """Evidence as of a version, with results on one benchmark more than planning looks at."""
        planned = {name for names in self.tables(version).benchmarks.values() for name in names}
        extra = None if benchmark in planned else benchmark
        with self._turn:
            found = self._bases.pop((version.evidence_version, extra), None)
            if found is None:
                wanted = sorted(planned | ({extra} if extra else set()))
                load = self._find_load(version)
                found = self._evidence.read_base(load, version.highest_evidence_id, wanted)
                gc.freeze()  # thousands of rows that stay: the collector need not walk them at every plan
            self._bases[version.evidence_version, extra] = found  # the newest stands last
            if len(self._bases) > KEPT:
                del self._bases[next(iter(self._bases))]
        return found

    def spellings(self) -> Spellings:
        """How people and evidence write things, from the current load."""
        if self._spellings is None:
            self._spellings = Spellings(make_spelling(row) for row in self.rows("spellings"))
        return self._spellings

    def _find_load(self, version: KnowledgeVersion) -> Load:
        if version.data_sha256 == self.load.data_sha256:
            return self.load
        load = self._loads.find_load(version.data_sha256)
        if load is None:
            raise BadInput(
                "data.version_missing",
                f"This home never loaded the data version {version.data_sha256[:12]}… that the decision stands on.",
            )
        return load
