"""Score a compressed-tensors checkpoint against the unquantized one through transformers, on the CPU.

Weights compute in float32 here: on a CPU it costs little and keeps BF16's own rounding out of the comparison.
compressed-tensors unpacks the weights at the first forward pass, so that these speeds are transformers' and
not the serving engine's.

`load_bytes` is the sum of the artifact's parameters and buffers as loaded in its own types, packed;
`peak_ram_bytes` is of one model at a time: its float32 copy, and on the way there the packed or 16-bit weights.

Job: {"baseline_dir", "artifact_dir", "text_file", "context_tokens", "chunks", "reference_file", "prompt",
"max_new_tokens", "threads", "baseline_key"}.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jobwire import JobError, Wire, peak_ram_bytes, run_script, tool_versions
from scoring import Floats, score_artifact


class TorchModel:
    """A checkpoint that transformers loads."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self.load_bytes = _count_bytes(AutoModelForCausalLM.from_pretrained(folder, dtype="auto"))
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        except (ValueError, OSError, KeyError) as error:
            raise JobError(
                "backend.cannot_load", f"transformers cannot load {folder.name}: {str(error)[:300]}"
            ) from error
        self.vocab_size = int(self._model.config.get_text_config().vocab_size)
        leading = self._tokenizer("a").input_ids[:1]
        self.bos = leading[0] if leading and leading[0] == self._tokenizer.bos_token_id else None
        ends = self._model.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends]) | {self._tokenizer.eos_token_id}
        self._cache: Any = None

    def tokenize(self, text: str) -> list[int]:
        """Token ids of the text alone."""
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of the tokens, control tokens left out."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def ends_text(self, token: int) -> bool:
        """Whether generation stops at this token."""
        return token in self._ends

    def score(self, window: Sequence[int], first: int) -> Floats:
        """Logits at the positions from `first` to the last but one of a fresh window."""
        with self._torch.inference_mode():
            hidden = self._model(
                self._torch.tensor([list(window)]), use_cache=False, logits_to_keep=len(window) - first
            )
        return self._rows(hidden.logits)[:-1]

    def start(self, tokens: Sequence[int]) -> Floats:
        """Forget everything, run the tokens, return the last position's logits."""
        self._cache = None
        return self._extend(tokens)

    def step(self, token: int) -> Floats:
        """Append one token, return its logits."""
        return self._extend([token])

    def _extend(self, tokens: Sequence[int]) -> Floats:
        with self._torch.inference_mode():
            answer = self._model(
                self._torch.tensor([list(tokens)]),
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
            )
        self._cache = answer.past_key_values
        return self._rows(answer.logits)

    def _rows(self, logits: Any) -> Floats:
        return np.ascontiguousarray(logits[0].float().numpy()[:, : self.vocab_size])


def _count_bytes(model: Any) -> int:
    """Parameters and buffers by address, so that tied weights count once."""
    return sum(
        {tensor.data_ptr(): tensor.nbytes for tensor in (*model.parameters(), *model.buffers())}.values()
    )


def evaluate(job: dict[str, Any], wire: Wire) -> dict[str, object]:
    """Do the job."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    torch.set_num_threads(int(job["threads"]))

    @contextmanager
    def open_folder(name: str) -> Iterator[TorchModel]:
        yield TorchModel(Path(job[name]))

    versions = tool_versions(["compressed-tensors", "torch", "transformers", "numpy"])
    scores = score_artifact(
        job,
        wire,
        f"transformers {versions['transformers']} float32",
        partial(open_folder, "baseline_dir"),
        partial(open_folder, "artifact_dir"),
    )
    return {
        **scores,
        "evaluated_on": {"engine": "transformers", "device_kind": "cpu"},
        "peak_ram_bytes": peak_ram_bytes(),
        "stage_seconds": wire.stage_seconds,
        "tool_versions": versions,
    }


if __name__ == "__main__":
    run_script(evaluate)
