"""Evidence as predictors read it."""

from collections.abc import Callable

import pytest

from planner.domain.facts.evidence import QualityRow


@pytest.fixture(scope="session")
def a_quality_row() -> Callable[..., QualityRow]:
    """A W4A16 GPTQ result on MMLU that lost one percent."""

    def build(**fields) -> QualityRow:
        return QualityRow(
            **{
                "evidence_id": 1,
                "model_id": "test/other-1b",
                "params": 1e9,
                "scheme": "W4A16",
                "method": "gptq",
                "group_size": 128,
                "bits": 4.0,
                "benchmark": "mmlu",
                "higher_is_better": True,
                "value": 59.4,
                "baseline": 60.0,
                "source": "a paper",
                **fields,
            }
        )

    return build
