"""The command line: bare, it is the Singer target; with a word, a command of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
from singer_sdk.plugin_base import _ConfigInput

from target_amplemarket.config import Settings
from target_amplemarket.errors import AmplemarketError, ListsHeld, SettingsError
from target_amplemarket.target import TargetAmplemarket

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from target_amplemarket.demo.run import DemoRun
    from target_amplemarket.results.books import Books
    from target_amplemarket.results.history import FolderStatus


_TABLE_COLUMNS: Final = 120
"""Wide enough for every figure, also where output goes to a file."""


class _Cli(click.Group):
    """Commands beside the Singer target, and the one place where errors become exit codes."""

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(ctx)
        except AmplemarketError as error:
            click.echo(f"{TargetAmplemarket.name}: {error}", err=True)
            sys.exit(error.exit_code)


def make_cli() -> click.Group:
    """The program as click sees it; singer-sdk's own options stand on the bare command."""
    singer: click.Command = TargetAmplemarket.cli  # also sets logging up
    for option in singer.params:
        if option.name == "config":
            option.callback = _read_config
    return _Cli(
        name=TargetAmplemarket.name,
        invoke_without_command=True,
        params=singer.params,
        callback=_run_singer,
        commands=[demo, push, reconcile, resolve, sandbox, state, status],
        help=(
            "Singer target that brings leads into Amplemarket lead lists. Without a command it reads Singer messages "
            "from standard input."
        ),
    )


def main() -> None:
    """Entry point of the console script."""
    gc.freeze()  # what start-up made stays: looking for garbage in it again and again takes a fifth of a short run
    if (
        sys.platform == "linux"
    ):  # there Arrow has it; its own choice keeps what threads gave back, a third of a run's memory
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    try:
        make_cli()(prog_name=TargetAmplemarket.name)
    except SystemExit as end:
        if any(thread.name.startswith("delivery") for thread in threading.enumerate()):
            _leave_at_once(end.code)
        raise


def _leave_at_once(code: str | int | None) -> NoReturn:
    """After a signal, a call that never ends must not keep the process: what it sent is in the outbox."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 1)


def _read_config(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> _ConfigInput:  # noqa: ARG001
    try:
        return _ConfigInput.from_cli_args(*value)
    except OSError as error:
        raise click.BadParameter(error.strerror or "there is no such file") from None
    except ValueError:
        raise click.BadParameter("a settings file is one JSON object; this one is not JSON") from None


def _run_singer(**options: Any) -> None:  # the SDK's own options
    if click.get_current_context().invoked_subcommand is None:
        TargetAmplemarket.invoke(**options)


def _folder_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--results-path`, or the settings file that names it."""
    command = click.option(
        "--results-path", type=click.Path(file_okay=False, path_type=Path), help="The results folder."
    )(command)
    return click.option("--config", multiple=True, callback=_read_config, help="The target's settings file, or ENV.")(
        command
    )


def _folder(results_path: Path | None, config: _ConfigInput) -> Path:
    if results_path is not None:
        return results_path
    named = os.environ.get("TARGET_AMPLEMARKET_RESULTS_PATH") if config.parse_env else None
    return Path(named or config.config.get("results_path", "amplemarket-results"))


@click.command()
@_folder_options
def state(results_path: Path | None, config: _ConfigInput) -> None:
    """Print the last STATE that left, for giving it to a tap (`tap … --state state.json`)."""
    from target_amplemarket.results.history import last_state

    value = last_state(_folder(results_path, config))
    if value is not None:
        click.echo(value)


@click.command()
@_folder_options
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--runs", "most", type=click.IntRange(1), default=10, show_default=True, help="How many runs to show.")
def status(results_path: Path | None, config: _ConfigInput, output: str, most: int) -> None:
    """Show the last runs, the lists whose outcome is not known, and the last STATE."""
    from target_amplemarket.results.history import folder_status

    found = folder_status(_folder(results_path, config), most=most)
    if output == "json":
        click.echo(found.json())
        return
    _show_status(found)


@click.command()
@click.option("--config", multiple=True, callback=_read_config, help="The target's settings file, or ENV.")
def reconcile(config: _ConfigInput) -> None:
    """Ask the API about the lists whose outcome is not known, as every run does before it reads anything.

    Ends with 7 if some stay held.
    """
    from target_amplemarket.runner import settle_outbox

    recovered = settle_outbox(_settings(config))
    for each in recovered:
        click.echo(f"{each.verdict.value}: {each.entry.intent.name} ({each.entry.leads.num_rows:,} leads)")
    if not recovered:
        click.echo("no list is without an outcome")
    if alarms := [each.alarm for each in recovered if each.alarm]:
        raise ListsHeld("; ".join(alarms))
    if held := [each for each in recovered if each.verdict.value == "held"]:
        raise ListsHeld(
            f"still held: {len(held)} of the lists above; look for the markers in the account, then use `resolve`"
        )


@click.command()
@click.argument("marker")
@click.option("--as", "verdict", type=click.Choice(["sent", "absent"]), required=True, help="What the account shows.")
@click.option("--config", multiple=True, callback=_read_config, help="The target's settings file, or ENV.")
def resolve(marker: str, verdict: str, config: _ConfigInput) -> None:
    """Settle the held list with MARKER in its name as you found it in the account.

    `sent`: it is there; its people are never sent again. `absent`: it is not; they may be sent when their records are
    read again.
    """
    from target_amplemarket.results.recovery import Verdict
    from target_amplemarket.runner import resolve_list

    settled = resolve_list(_settings(config), marker.strip("[]").upper(), Verdict(verdict))
    click.echo(f"{settled.verdict.value}: {settled.entry.intent.name} ({settled.entry.leads.num_rows:,} leads)")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--stream", required=True, help="Name under which the rows appear in lists and results.")
@click.option("--key", "keys", multiple=True, help="Column that identifies a row; may be repeated.")
@click.option("--config", multiple=True, callback=_read_config, help="The target's settings file, or ENV.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def push(files: tuple[Path, ...], stream: str, keys: tuple[str, ...], config: _ConfigInput, output: str) -> None:
    """Send the rows of Parquet or Arrow FILES, or of folders of such files, without a tap.

    Run again after whatever stopped it: nobody is sent twice.
    """
    from target_amplemarket.frames import push_rows, rows_of_path
    from target_amplemarket.results.summary import RunSummary, summary_json, summary_lines

    target = TargetAmplemarket(config=config.config, parse_env_config=config.parse_env)
    sources = [rows for path in files for rows in rows_of_path(path)]
    counts = [source.row_count for source in sources]
    total = None if None in counts else sum(count or 0 for count in counts)

    summaries: list[RunSummary] = []
    try:
        with _push_progress(total) as watch:
            push_rows(
                target.settings, sources, stream=stream, key_properties=keys, watch=watch,
                mapper=target.record_mapper, report=summaries.append,
            )  # fmt: skip
    finally:
        for summary in summaries:  # one, unless nothing began
            lines = summary_lines(summary, Path(target.settings.results_path))
            click.echo(summary_json(summary).decode() if output == "json" else "\n".join(lines))


@contextlib.contextmanager
def _push_progress(total: int | None) -> Iterator[Callable[[Books], None] | None]:
    """A bar on a terminal, which counts what the books count; elsewhere the log says how far the run is."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeElapsedColumn

    counts = "{task.completed:,.0f} read, {task.fields[accepted]:,} accepted, {task.fields[rate]:,.0f} a second"
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return

    class Bar(Progress):
        books: Books | None = None

        def get_renderables(self) -> Iterator[RenderableType]:
            if (books := self.books) is not None:
                for task in self.tasks:
                    with contextlib.suppress(RuntimeError):  # the run counts on in its own thread
                        read, accepted = books.record_count, books.by_status().get("accepted", 0)
                        self.update(task.id, completed=read, accepted=accepted, rate=read / max(task.elapsed or 0, 0.1))
            yield from super().get_renderables()

    with (
        Bar(BarColumn(), counts, TimeElapsedColumn(), console=console, transient=True, redirect_stdout=False) as bar,
        _log_above(),
    ):
        bar.add_task("push", total=total, accepted=0, rate=0.0)
        yield lambda books: setattr(bar, "books", books)


@contextlib.contextmanager
def _log_above() -> Iterator[None]:
    """While a bar is shown it stands in for standard error, and writes the log above itself."""
    handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
    handlers = [h for h in handlers if h.stream is sys.__stderr__]
    streams = [handler.setStream(sys.stderr) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream or sys.__stderr__)


def _settings(config: _ConfigInput) -> Settings:
    return TargetAmplemarket(config=config.config, parse_env_config=config.parse_env, setup_mapper=False).settings


def _show_status(found: FolderStatus) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True, width=_TABLE_COLUMNS)
    table = Table(box=None, pad_edge=False)
    table.add_column("run")
    table.add_column("exit")
    for name in ("read", "accepted", "duplicate", "rejected", "held", "left", "lists"):
        table.add_column(name, justify="right")
    for run in found.runs:
        counts = (run.statuses.get(name, 0) for name in ("accepted", "duplicate", "rejected", "held"))
        numbers = [f"{number:,}" for number in (run.records, *counts, run.left, len(run.lists))]
        table.add_row(run.run_id, "running or killed" if run.exit_code is None else str(run.exit_code), *numbers)
    console.print(table)
    for entry in found.unsettled:
        line = f"not settled: {entry.name}: {entry.lead_count:,} leads, run {entry.run_id}"
        console.print(line, markup=False)
    if found.unsettled:
        console.print("`target-amplemarket reconcile` asks the API about them; `resolve MARKER` settles one by hand")
    console.print(f"last STATE: {found.last_state or 'none has left'}", markup=False)


@click.command()
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("amplemarket-demo"), show_default=True,
    help="Where export, tap, settings and results go.",
)  # fmt: skip
@click.option("--records", "record_count", type=click.IntRange(100), default=27_000, show_default=True)
@click.option("--tap", type=click.Path(dir_okay=False, path_type=Path), help="A tap-jsonl 0.3 to use; else installed.")
@click.option("--stay", is_flag=True, help="Keep the sandbox open afterwards, to look at the lists in a browser.")
def demo(folder: Path, record_count: int, tap: Path | None, *, stay: bool) -> None:
    """Send a made-up CRM export through a real tap into the sandbox, and show what came of it."""
    from rich.console import Console

    from target_amplemarket.demo.run import demo_users, run_demo

    console = Console(highlight=False, soft_wrap=True)
    with _running_sandbox(users=demo_users()) as running:
        console.print(f"sandbox: {running.url} (answers like the API; no key, no credits, nothing leaves this machine)")
        runs = run_demo(folder, record_count=record_count, sandbox=running, say=console.print, tap=tap)
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
        raise AmplemarketError(f"{disagreements:,} leads differ between the sandbox's commit log and the results")


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
