"""Settings of an executor, read once from the environment in `main`."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click
from platformdirs import user_cache_path, user_data_path

from executors.backend import BACKENDS_FOLDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where an executor works; each field is one `BITWRIGHT_*` variable."""

    home: Path
    """BITWRIGHT_HOME: finished artifacts lie under `artifacts/`. Default: the platform's data folder."""
    cache: Path
    """BITWRIGHT_CACHE: environments, the demo model, references. Default: the platform's cache folder."""
    server: str
    """BITWRIGHT_SERVER: address of the service. Default: none, --server says it."""
    token: str = field(repr=False)
    """BITWRIGHT_TOKEN: the service's token. Default: none, --token-file names a file that holds it."""
    backends: Path
    """BITWRIGHT_BACKENDS: folder of the backends this host runs. Default: the ones that came with the package."""
    host: str
    """BITWRIGHT_HOST: the name this host claims jobs under. Default: the host's own."""
    silence_seconds: float = 1800.0
    """BITWRIGHT_SILENCE_SECONDS: a backend that says nothing for so long is ended. Default: 1800."""
    pythons: tuple[str, ...] = ()
    """BITWRIGHT_PYTHONS: interpreters, parted by colons, that have engines. Default: those on PATH."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment.

    Raises:
        UsageError: a number of seconds that is none.
    """
    return Settings(
        home=Path(environment.get("BITWRIGHT_HOME") or user_data_path("bitwright")).expanduser(),
        cache=Path(environment.get("BITWRIGHT_CACHE") or user_cache_path("bitwright")).expanduser(),
        server=environment.get("BITWRIGHT_SERVER") or "",
        token=environment.get("BITWRIGHT_TOKEN") or "",
        backends=Path(environment.get("BITWRIGHT_BACKENDS") or BACKENDS_FOLDER).expanduser(),
        host=environment.get("BITWRIGHT_HOST") or platform.node() or "localhost",
        silence_seconds=_read_seconds(environment.get("BITWRIGHT_SILENCE_SECONDS") or "1800"),
        pythons=tuple(word for word in environment.get("BITWRIGHT_PYTHONS", "").split(os.pathsep) if word),
    )


def _read_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise click.UsageError(f'BITWRIGHT_SILENCE_SECONDS is "{text}": it has to be a number of seconds.')
    return seconds
