"""`bitwright doctor`: what is missing, too old or in the way on this machine, one line each, and what to do."""

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from planner.cli.door import Session
from planner.cli.saying import say
from planner.domain.errors import BitwrightError, MachineRefused
from planner.domain.units import GIB
from planner.live_server import find_live_server, read_server
from planner.settings import Settings
from planner.usecases.examine_machine import (
    HOME_NEEDS_BYTES,
    HOME_WANTS_BYTES,
    SLACK_SECRETS,
    SLACK_TOKEN,
    Finding,
    judge_commands,
    judge_folder,
    judge_lapsed_jobs,
    judge_packages,
    judge_python,
    judge_slack,
    judge_snapshot,
)

CACHE_WANTS_BYTES = 5 * GIB
"""Both backend environments, the demo model and a converted checkpoint of a small model."""
MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("problem", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_obj
def doctor(session: Session, as_json: bool) -> int:
    """Examine this machine: what is installed, reachable and readable, and what to do where it is not."""
    findings: list[Finding] = []
    for examine in (examine_installation, examine_home, examine_host, examine_network):
        for finding in examine(session):
            findings.append(finding)
            if not as_json:
                print_finding(finding)
    counts = {name: sum(finding.verdict == name for finding in findings) for name in MARKS}
    if as_json:
        checks = [finding.as_json() for finding in findings]
        click.echo(json.dumps({"checks": checks, "counts": counts}, ensure_ascii=False))
    else:
        click.echo(f"{counts['problem']} problems, {counts['warning']} warnings")
    return MachineRefused.exit_status if counts["problem"] else 0


def print_finding(finding: Finding) -> None:
    """One line; colour on a terminal."""
    mark, colour = MARKS[finding.verdict]
    advice = f"  → {finding.advice}" if finding.advice else ""
    say(f"{mark:<8} {finding.name:<9} {finding.message}{advice}", 19, mark=mark, colour=colour)


def examine_installation(session: Session) -> list[Finding]:
    """Python, packages, commands, Slack settings."""
    from planner.sources.installation import find_commands, find_misfits

    del session
    found, failures = find_commands()
    slack = [name for name in (SLACK_TOKEN, *SLACK_SECRETS) if os.environ.get(name)]
    return [
        judge_python(sys.version_info[:3]),
        judge_packages(*find_misfits()),
        *judge_commands(failures, found),
        judge_slack(slack),
    ]


def examine_home(session: Session) -> list[Finding]:
    """Folders, the database and who holds it, the tables."""
    from planner.sources.installation import try_folder

    settings = session.settings
    why_not, free = try_folder(settings.home)
    home = judge_folder(
        "home",
        str(settings.home),
        why_not=why_not,
        free_bytes=free,
        needs=HOME_NEEDS_BYTES,
        wants=HOME_WANTS_BYTES,
    )
    why_not, free = try_folder(settings.cache)
    cache = judge_folder(
        "cache", str(settings.cache), why_not=why_not, free_bytes=free, needs=0, wants=CACHE_WANTS_BYTES
    )
    return [home, cache, *examine_service(settings), *examine_database(session, is_writable=not home.advice)]


def examine_service(settings: Settings) -> list[Finding]:
    """Whether a service owns the home, and whether `server.json` still tells the truth."""
    said = read_server(settings.home)
    if said is None:
        return [
            Finding(
                name="service", verdict="ok", message="none runs on this home: commands open it themselves"
            )
        ]
    live = find_live_server(settings.home)
    if live is not None:
        where = f"process {live.pid} at {live.url}, since {live.started_at[:19]}"
        return [Finding(name="service", verdict="ok", message=where)]
    return [
        Finding(
            name="service",
            verdict="warning",
            message=f"server.json names process {said.pid} at {said.url}, which does not answer",
            advice="nothing to do if it was stopped: the next bitwright serve writes the file again",
        )
    ]


def examine_database(session: Session, *, is_writable: bool) -> list[Finding]:
    """Whether the database opens and the tables load; before there is one, in a folder that goes away again."""
    from planner.store.connection import FILE_NAME

    settings = session.settings
    exists = (settings.home / FILE_NAME).exists()
    live = find_live_server(settings.home)
    if live is not None or not (exists and is_writable):
        owner = f"held by the service, process {live.pid}" if live else "none yet: the first plan makes it"
        if exists and live is None:
            owner = "not opened: the home cannot be used"
        with tempfile.TemporaryDirectory() as folder:
            tables = _open(session, replace(settings, home=Path(folder)))
        verdict = "warning" if exists and live is None else "ok"
        return [
            Finding(name="database", verdict="warning" if verdict == "warning" else "ok", message=owner),
            tables or _tables_load(settings),
        ]
    lapsed: list[str] = []
    refused = _open(session, settings, lapsed)
    if refused is None:
        opens = Finding(name="database", verdict="ok", message="opens")
        return [opens, _tables_load(settings), *judge_lapsed_jobs(lapsed)]
    return [refused]


def _tables_load(settings: Settings) -> Finding:
    return Finding(name="tables", verdict="ok", message=f"{settings.data} loads")


def _open(session: Session, settings: Settings, lapsed: list[str] | None = None) -> Finding | None:
    """What refused when everything was opened; None when nothing did. Jobs whose lease is over join `lapsed`."""
    try:
        workshop = session.open_workshop(settings)
        try:
            version = workshop.knowledge.version()
            workshop.knowledge.tables(version)
            workshop.knowledge.evidence(version)
            if lapsed is not None:
                lapsed += workshop.claims.list_lapsed_jobs(workshop.clock.now())
        finally:
            workshop.close()
    except BitwrightError as error:
        name = "database" if error.code.startswith(("database.", "home.")) else "tables"
        return Finding(name=name, verdict="problem", message=f"{error.message}  [{error.code}]")
    except (ValueError, KeyError, OSError) as error:
        advice = "unset BITWRIGHT_DATA, or repair the table"
        said = f"{settings.data} does not load ({type(error).__name__}: {error})"
        return Finding(name="tables", verdict="problem", message=said, advice=advice)
    return None


def examine_host(session: Session) -> list[Finding]:
    """Memory, driver, cards, backends and engines, in the executor's words."""
    from planner.cli.inventory import take_inventory
    from planner.sources.rules import read_driver_needs

    needs = read_driver_needs(session.settings.data / "engine_cuda.csv")
    try:
        return judge_snapshot(take_inventory().model_dump(), needs)
    except MachineRefused as error:
        return [Finding(name="inventory", verdict="problem", message=error.message)]


def examine_network(session: Session) -> list[Finding]:
    """The package registry, and whether model hubs are asked."""
    from planner.sources.installation import ask_registry

    del session
    why_not = ask_registry()
    registry = Finding(name="registry", verdict="ok", message="pip reaches its package registry")
    if why_not:
        registry = Finding(
            name="registry",
            verdict="warning",
            message=f"pip does not reach its package registry: {why_not}",
            advice="environments that are built work on; for new ones check the network or pip's index settings",
        )
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in {"1", "true", "yes", "on"}
    words = (
        "HF_HUB_OFFLINE is set: the catalogue and local folders answer"
        if is_offline
        else "HF_HUB_OFFLINE not set"
    )
    return [registry, Finding(name="hub", verdict="ok", message=words)]
