"""Settings of the planner, read once from the environment in `main`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path, user_data_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where things are; each field is one `BITWRIGHT_*` variable."""

    home: Path
    """BITWRIGHT_HOME: all state. Default: the platform's data folder."""
    cache: Path
    """BITWRIGHT_CACHE: what can be rebuilt (environments, the demo model). Default: the platform's cache folder."""
    data: Path
    """BITWRIGHT_DATA: the tables. Default: the ones that came with the package."""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment."""
    return Settings(
        home=Path(environment.get("BITWRIGHT_HOME") or user_data_path("bitwright")).expanduser(),
        cache=Path(environment.get("BITWRIGHT_CACHE") or user_cache_path("bitwright")).expanduser(),
        data=Path(environment.get("BITWRIGHT_DATA") or _packaged_data()).expanduser(),
    )


def _packaged_data() -> Path:
    package = Path(__file__).resolve().parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"
