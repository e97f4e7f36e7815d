"""Commands for trying it all without an account: the stand-in for the API, and a whole pipeline into it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_amplemarket.config import SERVICES
from target_amplemarket.errors import SettingsError, TargetError

if TYPE_CHECKING:
    from rich.console import Console

    from target_amplemarket.demo.run import DemoRun


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("amplemarket-demo"), show_default=True,
    help="Where export, tap, settings and results go.",
)  # fmt: skip
@click.option("--records", "record_count", type=click.IntRange(100), default=27_000, show_default=True)
@click.option(
    "--service", type=click.Choice(list(SERVICES)), default="amplemarket", show_default=True,
    help="Which API the leads go to.",
)  # fmt: skip
@click.option("--tap", type=click.Path(dir_okay=False, path_type=Path), help="A tap-jsonl 0.3 to use; else installed.")
@click.option("--stay", is_flag=True, help="Keep the sandbox open afterwards, to look at the lists in a browser.")
def demo(folder: Path, record_count: int, service: str, tap: Path | None, *, stay: bool) -> None:
    """Send a made-up CRM export through a real tap into the sandbox, and show what came of it."""
    from rich.console import Console

    from target_amplemarket.demo.run import demo_users, run_demo

    console = Console(highlight=False, soft_wrap=True)
    with _running_sandbox(users=demo_users()) as running:
        console.print(f"sandbox: {running.url} (answers like the API; no key, no credits, nothing leaves this machine)")
        runs = run_demo(folder, record_count=record_count, sandbox=running, say=console.print, service=service, tap=tap)
        disagreements = 0
        for done in runs:
            disagreements += done.disagreements
            _show_run(console, done)
        console.print(f"\nresults: {folder / 'results'}   log: {done.log_path}")
        console.print(f"  python -c \"import target_amplemarket as t; print(t.read_results('{folder / 'results'}'))\"")
        if stay:
            console.print(f"lists: {running.url} (Ctrl-C ends)")
            click.pause(info="")
    if disagreements:
        raise TargetError(f"{disagreements:,} leads differ between the sandbox's commit log and the results")


def _show_run(console: Console, done: DemoRun) -> None:
    from rich.table import Table

    summary = done.summary
    table = Table(title=f"{summary['records']:,} records read, {summary['rows']:,} result rows", title_justify="left")
    table.add_column("status")
    table.add_column("records", justify="right")
    table.add_column("reason")
    for status, count in summary["statuses"].items():
        reasons = summary["reasons"].get(status, {})
        table.add_row(status, f"{count:,}", "\n".join(f"{reason} {n:,}" for reason, n in reasons.items()))
    console.print(table)
    agree = "agrees" if not done.disagreements else f"DISAGREES on {done.disagreements:,} leads"
    console.print(
        f"{done.committed_lists:,} lists arrived; the sandbox's commit log {agree} with the results lead for lead"
    )


@contextlib.contextmanager
def _running_sandbox(**switches: Any) -> Iterator[Any]:  # the sandbox is imported lazily
    sandbox_package = _sandbox_package()
    with sandbox_package.running_sandbox(sandbox_package.Switches(**switches)) as running:
        yield running


def _sandbox_package() -> Any:  # a module
    try:
        from target_amplemarket import sandbox as package
    except ImportError as error:
        raise SettingsError(str(error)) from None
    return package


def _switches() -> list[tuple[str, str, str]]:
    try:
        from target_amplemarket.sandbox.switches import Switches
    except ImportError:
        return []
    return [(f.name, f.metadata["help"], _shown(f.default)) for f in dataclasses.fields(Switches) if f.name != "faults"]


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


class _SandboxCommand(click.Command):
    """Its switches are read when its options are needed, not when the program starts."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        known = {param.name for param in self.params}
        self.params.extend(
            click.Option([f"--{name.replace('_', '-')}", name], help=f"{says}  [default: {default}]")
            for name, says, default in _switches()
            if name not in known
        )
        return super().get_params(ctx)


@click.command(cls=_SandboxCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8787, show_default=True, help="0 for any free one.")
@click.option("--fault", "faults", multiple=True, help="A fault on purpose: kind[:name=value,...]; may be repeated.")
def sandbox(host: str, port: int, faults: tuple[str, ...], **switches: str | None) -> None:
    """Serve a stand-in for the API, for trying pipelines without a key, credits or people.

    Every rule of the API that is not documented is a switch below, and so is every fault.
    """
    package = _sandbox_package()
    given: dict[str, Any] = {name: value for name, value in switches.items() if value is not None}
    try:
        chosen = package.switches_from(given | ({"faults": list(faults)} if faults else {}))
        package.serve(chosen, host, port, lambda url: click.echo(f"serving {url} (Ctrl-C ends)"))
    except ValueError as error:
        raise SettingsError(f"sandbox: {error}") from None
    except OSError as error:
        raise SettingsError(f"sandbox: port {port} of {host} cannot be used: {error.strerror}") from None
