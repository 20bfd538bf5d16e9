"""Behaves as the job's scheme says: well, or in one of the ways in which a backend goes wrong."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

job = json.loads(sys.stdin.read())
out = Path(job["out_dir"])
scheme = job["scheme"]


def say(**event):
    print(json.dumps(event), flush=True)


for done in range(5):
    say(event="stage", stage="quantize", done=done, total=4, unit="layers")
if scheme == "HANGS":
    (out / "half.gguf").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for done in range(10_000):
        say(event="stage", stage="save", done=done, total=10_000, unit="layers")
        time.sleep(0.05)
if scheme == "WAITS":
    # Works until a test lets it end, so that a test chooses what happens meanwhile.
    (out / "half.gguf").write_text(str(os.getpid()))
    while not (Path(job["model_dir"]).parent / "go").exists():
        say(event="stage", stage="save", done=1, total=2, unit="layers")
        time.sleep(0.05)
    (out / "half.gguf").unlink()
if scheme == "SILENT":
    time.sleep(3600)
if scheme == "FORKS":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
if scheme == "GARBAGE":
    print("Loading weights: 42%", flush=True)
    sys.stdout.buffer.write(b"\xff\xfe\x00 not text\n[1, 2]\nnull\n")
    sys.stdout.flush()
if scheme == "CRASHES":
    os.kill(os.getpid(), signal.SIGSEGV)
if scheme == "KILLED":
    os.kill(os.getpid(), signal.SIGKILL)
if scheme == "REFUSES":
    say(
        event="error",
        code="backend.missing_shard",
        message="model-2.safetensors is missing. Download it again. See the log.",
    )
    sys.exit(1)
if scheme == "NO_FILES":
    say(event="result", files=["model.gguf"])
    sys.exit(0)
if scheme == "NOTHING":
    sys.exit(0)

# The smallest GGUF: no pairs, one tensor of 32 bytes.
name = b"w"
table = struct.pack("<Q", len(name)) + name + struct.pack("<IQIQ", 1, 8, 0, 0)
head = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + table
head += b"\0" * (-len(head) % 32)
(out / "model.gguf").write_bytes(head + b"\1" * 32)
say(
    event="result",
    files=["model.gguf"],
    tool_versions={"fake": "1"},
    peak_ram_bytes=1,
    stage_seconds={"quantize": 0.1},
)
