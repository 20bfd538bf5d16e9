"""A disk, a quota or a limit that ends a write is named with sizes, and so is the log."""

import importlib.util
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from executors.errors import BackendFailed

BACKENDS = Path(__file__).parents[2] / "executors" / "backends"


@pytest.fixture
def quantize(monkeypatch):
    """llama.cpp's script without what only its environment has."""
    monkeypatch.syspath_prepend(BACKENDS)
    monkeypatch.setitem(sys.modules, "convert", SimpleNamespace(convert_checkpoint=None))
    monkeypatch.setitem(sys.modules, "libllama", SimpleNamespace(Library=None))
    spec = importlib.util.spec_from_file_location("llamacpp_quantize", BACKENDS / "llamacpp" / "quantize.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_stream_error_is_told_as_a_write_that_failed(quantize, tmp_path, monkeypatch):
    source, target = tmp_path / "bf16.gguf", tmp_path / "partial" / "model.gguf"
    target.parent.mkdir()
    source.write_bytes(bytes(3 * quantize.MIB))
    target.write_bytes(bytes(quantize.MIB))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (20 * quantize.MIB, 20 * quantize.MIB))
    error = quantize.explain_failure("Q5_K_M", source, target, ["basic_ios::clear: iostream error"])
    assert error.code == "backend.disk_full"
    for words in ("after 1 MiB", "3 MiB are needed", "MiB are free", "20 MiB at most", "See the log."):
        assert words in error.message


def test_any_other_reason_is_passed_on(quantize, tmp_path):
    (tmp_path / "bf16.gguf").write_bytes(b"")
    error = quantize.explain_failure("Q5_K_M", tmp_path / "bf16.gguf", tmp_path / "model.gguf", ["odd shape"])
    assert (error.code, "odd shape" in error.message) == ("backend.quantize_failed", True)


@pytest.mark.parametrize("said", ["67108864 requested and 20447232 written", "[Errno 27] File too large"])
def test_a_library_that_wrote_less_than_it_should_is_told_as_a_full_disk(quantize, said):
    del quantize
    from jobwire import explain_exception  # noqa: PLC0415 - a backend's module, found through the fixture

    assert explain_exception(OSError(said))["code"] == "backend.disk_full"


def test_the_log_that_an_error_speaks_of_is_named(run_fake):
    with pytest.raises(BackendFailed, match=r"Download it again\. See /.*/logs/j1/quantize\.log\."):
        run_fake("REFUSES")
