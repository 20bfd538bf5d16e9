"""The project's own tables, read once: what people name is what `data/` holds."""

from pathlib import Path

import pytest

from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.model_names import ModelNames
from planner.domain.facts.spellings import Spellings
from planner.sources.tables import read_accelerators, read_models, read_spellings

DATA = Path(__file__).parents[4] / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def catalogue() -> list[ModelFacts]:
    return read_models(DATA / "models.csv")


@pytest.fixture(scope="session")
def models(catalogue) -> ModelNames:
    return ModelNames(catalogue)


@pytest.fixture(scope="session")
def accelerators() -> list[Accelerator]:
    return read_accelerators(DATA / "accelerators.csv")


@pytest.fixture(scope="session")
def cards(accelerators) -> AcceleratorNames:
    return AcceleratorNames(accelerators)


@pytest.fixture(scope="session")
def spellings() -> Spellings:
    return Spellings(read_spellings(DATA / "spellings.csv"))
