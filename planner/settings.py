"""Settings of the planner, read once from the environment in `main`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from planner.domain.errors import BadInput

SHORTEST_LEASE_SECONDS = 5.0
"""Executors renew every two seconds; one late word must not cost a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things are; each field is one `BITWRIGHT_*` variable."""

    home: Path
    """BITWRIGHT_HOME: all state. Default: the platform's data folder."""
    cache: Path
    """BITWRIGHT_CACHE: what can be rebuilt (environments, the demo model). Default: the platform's cache folder."""
    data: Path
    """BITWRIGHT_DATA: the tables. Default: the ones that came with the package."""
    lease_seconds: float = 60.0
    """BITWRIGHT_LEASE_SECONDS: how long a silent executor keeps its job before another may have it. Default: 60."""
    approval_minutes: float = 30.0
    """BITWRIGHT_APPROVAL_MINUTES: a job that may take longer is approved by another than who asked. Default: 30."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment.

    Raises:
        BadInput: `settings.lease`, `settings.approval`.
    """
    return Settings(
        home=Path(environment.get("BITWRIGHT_HOME") or user_data_path("bitwright")).expanduser(),
        cache=Path(environment.get("BITWRIGHT_CACHE") or user_cache_path("bitwright")).expanduser(),
        data=Path(environment.get("BITWRIGHT_DATA") or _packaged_data()).expanduser(),
        lease_seconds=_read_lease(environment.get("BITWRIGHT_LEASE_SECONDS") or "60"),
        approval_minutes=_read_minutes(environment.get("BITWRIGHT_APPROVAL_MINUTES") or "30"),
    )


def _read_lease(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_LEASE_SECONDS <= seconds < 1e6:
        raise BadInput(
            "settings.lease",
            f'BITWRIGHT_LEASE_SECONDS is "{text}": it has to be {SHORTEST_LEASE_SECONDS:.0f} seconds or more.',
        )
    return seconds


def _read_minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < 1e6:
        raise BadInput(
            "settings.approval", f'BITWRIGHT_APPROVAL_MINUTES is "{text}": it has to be 0 or more minutes.'
        )
    return minutes


def _packaged_data() -> Path:
    package = Path(__file__).resolve().parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"
