"""The fixture `show_cards`: a machine with cards, for processes that tests start."""

import subprocess

import pytest
from fakes.nvml.described import TWO_A6000, build_nvml, show_machine

from executors.locks import hold_lock


@pytest.fixture
def show_cards(request, tmp_path):
    """Environment variables under which a process sees the cards (two RTX A6000 where none are named)."""
    folder = request.config.cache.mkdir("nvml")

    def show(*cards, without=(), **machine):
        try:
            with hold_lock(folder / ".lock", wait_seconds=300.0):  # tests may run in several processes
                library = build_nvml(folder, without=without)
        except subprocess.CalledProcessError:
            pytest.skip("no C compiler here, and the package registry gives none")
        return show_machine(library, tmp_path / "cards.txt", cards or TWO_A6000, **machine)

    return show
