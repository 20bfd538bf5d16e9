"""Machines with NVIDIA cards, as the small NVML library of this folder shows them to the real pynvml.

`build_nvml` compiles it into a folder named by the hash of source and flags: with the system's compiler, or where
there is none with the one in the registry package `ziglang`, which then comes on first use (100 MB, kept beside).
`show_machine` writes what it shall show and answers the variables for a process that is to see it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")
SONAME = "libnvidia-ml.so.1"
ZIGLANG = "ziglang==0.17.1"
MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process on a card; bytes None: the driver does not say (as in a container)."""

    pid: int
    bytes: int | None
    name: str
    kind: str = "c"
    instance: int = 0


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A MIG instance."""

    id: int
    profile: str
    bytes: int
    used: int = 0
    slices: int = 1


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card; an RTX A6000 where nothing else is said."""

    name: str = "NVIDIA RTX A6000"
    cc: str = "8.6"
    total: int = 49_140 * MIB
    reserved: int = 450 * MIB
    used: int = 0
    mig: int = -1
    ecc: int = 0
    pcie: tuple[int, int] = (4, 16)
    cpu: int = 0
    temperature: int = 41
    power: int = 22_000
    util: int = 0
    lost: bool = False
    processes: tuple[Process, ...] = ()
    instances: tuple[Instance, ...] = ()
    nvlinks: tuple[int, ...] = ()
    """By link, the number of the card at its other end; 100 and more for a switch, -1 for a link that is down."""


TWO_A6000 = (Card(), Card())


def build_nvml(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """The folder that holds the library, compiled now if it was not before; `without` leaves symbols out."""
    flags = [f"-D{symbol}=absent_{number}" for number, symbol in enumerate(without)]
    content = SOURCE.read_bytes() + " ".join(flags).encode()
    place = folder / f"nvml-{hashlib.sha256(content).hexdigest()[:16]}"
    if not (place / SONAME).is_file():
        place.mkdir(parents=True, exist_ok=True)
        building = place / f"{SONAME}.{os.getpid()}"
        command, environment = find_compiler(folder)
        command += ["-shared", "-fPIC", "-O1", f"-Wl,-soname,{SONAME}", *flags, "-o", str(building)]
        subprocess.run([*command, str(SOURCE)], check=True, env=environment)
        building.replace(place / SONAME)
    return place


def find_compiler(folder: Path) -> tuple[list[str], dict[str, str]]:
    """A C compiler's command and its environment: the system's, or ziglang's, fetched into the folder.

    Raises:
        CalledProcessError: there is no compiler and the package registry does not answer.
    """
    for name in (os.environ.get("CC") or "cc", "gcc", "clang"):
        if shutil.which(name):
            return [name], dict(os.environ)
    packages = folder / ZIGLANG
    if not (packages / "ziglang").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages)]
        subprocess.run([*pip, ZIGLANG], check=True)
    return [sys.executable, "-m", "ziglang", "cc"], {**os.environ, "PYTHONPATH": str(packages)}


def show_machine(
    library: Path,
    file: Path,
    cards: tuple[Card, ...] = TWO_A6000,
    *,
    init_error: int = 0,
    cuda: int = 12060,
) -> dict[str, str]:
    """Describe a machine in the file; the environment variables of a process that sees it."""
    rows = [("driver", "560.35.03"), ("cuda", cuda), ("init_error", init_error)]
    for number, card in enumerate(cards):
        rows += describe_card(number, card)
    file.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return {"LD_LIBRARY_PATH": str(library), "FAKE_NVML_FILE": str(file)}


def describe_card(number: int, card: Card) -> list[tuple[object, ...]]:
    """The card's lines."""
    rows: list[tuple[object, ...]] = [
        ("card",),
        ("name", card.name),
        ("uuid", f"GPU-{number:08d}-0000-4000-8000-000000000000"),
        ("bus", f"00000000:{0x21 + 0x20 * number:02X}:00.0"),
        ("cc", card.cc),
        ("total", card.total),
        ("reserved", card.reserved),
        ("used", card.used),
        ("mig", card.mig),
        ("ecc", card.ecc),
        ("pcie", *card.pcie),
        ("cpu", card.cpu),
        ("temperature", card.temperature),
        ("power", card.power),
        ("util", card.util),
    ]
    rows += [("nvlink", link, peer) for link, peer in enumerate(card.nvlinks)]
    rows += [
        ("instance", one.id, one.bytes, one.used, one.slices, f"{card.name} MIG {one.profile}")
        for one in card.instances
    ]
    for process in card.processes:
        held = 2**64 - 1 if process.bytes is None else process.bytes
        rows.append(("process", process.pid, held, process.instance, process.kind, process.name))
    return [*rows, ("lost",)] if card.lost else rows
