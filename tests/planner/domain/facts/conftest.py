"""The project's own tables, read once: what people name is what `data/` holds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from planner.domain.facts.hardware import Accelerator
from planner.domain.facts.hardware_names import AcceleratorNames
from planner.domain.facts.kernels import Load, Placement
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


@pytest.fixture(scope="session")
def a_load(tables, a_device, a_model) -> Callable[..., Load]:
    """What an engine is asked to load: W4A16 with groups of 128 in vLLM on one RTX A6000."""

    def build(
        scheme="W4A16",
        form="compressed-tensors",
        *,
        engine="vllm",
        card="NVIDIA RTX A6000",
        model=None,
        **fields,
    ) -> Load:
        model = model or a_model()
        return Load(
            **{
                "engine": engine,
                "model": model,
                "scheme": tables.schemes[scheme, form],
                "method": "gptq",
                "group_size": 128,
                "placement": Placement(),
                "device": a_device(card),
                "intermediate_size": model.intermediate_size,
                **fields,
            }
        )

    return build


@pytest.fixture(scope="session")
def mixture(a_model) -> ModelFacts:
    """Eight experts, none of its widths a power of two."""
    return a_model(
        model_id="test/mixture",
        architecture="MixtralForCausalLM",
        hidden_size=1088,  # 8.5 times 128
        intermediate_size=0,
        num_experts=8,
        experts_per_token=2,
        moe_intermediate_size=4128,  # 64.5 times 64
        params_total=1,
    )
