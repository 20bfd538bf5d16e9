"""What the backends here can make: each a folder with backend.toml, requirements.txt and two scripts."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.errors import JobRefused

BACKENDS_FOLDER = Path(__file__).parent / "backends"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Schemes and methods that a backend makes in the same way."""

    schemes: tuple[str, ...]
    methods: tuple[str, ...]
    group_sizes: tuple[int, ...]  # empty: the scheme takes none
    needs_calibration: bool


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One backend as its folder describes it."""

    name: str
    folder: Path
    format: str
    engines: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    python_at_least: tuple[int, int]
    python_below: tuple[int, int]
    install_seconds: float
    install_disk_bytes: int
    install_packages: int

    @property
    def requirements(self) -> Path:
        """The pinned requirements of its environment."""
        return self.folder / "requirements.txt"

    @property
    def requirements_sha256(self) -> str:
        """Names the exact pins in manifests and evidence."""
        return hashlib.sha256(self.requirements.read_bytes()).hexdigest()

    def find_recipe(
        self, *, scheme: str, method: str, artifact_format: str, group_size: int | None
    ) -> Recipe:
        """The recipe that makes this.

        Raises:
            JobRefused: `backend.cannot_make`, naming what it can.
        """
        for recipe in self.recipes:
            has_group = group_size in recipe.group_sizes if recipe.group_sizes else group_size is None
            if (
                scheme in recipe.schemes
                and method in recipe.methods
                and has_group
                and artifact_format == self.format
            ):
                return recipe
        wanted = (
            f"{scheme} by {method}"
            + (f", group {group_size}," if group_size else "")
            + f" as {artifact_format}"
        )
        raise JobRefused(
            "backend.cannot_make", f"{self.name} does not make {wanted}. It makes {self._describe()}."
        )

    def _describe(self) -> str:
        parts = []
        for recipe in self.recipes:
            groups = f" (groups {', '.join(map(str, recipe.group_sizes))})" if recipe.group_sizes else ""
            parts.append(f"{', '.join(recipe.schemes)} by {' or '.join(recipe.methods)}{groups}")
        return f"{'; '.join(parts)}; as {self.format}"


def list_backends(backends_folder: Path = BACKENDS_FOLDER) -> list[Backend]:
    """Every backend there is, by name."""
    return [
        read_backend(path.parent.name, backends_folder)
        for path in sorted(backends_folder.glob("*/backend.toml"))
    ]


def read_backend(name: str, backends_folder: Path = BACKENDS_FOLDER) -> Backend:
    """The backend of that name.

    Raises:
        JobRefused: `backend.unknown`, naming those there are.
    """
    known = sorted(path.parent.name for path in backends_folder.glob("*/backend.toml"))
    if name not in known:
        raise JobRefused(
            "backend.unknown", f"There is no backend {name!r} here. There are {', '.join(known)}."
        )
    folder = backends_folder / name
    facts: dict[str, Any] = tomllib.loads((folder / "backend.toml").read_text(encoding="utf-8"))
    return Backend(
        name=name,
        folder=folder,
        format=facts["format"],
        engines=tuple(facts["engines"]),
        recipes=tuple(_read_recipe(row) for row in facts["makes"]),
        python_at_least=_read_version(facts["python"]["at_least"]),
        python_below=_read_version(facts["python"]["below"]),
        install_seconds=float(facts["install"]["seconds"]),
        install_disk_bytes=int(facts["install"]["disk_bytes"]),
        install_packages=int(facts["install"]["packages"]),
    )


def _read_recipe(row: dict[str, Any]) -> Recipe:
    return Recipe(
        schemes=tuple(row["schemes"]),
        methods=tuple(row["methods"]),
        group_sizes=tuple(row["group_sizes"]),
        needs_calibration=bool(row["needs_calibration"]),
    )


def _read_version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
