"""What several packages' tests need: a home with its tables loaded, a service on loopback, a tiny checkpoint."""

import json
import shutil
import signal
import struct
from pathlib import Path

import pytest
from fakes.nvml.fixture import show_cards  # noqa: F401 - a fixture of every package
from fakes.served import open_server

from planner.main import open_workshop
from planner.settings import Settings
from planner.usecases.plan_model import plan_model, plan_without_record
from planner.usecases.read_ask import read_ask

DATA = Path(__file__).parents[1] / "data"
TINY = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
    "vocab_size": 1024,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def pytest_configure():
    """Hear Ctrl-C also where a shell started the tests in the background, and had it ignored from there on."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def loaded_home(tmp_path_factory):
    """A home that knows the tables and this machine's bandwidth: made once, copied for each test."""
    home = tmp_path_factory.mktemp("loaded") / "home"
    opened = open_workshop(Settings(home=home, cache=home / "cache", data=DATA))
    plan_without_record(opened, read_ask({"ask": "demo for cpu"}))
    opened.close()
    return home


@pytest.fixture
def home(loaded_home, tmp_path):
    """A fresh home, as after its first plan."""
    return Path(shutil.copytree(loaded_home, tmp_path / "home"))


@pytest.fixture
def workshop(home, tmp_path):
    """All ports over a fresh home."""
    opened = open_workshop(Settings(home=home, cache=tmp_path / "cache", data=DATA))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def server():
    """One loopback port for the services of all tests."""
    with open_server() as opened:
        yield opened


@pytest.fixture
def service(server, workshop, monkeypatch):
    """A real service over a fresh home, which looks for news often: `url`, `token`, `client`, `workshop`."""
    monkeypatch.setattr("planner.api.claims.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("planner.api.jobs.LOOK_SECONDS", 0.02)
    with server.serve(workshop) as opened:
        yield opened


@pytest.fixture
def tiny_checkpoint(tmp_path):
    """A checkpoint that the planner believes: a Llama of two layers, all zeros."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(TINY))
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}, "merges": []}}')
    write_zeros(folder / "model.safetensors", tiny_shapes())
    return folder


def tiny_shapes():
    hidden, inner, kv, vocab = 256, 512, 128, 1024
    shapes = {
        "model.embed_tokens.weight": (vocab, hidden),
        "lm_head.weight": (vocab, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(2):
        linears = {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (kv, hidden),
            "self_attn.v_proj": (kv, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in linears.items()}
    return shapes


def write_zeros(path, shapes):
    """A safetensors file of BF16 zeros."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(offset))


@pytest.fixture
def a_measurement():
    """What an executor reports of a good job."""
    return lambda **changes: {
        "artifact_bytes": 1_000_000,
        "perplexity": 10.3,
        "baseline_perplexity": 10.0,
        "kl_divergence": 0.02,
        "top1_agreement": 0.95,
        "prefill_tokens_per_s": 400.0,
        "decode_tokens_per_s": 50.0,
        "load_bytes": 900_000,
        "evaluated_on": {"engine": "llama.cpp", "device_kind": "cpu"},
        "job_minutes": 0.5,
        "peak_ram_bytes": 1_200_000_000,
        **changes,
    }


@pytest.fixture
def tiny_plan(workshop, tiny_checkpoint):
    """A recorded decision to make Q8_0 of the tiny checkpoint on this machine."""
    ask = {"ask": f"{tiny_checkpoint} for cpu", "scheme": "Q8_0", "must_quantize": True}
    return plan_model(workshop, read_ask(ask))
