"""What is missing, too old or in the way on this machine, and what to do about it: facts in, findings out.

A problem keeps Bitwright from working here; a warning keeps a part of it, or some job, from working.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from planner.domain.choose.drivers import DriverNeed, judge_driver
from planner.domain.units import GIB, MIB, format_gib

Verdict = Literal["ok", "warning", "problem"]

HOME_NEEDS_BYTES = 100 * MIB
"""A database with its tables is 20 MiB; its log and a checkpoint of it need the same again."""
HOME_WANTS_BYTES = GIB
RAM_WANTS_BYTES = 2 * GIB
"""What quantizing the demo model holds at its peak is below this."""
SLACK_SECRETS = ("BITWRIGHT_SLACK_SIGNING_SECRET", "BITWRIGHT_SLACK_APP_TOKEN")
SLACK_TOKEN = "BITWRIGHT_SLACK_BOT_TOKEN"  # noqa: S105 - a variable's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of an examination."""

    name: str
    verdict: Verdict
    message: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """In the order a reader wants it."""
        return {"name": self.name, "verdict": self.verdict, "message": self.message, "advice": self.advice}


def judge_python(version: tuple[int, int, int]) -> Finding:
    """Whether this Python is new enough."""
    said = ".".join(map(str, version))
    if version < (3, 11):
        return Finding(
            name="python",
            verdict="problem",
            message=f"Python {said} is too old",
            advice="install Python 3.11 or newer, then: make setup",
        )
    return Finding(name="python", verdict="ok", message=f"Python {said}")


def judge_packages(misfits: Mapping[str, str], count: int) -> Finding:
    """Whether what is installed is what was asked for; `misfits` says of a package what is wrong."""
    if misfits:
        return Finding(
            name="packages",
            verdict="problem",
            message="; ".join(f"{name} {what}" for name, what in sorted(misfits.items())),
            advice="make setup",
        )
    return Finding(
        name="packages", verdict="ok", message=f"{count} packages, each in the range it was asked for"
    )


def judge_folder(name: str, folder: str, *, why_not: str, free_bytes: int, needs: int, wants: int) -> Finding:
    """Whether a folder can be written and has room; `why_not` is empty when it can be."""
    variable = f"BITWRIGHT_{name.upper()}"
    if why_not:
        advice = f"set {variable} to a folder you may write to"
        return Finding(name=name, verdict="problem", message=f"{folder}: {why_not}", advice=advice)
    said = f"{folder}, {format_gib(free_bytes)} free"
    advice = f"free some space there, or set {variable} to another disk"
    if free_bytes < needs:
        return Finding(
            name=name, verdict="problem", message=f"{said}: {format_gib(needs)} are needed", advice=advice
        )
    if free_bytes < wants:
        return Finding(name=name, verdict="warning", message=f"{said}: little room", advice=advice)
    return Finding(name=name, verdict="ok", message=said)


def judge_lapsed_jobs(job_ids: Sequence[str]) -> list[Finding]:
    """Nothing where every claimed job has its lease; else which have not."""
    if not job_ids:
        return []
    return [
        Finding(
            name="jobs",
            verdict="warning",
            message=f"claimed by a host that was not heard of since its lease ended: {', '.join(job_ids)}",
            advice="the next bitwright quantize makes them claimable again; bitwright jobs cancel ID ends one",
        )
    ]


def judge_commands(failures: Mapping[str, str], found: Sequence[str]) -> list[Finding]:
    """Whether `executor` and `bot` are there and can be loaded; `failures` says why one cannot."""
    findings = []
    for name in ("executor", "bot"):
        if name in failures or name not in found:
            why = failures.get(name, "is not installed")
            findings.append(
                Finding(name=name, verdict="problem", message=f"bitwright {name} {why}", advice="make setup")
            )
        else:
            findings.append(Finding(name=name, verdict="ok", message=f"bitwright {name} loads"))
    return findings


def judge_slack(names: Sequence[str]) -> Finding:
    """Whether the bot would have what Slack asks for; only the names of variables are looked at."""
    present = [name for name in (SLACK_TOKEN, *SLACK_SECRETS) if name in names]
    if not present:
        return Finding(
            name="slack", verdict="ok", message="no Slack settings: only `bitwright bot` needs them"
        )
    missing = [] if SLACK_TOKEN in present else [SLACK_TOKEN]
    if not set(SLACK_SECRETS) & set(present):
        missing.append(" or ".join(SLACK_SECRETS))
    if missing:
        return Finding(
            name="slack",
            verdict="warning",
            message=f"{', '.join(present)} set, {' and '.join(missing)} not",
            advice="set what is missing before: bitwright bot",
        )
    return Finding(name="slack", verdict="ok", message=f"{', '.join(present)} set")


def judge_snapshot(snapshot: Mapping[str, Any], needs: Sequence[DriverNeed] = ()) -> list[Finding]:
    """What the host's own inventory says of memory, driver, cards, backends and engines.

    Args:
        snapshot: the contract's HostSnapshot.
        needs: what engines and libraries want of a driver.
    """
    return [
        _judge_ram(snapshot),
        *_judge_driver(snapshot),
        *_judge_driver_age(snapshot, needs),
        *(_judge_backend(backend) for backend in snapshot["backends"]),
        _judge_engines(snapshot["engines"]),
    ]


def _judge_ram(snapshot: Mapping[str, Any]) -> Finding:
    available, total = snapshot["ram_available_bytes"], snapshot["ram_total_bytes"]
    if available is None or total is None:
        return Finding(
            name="memory", verdict="warning", message="this system does not say how much is available"
        )
    said = f"{format_gib(available)} available of {format_gib(total)}"
    if available < RAM_WANTS_BYTES:
        advice = "end something, or run jobs on another host"
        return Finding(name="memory", verdict="warning", message=f"{said}: little for a job", advice=advice)
    return Finding(name="memory", verdict="ok", message=said)


def _judge_driver(snapshot: Mapping[str, Any]) -> list[Finding]:
    driver, devices = snapshot["driver"], snapshot["devices"]
    findings = []
    if driver is not None:
        cards = ", ".join(f"{device['name']} {format_gib(device['free_bytes'])} free" for device in devices)
        verdict: Verdict = "ok" if devices else "warning"
        message = f"driver {driver['version']}, CUDA {driver['cuda']}: {cards or 'no card answers'}"
        findings.append(Finding(name="nvidia", verdict=verdict, message=message))
    for note in snapshot["notes"]:
        is_absent = note["code"] == "nvml.absent"
        findings.append(
            Finding(name="nvidia", verdict="ok" if is_absent else "warning", message=note["message"])
        )
    return findings


def _judge_driver_age(snapshot: Mapping[str, Any], needs: Sequence[DriverNeed]) -> list[Finding]:
    """Whether the driver is new enough for the engines that are installed, and for torch, which quantizes."""
    driver, devices = snapshot["driver"], snapshot["devices"]
    if driver is None or not devices:
        return []
    capabilities = [device["compute_capability"] for device in devices if device.get("compute_capability")]
    sm = min((round(float(capability) * 10) for capability in capabilities), default=None)
    wanted = dict.fromkeys([*(engine["name"] for engine in snapshot["engines"]), "torch"])
    return [
        Finding(name="nvidia", verdict="warning", message=found.message, advice=" or ".join(found.way_out))
        for name in wanted
        for found in judge_driver(name, driver["cuda"], driver["version"], sm, needs)
    ]


def _judge_backend(backend: Mapping[str, Any]) -> Finding:
    size = "" if backend["disk_bytes"] is None else f", {format_gib(backend['disk_bytes'])}"
    message = f"{backend['name']}: {backend['state']}{size}"
    if backend["message"]:
        message += f"; {backend['message']}"
    if backend["state"] == "broken":
        return Finding(
            name="backend", verdict="warning", message=message, advice="run a job, which makes it again"
        )
    return Finding(name="backend", verdict="ok", message=message)


def _judge_engines(engines: Sequence[Mapping[str, Any]]) -> Finding:
    found = ", ".join(f"{engine['name']} {engine['version'] or '(version unknown)'}" for engine in engines)
    return Finding(
        name="engines", verdict="ok", message=found or "none found on PATH: a plan's serve command needs one"
    )
