"""The field's calculators beside ours, on published peaks of Qwen2.5 in transformers and one question of shape.

Each is installed with its pin into an environment of its own under the cache folder, within a bounded time, and
asked in its own words; sizes are read in the unit that its own weights add up in. What cannot be installed, or
asks a hub for every model, is said so. Nothing of theirs is imported here.

    .venv/bin/python benchmarks/accuracy/peers.py
"""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from home import throwaway_workshop
from memory import Estimator, compare
from rich import box
from rich.console import Console
from rich.table import Table
from truth import Figure, read_figures

from planner.domain.facts.model import ModelFacts
from planner.domain.units import GIB
from planner.settings import read_settings

INSTALL_SECONDS = 180
ASK_SECONDS = 30
GB = 1_000_000_000
QUESTION: dict[str, Any] = {
    "model": "Qwen/Qwen2.5-72B-Instruct",
    "scheme": "W4A16",
    "method": "gptq",
    "group_size": 128,
    "device": "2x A6000",
    "engine": "vllm",
    "tp": 2,
    "context": 8192,
    "concurrency": 4,
}
"""GPTQ's kernel needs whole groups on each rank: 29,568 / 2 / 128 is 115.5, so vLLM refuses to load it."""
SHAPE_WORDS = re.compile(r"29,?568|group|divis|straddl|align|pad", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One question to a peer."""

    model: ModelFacts
    name: str
    """As the row names it, `Qwen2.5-7B-Instruct`."""
    bits: int
    scheme: str
    """As the row spells it: bf16, GPTQ-Int4, GPTQ-Int8, AWQ-INT4."""
    tokens: int
    config: Path
    """Folder with a config.json of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A calculator: how to install it and how to ask."""

    name: str
    pins: tuple[str, ...]
    unit: int
    command: Callable[[Path, Asking], Sequence[str] | None]
    """Its command line, or None where it has no words for the question."""
    read: Callable[[str], float | None]
    """Its total, in its unit."""
    remark: str = ""


def ask_llmfit(environment: Path, asking: Asking) -> Sequence[str]:
    """`plan`, with the quantization in its own words."""
    quant = {"bf16": "F16", "AWQ-INT4": "AWQ-4bit"}.get(asking.scheme, asking.scheme)
    name = f"Qwen/{asking.name}" + ("-AWQ" if asking.name.startswith("Qwen2.5-0.5B") else "")
    program = str(environment / "bin" / "llmfit")
    return [program, "plan", name, "--context", str(asking.tokens), "--quant", quant, "--json"]


def ask_vramscout(environment: Path, asking: Asking) -> Sequence[str]:
    """Of a local folder, without its safety reserve."""
    return [
        *(str(environment / "bin" / "vramscout"), str(asking.config), "--context", str(asking.tokens)),
        *("--dtype", {16: "bf16", 8: "int8", 4: "int4"}[asking.bits], "--vram-gib", "640"),
        *("--reserve-gib", "0", "--json"),
    ]


def ask_whichllm(environment: Path, asking: Asking) -> Sequence[str]:
    """Through its own functions: its command looks every model up on a hub."""
    suffix = {"bf16": "", "AWQ-INT4": "-AWQ"}.get(asking.scheme, f"-{asking.scheme}")
    suffix = "-Int8" if asking.bits == 8 else suffix
    program = (
        "from whichllm.engine.vram import estimate_vram; from whichllm.models.types import ModelInfo; "
        f"print(estimate_vram(ModelInfo(id='Qwen/{asking.name}{suffix}', family_id='q', name='q', "
        f"parameter_count={asking.model.params_total}), None, {asking.tokens}))"
    )
    return [str(environment / "bin" / "python"), "-c", program]


def ask_vramcalc(environment: Path, asking: Asking) -> Sequence[str] | None:
    """16 bits alone."""
    if asking.bits != 16:
        return None
    program, config = str(environment / "bin" / "vramcalc"), str(asking.config / "config.json")
    return [program, "estimate", config, "--seq", str(asking.tokens), "--json"]


def ask_llm_sizer(environment: Path, asking: Asking) -> Sequence[str] | None:
    """Only the models in its own list."""
    name = asking.name.lower().removesuffix("-instruct")
    if name not in {"qwen2.5-7b", "qwen2.5-14b", "qwen2.5-32b", "qwen2.5-72b"}:
        return None
    quant = {16: "bf16", 8: "q8", 4: "q4"}[asking.bits]
    program = str(environment / "bin" / "llm-sizer")
    return [program, "-m", name, "-q", quant, "-c", str(asking.tokens), "--json"]


def read_json(*path: str) -> Callable[[str], float | None]:
    """A number somewhere in a JSON object, whatever is printed before it."""

    def read(output: str) -> float | None:
        try:
            value = json.loads(output[output.index("{") :])
            for name in path:
                value = value[name]
            return float(value)
        except (ValueError, KeyError, TypeError):
            return None

    return read


def read_number(output: str) -> float | None:
    """The last line as a number."""
    lines = output.split()
    return float(lines[-1]) if lines and re.fullmatch(r"[\d.]+", lines[-1]) else None


PEERS = (
    Peer(
        name="llmfit",
        pins=("llmfit==1.1.17",),
        unit=GB,
        command=ask_llmfit,
        read=read_json("minimum", "vram_gb"),
        remark="plan: minimum VRAM",
    ),
    Peer(
        name="vramscout",
        pins=("vramscout==0.7.0",),
        unit=GIB,
        command=ask_vramscout,
        read=read_json("total_gib"),
        remark="without its safety reserve",
    ),
    Peer(
        name="whichllm",
        pins=("whichllm==0.5.21", "typer==0.15.4", "click==8.1.8"),
        unit=1,
        command=ask_whichllm,
        read=read_number,
        remark="estimate_vram called directly",
    ),
    Peer(
        name="vramcalc",
        pins=("vramcalc==0.1.2",),
        unit=1,
        command=ask_vramcalc,
        read=read_json("estimate", "total"),
        remark="16 bits only",
    ),
    Peer(
        name="llm-sizer",
        pins=("llm-sizer==0.1.0",),
        unit=GIB,
        command=ask_llm_sizer,
        read=read_json("vram_gb", "total"),
        remark="its own list of models",
    ),
)
NOT_ASKED = {
    "gguf-parser (GPUStack)": "a Go program that reads GGUF headers from a hub; this needs Go and a hub",
    "accelerate estimate-memory": "loads every model's configuration from a hub",
    "hf-mem": "reads safetensors headers from a hub",
    "kvfit, fitcheck-llm": "look every model up on a hub",
    "llm-mem-planner": "refuses models without latent attention",
}


def install(peer: Peer, cache: Path) -> tuple[Path | None, str]:
    """The peer's environment, made when it is not there yet; None and why when it cannot be made in time."""
    pins = hashlib.sha256("\n".join((sys.version.split()[0], *peer.pins)).encode()).hexdigest()[:12]
    environment = cache / "peers" / f"{peer.name}-{pins}"
    done = environment / ".installed"
    if done.exists():
        return environment, ""
    pip = (
        str(environment / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    )
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True, timeout=60)
        subprocess.run([*pip, *peer.pins], check=True, timeout=INSTALL_SECONDS, capture_output=True)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"not installed: {type(error).__name__}"
    done.touch()
    return environment, ""


def ask(peer: Peer, environment: Path, asking: Asking) -> str:
    """What it prints; empty where it has no words for the question, or takes too long."""
    command = peer.command(environment, asking)
    if command is None:
        return ""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=ASK_SECONDS,
            env={"HF_HUB_OFFLINE": "1", "HOME": str(environment), "PATH": "/usr/bin:/bin"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def write_config(model: ModelFacts, folder: Path) -> Path:
    """A Qwen2 config.json from the catalogue's facts."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": [model.architecture],
        "model_type": "qwen2",
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_hidden_layers": model.num_layers,
        "num_attention_heads": model.num_heads,
        "num_key_value_heads": model.num_kv_heads,
        "vocab_size": model.vocab_size,
        "tie_word_embeddings": model.tie_embeddings,
        "torch_dtype": "bfloat16",
        "max_position_embeddings": model.max_position,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def make_asking(figure: Figure, model: ModelFacts, folder: Path) -> Asking:
    """What a row says, for a peer."""
    return Asking(
        model=model,
        name=figure.row["model"],
        bits=int(figure.row["bits"]),
        scheme=figure.row["scheme"],
        tokens=figure.fields["context"],
        config=write_config(model, folder / model.model_id.replace("/", "_")),
    )


def judge_shape(output: str) -> str:
    """Whether what was printed says anything about groups on ranks."""
    if not output.strip():
        return "cannot be asked"
    return "names the shape" if SHAPE_WORDS.search(output) else "no word of the shape"


def add_row(table: Table, name: str, errors: Sequence[float], shape: str, remark: str) -> None:
    """One tool's errors."""
    spread = (f"{mean(errors):.1%}", f"{median(errors):.1%}", f"{max(errors):.1%}") if errors else ("-",) * 3
    table.add_row(name, str(len(errors)), *spread, shape, remark)


def compare_peers(console: Console, estimator: Estimator, cache: Path, folder: Path) -> None:
    """One table: ours, by hand, and each peer."""
    figures = [row for row in read_figures() if row.source == "Qwen2.5 speed benchmark"]
    askings = [
        make_asking(figure, estimator.find_model(figure.fields["model"]), folder) for figure in figures
    ]
    table = Table(title=f"{len(figures)} published peaks of Qwen2.5 in transformers", box=box.SIMPLE_HEAD)
    for column in ("tool", "answered", "mean", "median", "worst"):
        table.add_column(column, justify="left" if column == "tool" else "right")
    table.add_column("72B, groups of 128, two ranks")
    table.add_column("how asked")
    ours = [compare(estimator, figure) for figure in figures]
    answer = estimator.estimate(QUESTION)
    codes = ", ".join(verdict["code"] for verdict in answer["verdicts"])
    add_row(table, "bitwright", [abs(row.error) for row in ours if row.predicted], codes, "estimate")
    add_row(
        table,
        "by hand",
        [abs(row.naive) for row in ours if row.naive is not None],
        "-",
        "parameters x bits + KV",
    )
    question = Asking(
        model=estimator.find_model(QUESTION["model"]),
        name="Qwen2.5-72B-Instruct",
        bits=4,
        scheme="GPTQ-Int4",
        tokens=8192,
        config=write_config(estimator.find_model(QUESTION["model"]), folder / "72b"),
    )
    for peer in PEERS:
        environment, why = install(peer, cache)
        if environment is None:
            table.add_row(peer.name, "-", "-", "-", "-", "-", why)
            continue
        errors = peer_errors(peer, environment, askings, figures)
        add_row(table, peer.pins[0], errors, judge_shape(ask(peer, environment, question)), peer.remark)
    for name, why in NOT_ASKED.items():
        table.add_row(name, "-", "-", "-", "-", "-", why)
    console.print(table)


def peer_errors(
    peer: Peer, environment: Path, askings: Sequence[Asking], figures: Sequence[Figure]
) -> list[float]:
    """Absolute errors where it answered."""
    found = (peer.read(ask(peer, environment, asking)) for asking in askings)
    return [
        abs(value * peer.unit / figure.measured - 1)
        for value, figure in zip(found, figures, strict=True)
        if value is not None
    ]


def main() -> None:
    """Compare on a throwaway home; environments stay in the cache."""
    cache = read_settings().cache
    with throwaway_workshop() as workshop, tempfile.TemporaryDirectory() as folder:
        compare_peers(Console(width=150), Estimator(workshop), cache, Path(folder))


if __name__ == "__main__":
    main()
