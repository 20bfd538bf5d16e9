"""Builders with meaningful defaults, and the project's own tables read once."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.command import bitwright, shared_home  # noqa: F401 - fixtures of every package here

from planner.domain.choose.candidates import Tables
from planner.domain.choose.predictor import PlanInputs
from planner.domain.facts.evidence import EvidenceBase
from planner.domain.facts.hardware import Device, Target, make_device
from planner.domain.facts.model import ModelFacts
from planner.domain.facts.request import Request
from planner.domain.facts.request_devices import DeviceAsk
from planner.domain.facts.tensors import count_described_parameters
from planner.domain.units import GIB
from planner.main import open_workshop
from planner.settings import Settings
from planner.sources.rules import RULE_TABLES, make_planning_tables
from planner.sources.tables import read_accelerators, read_models

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="session")
def tables() -> Tables:
    """The planning tables of `data/`."""
    rows = {}
    for stem in RULE_TABLES:
        with (DATA / f"{stem}.csv").open(encoding="utf-8", newline="") as file:
            rows[stem] = list(csv.DictReader(file))
    return make_planning_tables(rows)


@pytest.fixture(scope="session")
def catalogue_model() -> Callable[[str], ModelFacts]:
    """A row of `data/models.csv` by id."""
    models = {model.model_id: model for model in read_models(DATA / "models.csv")}
    return models.__getitem__


@pytest.fixture(scope="session")
def qwen72b(catalogue_model) -> ModelFacts:
    return catalogue_model("Qwen/Qwen2.5-72B")


@pytest.fixture(scope="session")
def demo(catalogue_model) -> ModelFacts:
    return catalogue_model("local/smollm2-135m-instruct-from-q4_1")


@pytest.fixture(scope="session")
def a_model() -> Callable[..., ModelFacts]:
    """A covered dense model whose parameter count agrees with its fields."""

    def build(layers: int = 4, **fields) -> ModelFacts:
        model = ModelFacts(
            **{
                "model_id": "test/model-1b",
                "family": "test",
                "architecture": "LlamaForCausalLM",
                "hidden_size": 1024,
                "num_layers": layers,
                "num_heads": 16,
                "num_kv_heads": 4,
                "head_dim": 64,
                "intermediate_size": 4096,
                "vocab_size": 32000,
                "tie_embeddings": False,
                "max_position": 32768,
                "attention": "gqa",
                "params_total": 0,
                "source": "built for a test",
                **fields,
            }
        )
        return model if model.params_total else replace(model, params_total=count_described_parameters(model))

    return build


@pytest.fixture(scope="session")
def a_device() -> Callable[..., Device]:
    """A card: by the name of its row in `data/accelerators.csv`, or of so many GiB with nothing reserved."""
    cards = {card.name: card for card in read_accelerators(DATA / "accelerators.csv")}

    def build(name: str = "NVIDIA RTX A6000", gib: float | None = None, **fields) -> Device:
        device = make_device(cards[name])
        if gib is not None:
            device = replace(device, total_bytes=int(gib * GIB), reserved_bytes=0)
        return replace(device, **fields)

    return build


@pytest.fixture(scope="session")
def a_target(a_device) -> Callable[..., Target]:
    """So many of one card."""

    def build(name: str = "NVIDIA RTX A6000", count: int = 1, **fields) -> Target:
        return Target(devices=(a_device(name, **fields),) * count)

    return build


@pytest.fixture(scope="session")
def plan_inputs(tables) -> Callable[..., PlanInputs]:
    """Everything a decision depends on, with no evidence unless it is given."""

    def build(
        model: ModelFacts, target: Target, *, evidence: EvidenceBase | None = None, **request
    ) -> PlanInputs:
        asks = (DeviceAsk(count=len(target.devices), words=target.devices[0].label),)
        return PlanInputs(
            request=Request(text="a test", model=model.model_id, devices=asks, **request),
            model=model,
            model_id=model.model_id,
            notes=(),
            target=target,
            tables=tables,
            evidence=evidence or EvidenceBase(version="none"),
            versions={"planner_version": "test"},
        )

    return build


@pytest.fixture(scope="session")
def shared_workshop(loaded_home, tmp_path_factory):
    """All ports over a home that questions share: nothing is recorded in it."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(loaded_home, home)
    opened = open_workshop(Settings(home=home, cache=home / "cache", data=DATA))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def shared_service(server, shared_workshop):
    """A service that a module's questions share: nothing is recorded in it."""
    with server.serve(shared_workshop) as opened:
        yield opened
