"""Where parts meet: settings, adapters, use cases, doors. Nothing is opened before a command needs it."""

import os
import secrets
import sys
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

import click

from planner import __version__
from planner.cli.door import Session
from planner.cli.failures import STOPPED, report_failure, report_unexpected, report_usage
from planner.domain.errors import BitwrightError, MachineRefused
from planner.live_server import LiveServer, find_live_server
from planner.settings import Settings, read_settings
from planner.usecases.workshop import Workshop

if TYPE_CHECKING:
    from planner.domain.choose.predictor import PlanInputs
    from planner.domain.record.decision import WrittenBody


def open_workshop(
    settings: Settings, decide: "Callable[[PlanInputs], WrittenBody] | None" = None
) -> Workshop:
    """Open the database of the home, load `data/` if it is new, and connect everything to it.

    Args:
        settings: where all lies.
        decide: what decides; None: this process.

    Raises:
        MachineRefused: the home cannot be written or its database is held by another process.
    """
    from functools import partial

    from planner.domain.facts.hardware_names import AcceleratorNames
    from planner.sources.catalog import Catalog
    from planner.sources.clock import SystemClock
    from planner.sources.hosts import Hosts
    from planner.sources.machine import Machine
    from planner.sources.tables import make_accelerator, make_model, make_rented_machine, make_traits
    from planner.store.audit import run_audit_query
    from planner.store.connection import open_database
    from planner.store.counts import CountStore
    from planner.store.evidence import EvidenceStore
    from planner.store.hosts import HostStore
    from planner.store.knowledge import StoredKnowledge
    from planner.store.loads import LoadStore
    from planner.store.records import RecordStore
    from planner.store.tokens import TokenStore
    from planner.usecases.plan_model import decide_here

    database = open_database(settings.home)
    clock = SystemClock()
    evidence = EvidenceStore(database)
    records = RecordStore(database)
    knowledge = StoredKnowledge(LoadStore(database), evidence, settings.data, clock)
    traits = {row["architecture"]: make_traits(row) for row in knowledge.rows("architectures")}
    hosts = HostStore(database)
    names = AcceleratorNames([make_accelerator(row) for row in knowledge.rows("accelerators")])
    rented = [make_rented_machine(row) for row in knowledge.rows("rented_machines")]
    return Workshop(
        catalog=Catalog(
            [make_model(row, traits) for row in knowledge.rows("models")], traits, settings.cache / "models"
        ),
        inventory=Hosts(Machine(names, settings.home, rented), names, hosts, records, clock),
        knowledge=knowledge,
        decisions=records,
        jobs=records,
        claims=records,
        job_events=records,
        measurements=records,
        evidence=evidence,
        tokens=TokenStore(database),
        hosts=hosts,
        counts=CountStore(database),
        clock=clock,
        decide=decide or decide_here,
        audit=partial(run_audit_query, database),
        together=database.transaction,
        cache=settings.cache,
        close=database.close,
        lease_seconds=settings.lease_seconds,
        approval_minutes=settings.approval_minutes,
    )


def serve_home(
    settings: Settings,
    *,
    host: str | None,
    port: int,
    parent_pid: int | None,
    token: str | None = None,
    on_ready: Callable[[LiveServer], None],
) -> None:
    """Own the home's database and serve it until told to end.

    Raises:
        MachineRefused: `service.running` when another service owns the home, or what `open_workshop` refuses.
        BadInput: `service.no_token`, it is to listen beyond loopback and nobody was given a token.
    """
    from planner.api.service import check_exposure, run_service
    from planner.decide_processes import DecideProcesses, count_processes
    from planner.usecases.claim_job import extend_leases, give_back_lapsed_jobs

    server = find_live_server(settings.home)
    if server is not None:
        raise MachineRefused(
            "service.running",
            f"A service already owns {settings.home}: process {server.pid} at {server.url}. Use it, stop it, or "
            "give this one its own BITWRIGHT_HOME.",
        )
    with (
        closing(DecideProcesses(count_processes())) as decide,
        closing(open_workshop(settings, decide)) as workshop,
    ):
        check_exposure(workshop, host)
        if parent_pid is None:
            extend_leases(workshop)
        else:
            give_back_lapsed_jobs(workshop)
        run_service(
            workshop,
            settings.home,
            host=host,
            port=port,
            parent_pid=parent_pid,
            token=token or secrets.token_urlsafe(24),
            on_ready=on_ready,
        )


class Bitwright(click.Group):
    """The command line: own commands by module, `executor` and `bot` through entry points."""

    modules: ClassVar[dict[str, str]] = {
        "plan": "planner.cli.plan",
        "decisions": "planner.cli.decisions",
        "replay": "planner.cli.decisions",
        "audit": "planner.cli.audit",
        "estimate": "planner.cli.estimate",
        "evidence": "planner.cli.evidence",
        "serve": "planner.cli.serve",
        "jobs": "planner.cli.jobs",
        "hosts": "planner.cli.hosts",
        "token": "planner.cli.token",
        "quantize": "planner.cli.quantize",
        "demo": "planner.cli.demo",
        "inventory": "planner.cli.inventory",
        "doctor": "planner.cli.doctor",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, sorted."""
        del ctx
        return sorted({*self.modules, *(point.name for point in entry_points(group="bitwright.commands"))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command when it is used."""
        del ctx
        from importlib import import_module

        if cmd_name in self.modules:
            command = getattr(import_module(self.modules[cmd_name]), cmd_name)
        else:
            points = [point for point in entry_points(group="bitwright.commands") if point.name == cmd_name]
            if not points:
                return None
            command = points[0].load()
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that has gone, as `| head` does, ends it without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return _end_unread()
        except SystemExit as ended:
            if isinstance(ended.__context__, BrokenPipeError):  # rich leaves so
                return _end_unread()
            raise


@click.command(cls=Bitwright)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Plan, run and record the quantization of language models."""
    context.obj = Session(read_settings(), open_workshop, serve_home)


def main() -> None:
    """Run a command; every refusal is one sentence and its exit status."""
    as_json = "--json" in sys.argv
    try:
        status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except BitwrightError as error:
        status = report_failure(error, as_json=as_json)
    except click.ClickException as error:
        status = report_usage(error, as_json=as_json)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        status = _end_early(error, as_json=as_json)
    except BrokenPipeError:
        status = _end_unread()
    except Exception as error:  # noqa: BLE001 - the last resort: a reference instead of a traceback
        status = report_unexpected(error, read_settings().home, as_json=as_json)
    if status == MachineRefused.exit_status:
        _forget_output()
    sys.exit(status if isinstance(status, int) else 0)


def _end_early(error: BaseException, *, as_json: bool) -> int:
    """Say why a command ends before its time; the exit status.

    Click calls every EOFError an abortion, also one of an import that meets a module cut off on the disk; where a
    question was answered by Ctrl-D, there is none behind it.
    """
    if isinstance(error.__cause__, EOFError):
        return report_unexpected(error.__cause__, read_settings().home, as_json=as_json)
    click.echo("stopped", err=True)
    return STOPPED


def _end_unread() -> int:
    """Point standard output at nothing, for nobody reads it any more; the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return 0


def _forget_output() -> None:
    """Point standard output at nothing when what is left in its buffer cannot be written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
