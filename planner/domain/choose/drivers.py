"""Whether a host's driver is new enough for what an engine was built with: `data/engine_cuda.csv`.

A driver runs programs of its own CUDA and of older ones; within one major version also of newer ones. What no driver
was asked about is not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from planner.domain.facts.kernels import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverNeed:
    """One row of `data/engine_cuda.csv`."""

    engine: str
    toolkit: str
    """CUDA that its published builds are made with."""
    driver_cuda: str
    """The oldest CUDA that the driver has to run."""
    driver: str
    """The driver that first does, on Linux."""
    from_sm: int
    """Compute capability times ten from which the row applies."""
    way_out: tuple[str, ...]
    source: str


def judge_driver(
    engine: str, cuda: str | None, driver: str | None, sm: int | None, needs: Sequence[DriverNeed]
) -> tuple[Finding, ...]:
    """The verdict `driver.too_old` for each need that the driver does not meet.

    Args:
        engine: the engine, or a library that is built against CUDA.
        cuda: the newest CUDA that the host's driver runs; None when nobody looked.
        driver: the driver's version, to be said.
        sm: compute capability times ten of the least able card.
        needs: `data/engine_cuda.csv`.
    """
    if cuda is None:
        return ()
    return tuple(
        Finding(
            code="driver.too_old",
            message=f"driver {driver or 'of this host'} runs CUDA {cuda}; {engine} is built with CUDA "
            f"{need.toolkit}, which needs driver {need.driver} or newer",
            numbers={
                "cuda": cuda,
                "needed": need.driver_cuda,
                "driver": driver,
                "driver_needed": need.driver,
            },
            way_out=need.way_out,
            source=need.source,
        )
        for need in needs
        if need.engine == engine and (sm or 0) >= need.from_sm and _number(cuda) < _number(need.driver_cuda)
    )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
