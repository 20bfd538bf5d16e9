"""What is asked: the sentence, and the workload it stands for.

`qwen-72b for 2x A6000, context 32k, for 16 users, best quality, with vllm` is one request. What the words
leave open stays None here and gets its stated default in `make_workload`.
"""

from dataclasses import dataclass
from typing import Literal

from planner.domain.facts.hardware import DeviceKind

Objective = Literal["balanced", "quality", "speed", "memory"]
Task = Literal["general", "coding", "math", "chat", "multilingual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsk:
    """`2x A6000` before it meets the tables: a count and the words for the card."""

    count: int
    words: str
    """`this machine` and `cpu` mean this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A plan request as understood from words or fields; None is what was not said."""

    text: str
    model: str
    devices: tuple[DeviceAsk, ...]
    context_tokens: int | None = None
    concurrency: int | None = None
    objective: Objective = "balanced"
    engine: str | None = None
    task: Task | None = None
    kv_dtype: str | None = None
    schemes: tuple[str, ...] = ()
    """Schemes asked for by name or by width; only these may go below what the policy allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What the model will serve, every default filled in."""

    context_tokens: int
    concurrency: int
    prompt_share: float = 0.75
    """Part of a sequence that is prompt: 3:1 prompt to output by default."""
    task: Task = "general"


def make_workload(request: Request, max_position: int, kind: DeviceKind) -> Workload:
    """The request's workload with the stated defaults: context min(8192, the model's maximum), 4 at once on
    GPUs and 1 on CPU or unified memory, 3:1, task `general`."""
    return Workload(
        context_tokens=request.context_tokens or min(8192, max_position),
        concurrency=request.concurrency or (4 if kind == "gpu" else 1),
        task=request.task or "general",
    )
