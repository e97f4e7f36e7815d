"""The command line: bare, it is the Singer target; with a word, a command of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import click
from singer_sdk.plugin_base import _ConfigInput

from target_amplemarket.config import SERVICES, Settings
from target_amplemarket.errors import GuardStop, ListsHeld, SettingsError, StorageError, TargetError
from target_amplemarket.target import TargetAmplemarket

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console, RenderableType

    from target_amplemarket.demo.run import DemoRun
    from target_amplemarket.results.books import Books
    from target_amplemarket.results.history import FolderStatus
    from target_amplemarket.results.replay import Replay
    from target_amplemarket.results.yields import CollectSummary, ListYield, Yield


_DRY_RUN_HELP: Final = "Plan only: nothing is sent, rows are `planned`, no STATE leaves (as the setting dry_run)."
LOGGER: Final = logging.getLogger("target-amplemarket")

_TABLE_COLUMNS: Final = 120
"""Wide enough for every figure, also where output goes to a file."""


class _Cli(click.Group):
    """Commands beside the Singer target, and the one place where errors become exit codes."""

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(ctx)
        except TargetError as error:
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
        params=[*singer.params, click.Option(["--dry-run"], is_flag=True, help=_DRY_RUN_HELP)],
        callback=_run_singer,
        commands=[
            audit,
            check,
            collect,
            demo,
            explain,
            forget,
            purge,
            push,
            reconcile,
            replay,
            report,
            resolve,
            results,
            sandbox,
            state,
            status,
        ],
        help=(
            "Singer target that brings leads into Amplemarket lead lists. Without a command it reads Singer messages "
            "from standard input."
        ),
    )


def main() -> None:
    """Entry point of the console script."""
    sys.excepthook = _say_where
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the key and people's data
    gc.freeze()  # what start-up made stays: looking for garbage in it again and again takes a fifth of a short run
    # Arrow's own choice keeps what threads gave back, a third of a run's memory; on Linux it also has another.
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else numpy starts threads that spin and never get work
    try:
        make_cli()(prog_name=TargetAmplemarket.name)
    except SystemExit as end:
        if any(thread.name.startswith("delivery") for thread in threading.enumerate()):
            _leave_at_once(end.code)
        raise


def _say_where(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    """A fault of the program: where, and of which kind; what a library says of it may hold a value of a record."""
    places = [
        f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}' for frame in traceback.extract_tb(trace)
    ]
    causes = [type(cause).__name__ for cause in (fault.__cause__, fault.__context__) if cause is not None]
    of = f" (from {causes[0]})" if causes else ""
    click.echo(
        "\n".join([f"{TargetAmplemarket.name}: a fault of the program:", *places, f"{kind.__name__}{of}"]), err=True
    )


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
@click.option("--run", default="last", show_default=True, help="A run id, `last`, or `all`.")
@click.option("--status", "statuses", multiple=True, help="Only rows with this status; may be repeated, as all below.")
@click.option("--reason", "reasons", multiple=True, help="Only rows with this reason.")
@click.option("--stream", "streams", multiple=True, help="Only rows of this stream.")
@click.option("--list", "lists", multiple=True, help="Only rows of this list: its id, name or marker.")
@click.option(
    "--key", "keys", multiple=True, help="Only rows with this record key: JSON, or the value of one property."
)
@click.option("--rows", is_flag=True, help="The rows themselves, not how many there are.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows that a table shows.")
@click.option("--show-values", is_flag=True, help="With --rows: the kept original records too; personal data.")
@click.option(
    "--format", "output", type=click.Choice(["table", "json", "csv", "parquet", "arrow"]), default="table",
    show_default=True,
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Write this file (mode 0600) in place of standard output.")
def results(
    results_path: Path | None, config: _ConfigInput, run: str, statuses: tuple[str, ...], reasons: tuple[str, ...],
    streams: tuple[str, ...], lists: tuple[str, ...], keys: tuple[str, ...], output: str, limit: int, out: Path | None,
    *, rows: bool, show_values: bool,
) -> None:  # fmt: skip
    """Count the result rows of a run by stream, status and reason, or print the rows.

    Files of any size are written piece by piece. In CSV, what a spreadsheet might run as a formula has a ' in front.
    """
    from target_amplemarket.results.chosen import Chosen
    from target_amplemarket.results.query import COUNTS, count_rows, first_rows, row_schema, row_tables

    if out is None and output in {"parquet", "arrow"}:
        raise SettingsError(f"`--format {output}` is no text: name a file with `--out`")
    if out is not None and output == "table":
        raise SettingsError("`--out` takes `--format` json, csv, parquet or arrow")
    folder, chosen = _folder(results_path, config), Chosen(statuses, reasons, streams, lists, keys)
    if output != "table":
        schema = row_schema(show_values=show_values) if rows else COUNTS
        tables = (
            row_tables(folder, run=run, chosen=chosen, show_values=show_values)
            if rows
            else [count_rows(folder, run=run, chosen=chosen)]
        )
        _write_tables(tables, schema, output, out)
    elif rows:
        found, more = first_rows(folder, run=run, chosen=chosen, most=limit)
        _print_arrow(found, "no rows")
        if more:
            click.echo(f"and {more:,} more: `--limit` shows more of them, `--format csv --out FILE` writes all")
    else:
        _print_arrow(count_rows(folder, run=run, chosen=chosen), "no rows")


def _write_tables(tables: Iterable[pa.Table], schema: pa.Schema, output: str, out: Path | None) -> None:
    from target_amplemarket.results.export import WRITERS
    from target_amplemarket.storage.out_file import out_file

    if out is None:
        WRITERS[output](tables, schema, sys.stdout.buffer)
        return
    with out_file(out) as sink:
        WRITERS[output](tables, schema, sink)


def _print_arrow(table: pa.Table, nothing: str) -> None:
    """A table for people, as wide as the terminal."""
    numbers = {field.name for field in table.schema if str(field.type).startswith("int")}
    rows = [[f"{v:,}" if isinstance(v, int) else v or "" for v in row.values()] for row in table.to_pylist()]
    _print_table(table.column_names, rows, numbers=numbers, nothing=nothing)


def _print_table(names: list[str], rows: list[list[str]], *, numbers: set[str], nothing: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        click.echo(nothing)
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _TABLE_COLUMNS)
    table = Table(box=None, pad_edge=False)
    for name in names:
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name in numbers)
    for row in rows:
        table.add_row(*(Text("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in v)) for v in row))
    console.print(table)


@click.command()
@_folder_options
@click.option("--run", default="all", show_default=True, help="A run id, `last`, or `all`.")
@click.option("--reason", "reasons", multiple=True, help="Only records with this reason; may be repeated.")
@click.option("--stream", "streams", multiple=True, help="Only records of this stream; may be repeated.")
@click.option("--show-values", is_flag=True, help="Show the examples' original records; personal data.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def explain(
    results_path: Path | None, config: _ConfigInput, run: str, reasons: tuple[str, ...], streams: tuple[str, ...],
    output: str, *, show_values: bool,
) -> None:  # fmt: skip
    """Say why records were rejected, by cause, and which change of the settings makes leads of them.

    Each change is tried on the records that were kept, and the number is what it really repairs. With --config, changes
    are put into the `field_mapping` that is there. Records that a newer row settles are left out. Examples name records
    by number and key.
    """
    from target_amplemarket.results.explain import Explainer, rejected_of
    from target_amplemarket.results.explained import explanation_json, explanation_lines

    rules = _mapping_rules(config)
    folder, chosen = _folder(results_path, config), rejected_of(streams, reasons)
    found = Explainer(folder, run, chosen, **rules).explain()
    mapping = config.config.get("field_mapping", {})
    if output == "json":
        click.echo(explanation_json(found, mapping, show_values=show_values))
    else:
        click.echo("\n".join(explanation_lines(found, mapping, show_values=show_values)))


def _mapping_rules(config: _ConfigInput) -> dict[str, Any]:
    """What the settings say of mapping."""
    from target_amplemarket.services import intake_of

    settings = _settings_without_account(config)
    return {
        "intake": intake_of(settings), "extra_fields": settings.extra_fields,
        "by_version": settings.load_method == "append-only", "field_mapping": settings.field_mapping,
        "settings": settings,
    }  # fmt: skip


def _settings_without_account(config: _ConfigInput) -> Settings:
    """Settings for what asks no API, so without a key and an owner if need be."""
    return _settings(dataclasses.replace(config, config={"api_key": "none", "owner": "none"} | config.config))


@click.command()
@_folder_options
@click.option(
    "--csv", "csv_files", multiple=True, type=click.Path(dir_okay=False, path_type=Path),
    help="An export of an older list, with a header; may be repeated.",
)  # fmt: skip
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def audit(results_path: Path | None, config: _ConfigInput, csv_files: tuple[Path, ...], output: str) -> None:
    """Name who was sent more than once, over all results and over exports of older lists.

    Works without a results folder, too. People are told apart as a run does it. Ends with 5 if there are any.
    """
    from target_amplemarket.leads.map_block import Rules
    from target_amplemarket.lists.credits import prices_of
    from target_amplemarket.results import audit as audits
    from target_amplemarket.results.ledger import compared_key
    from target_amplemarket.results.older_lists import OlderList, comparable
    from target_amplemarket.services import intake_of

    settings, folder = _settings_without_account(config), _folder(results_path, config)
    if not folder.is_dir() and (results_path is not None or not csv_files):
        raise StorageError(f"there is no results folder {folder}; name one, or exports with `--csv`")
    rules = Rules(comparable(intake_of(settings)), keep_records=False, fingerprint_key=compared_key(folder))
    prices = prices_of(dataclasses.replace(settings, enrich=True, validate_email=True, reveal_phone_numbers=True))
    older = [OlderList(path, rules) for path in csv_files]
    found = audits.audit(folder if folder.is_dir() else None, older, prices)
    lines = audits.audit_lines(found, prices)
    click.echo(audits.audit_json(found) if output == "json" else "\n".join(lines))
    if found.people:
        raise GuardStop(f"sent more than once: {audits.counted_people(len(found.people))}")


@click.command()
@_folder_options
@click.option("--run", default="all", show_default=True, help="A run id, `last`, or `all`.")
@click.option(
    "--status", type=click.Choice(["rejected", "held"]), default="rejected", show_default=True,
    help="`held`: records whose list has turned out not to have arrived.",
)  # fmt: skip
@click.option("--reason", "reasons", multiple=True, help="Only records with this reason; may be repeated.")
@click.option("--stream", "streams", multiple=True, help="Only records of this stream; may be repeated.")
@click.option("--include-permanent", is_flag=True, help="Also what no change of the mapping can repair.")
@click.option("--to-singer", is_flag=True, help="Print SCHEMA and RECORD messages for any target; send nothing.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def replay(
    results_path: Path | None, config: _ConfigInput, run: str, status: str, reasons: tuple[str, ...],
    streams: tuple[str, ...], output: str, *, include_permanent: bool, to_singer: bool,
) -> None:  # fmt: skip
    """Send rejected records again from the results, without the tap, by the mapping that the settings have now.

    It is a run of its own, with the exit codes of the target. Nobody is sent twice, however often it runs, and a record
    that a newer row settles is left out. The records are what they were after stream maps, which are not applied again.
    """
    from target_amplemarket.results.replay import Replay, Selection, singer_lines

    selection = Selection(run, status, reasons, streams, include_permanent)
    if to_singer:
        sys.stdout.buffer.writelines(singer_lines(Replay(_folder(results_path, config), selection).messages()))
        return
    settings = _settings(config)
    if results_path is not None:
        settings = dataclasses.replace(settings, results_path=str(results_path))
    replaying = Replay(Path(settings.results_path), selection)
    if not replaying.record_count() and status != "held":  # a run first settles what is held
        click.echo("\n".join(["nothing to replay", *replaying.left.lines()]), err=output == "json")
        return
    click.echo("\n".join(replaying.left.lines()), err=True, nl=any(replaying.left.lines()))
    _run_replay(settings, replaying, output)


def _run_replay(settings: Settings, replaying: Replay, output: str) -> None:
    from target_amplemarket.results.summary import RunSummary, summary_json, summary_lines
    from target_amplemarket.runner import Input, execute

    def report(summary: RunSummary) -> None:
        replaying.remember(summary.run_id, summary.records)
        lines = summary_lines(summary, Path(settings.results_path))
        click.echo(summary_json(summary).decode() if output == "json" else "\n".join(lines))

    execute(settings, Input(replaying.messages, lambda _: None, is_whole=False), report=report)


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
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def check(config: _ConfigInput, output: str) -> None:
    """Find out what a run would meet: settings, results folder, API, key, owner; spends nothing.

    Ends with what a run would end with.
    """
    from target_amplemarket.check import examine, exit_code_of, failed, findings_json

    try:
        findings = list(examine(_settings(config)))
    except SettingsError as error:
        findings = [failed(error, "settings")]
    if output == "json":
        click.echo(findings_json(findings))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            click.echo(f"{finding.level.value:<8} {finding.subject:<{width}}  {finding.text}")
    sys.exit(exit_code_of(findings))


@click.command()
@_folder_options
@click.option("--run", default="last", show_default=True, help="A run id, or `last`.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write this file, not one in the folder.")
def report(results_path: Path | None, config: _ConfigInput, run: str, out: Path | None) -> None:
    """Write one HTML page about a run: no network, no personal values, to look at, print or send on."""
    from target_amplemarket.results.report import render_report, write_report
    from target_amplemarket.storage.durable import Folder
    from target_amplemarket.storage.out_file import out_file

    folder = _folder(results_path, config)
    if not folder.is_dir():
        raise StorageError(f"there is no results folder {folder}")
    settings = _settings_without_account(config)
    if out is None:
        click.echo(write_report(Folder(folder), run, settings))
        return
    page = render_report(folder, run, settings)[1]
    with out_file(out) as file:
        file.write(page.encode())
    click.echo(out)


@click.command()
@_folder_options
@click.option("--email", "emails", multiple=True, help="An e-mail of the person; may be repeated, as the next two.")
@click.option("--linkedin-url", "profiles", multiple=True, help="A LinkedIn profile of the person.")
@click.option("--key", "keys", multiple=True, help="A record key: the value of one property, or all of it as JSON.")
@click.option("--stream", help="The stream of the records that --key names.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def forget(
    results_path: Path | None,
    config: _ConfigInput,
    emails: tuple[str, ...],
    profiles: tuple[str, ...],
    keys: tuple[str, ...],
    stream: str | None,
    output: str,
) -> None:
    """Remove one person from the results folder, and never send this person again.

    All options are of one person. If it is stopped, run it again: it goes on where it was. What the API's account and
    the sources hold is not changed, nor is the suppression file.
    """
    import msgspec

    from target_amplemarket.results.forget import forget_in, read_person

    person = read_person(emails=emails, profiles=profiles, keys=keys, stream=stream)
    done = forget_in(_folder(results_path, config), person)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(done), indent=2))
        return
    click.echo(f"{done.rows:,} result rows in {done.result_files:,} files changed")
    click.echo(f"{done.outbox_leads:,} leads of lists without an outcome in {done.outbox_files:,} files changed")
    click.echo(f"{done.removed_files:,} reports and read-back lists removed")
    click.echo(f"{done.tombstones:,} fingerprints added: the person is blocked by them")
    if done.is_shared:
        click.echo(
            "an e-mail stood with several LinkedIn profiles or ids: of these, only those that you named are forgotten"
        )


@click.command()
@_folder_options
@click.option("--older-than", required=True, help="Days, as 90d, or a date, as 2026-01-31.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def purge(results_path: Path | None, config: _ConfigInput, older_than: str, output: str) -> None:
    """Drop records and record keys of old result rows; who was sent is still known, and not sent again."""
    import msgspec

    from target_amplemarket.clock import SystemClock
    from target_amplemarket.results.purge import cutoff_of, purge_in

    cutoff = cutoff_of(older_than, SystemClock().now())
    done = purge_in(_folder(results_path, config), cutoff)
    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(done), indent=2))
        return
    click.echo(f"{done.rows:,} rows in {done.files:,} files lost record and key: older than {cutoff:%Y-%m-%d %H:%M}")
    click.echo(f"{done.removed_files:,} reports removed")
    if done.lists_kept:
        click.echo(f"{done.lists_kept:,} lists that old are without an outcome and keep their leads: `reconcile` them")


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
@click.option("--config", multiple=True, callback=_read_config, help="The target's settings file, or ENV.")
@click.option("--run", default="all", show_default=True, help="A run id, `last` or `all`: whose lists.")
@click.option("--list", "lists", multiple=True, help="Id of a list, also to collect it once more; may be repeated.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0), default=0, show_default=True,
    help="Seconds to wait for lists that are still processed; 0 asks each once.",
)  # fmt: skip
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--to-singer", is_flag=True, help="Write the entries to standard output as a Singer stream.")
@click.option(
    "--state", "state_file", type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="With --to-singer: the last STATE of it; lists that it covers are left out.",
)  # fmt: skip
def collect(
    config: _ConfigInput, run: str, lists: tuple[str, ...], wait_s: float, output: str, state_file: Path | None,
    *, to_singer: bool,
) -> None:  # fmt: skip
    """Read back what the lists became that were sent: people found, e-mails, phones, beside the records' keys.

    Each list is written once, when it has ended; run again after whatever stopped it. Ends with 7 while lists are still
    processed, and with 0 with --to-singer, since the next call brings the rest.
    """
    if to_singer:
        if lists or run != "all":
            raise SettingsError("--to-singer goes on from its STATE: leave out --run and --list")
        _collect_to_singer(_settings(config), wait_s, state_file)
        return
    from target_amplemarket.results.collect import collect as collect_lists
    from target_amplemarket.results.sent_lists import sent_lists
    from target_amplemarket.results.yields import collect_summary

    settings = _settings(config)
    done = collect_lists(settings, run=run, lists=lists, wait_s=wait_s)
    path = Path(settings.results_path)
    wanted = set(lists) or {each.list_id for each in sent_lists(path, run)}
    summary = collect_summary(path, wanted.__contains__, open_lists=[e.list_id for e in done.open], failed=done.failed)
    if output == "json":
        click.echo(summary.json())
    else:
        _show_yields(summary)
    done.check()


def _collect_to_singer(settings: Settings, wait_s: float, state_file: Path | None) -> None:
    from target_amplemarket.results.collect import collect as collect_lists
    from target_amplemarket.results.entry_stream import EntryStream, read_bookmark

    stream = EntryStream(_write_line, read_bookmark(state_file.read_bytes() if state_file else b"{}"))
    stream.begin()
    done = collect_lists(settings, wait_s=wait_s, take=stream.emit)
    LOGGER.info("%s entries emitted; %d lists not ended yet", f"{stream.record_count:,}", len(done.open))
    done.open.clear()  # the next call brings them; a pipeline would take another exit code for a failure
    done.check()


def _write_line(line: bytes) -> None:
    try:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
    except OSError as error:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # so that nothing is written there at the end
        raise StorageError(
            f"standard output cannot be written: {error.strerror}; run again from the last STATE"
        ) from None


def _show_yields(summary: CollectSummary) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True, width=_TABLE_COLUMNS)

    def show(title: str, rows: list[tuple[str, Yield]]) -> None:
        table = Table(box=None, pad_edge=False)
        table.add_column(title)
        for name in ("sent", "entries", "missing", "unmatched", "found", "e-mail", "deliverable", "ready", "phone"):
            table.add_column(name, justify="right")
        for name, counts in rows:
            figures = (
                counts.sent, counts.entries, counts.missing, counts.unmatched, counts.found, counts.with_email,
                counts.deliverable, counts.ready, counts.with_phone,
            )  # fmt: skip
            table.add_row(name, *(f"{figure:,}" for figure in figures))
        console.print(table)
        console.print()

    def name_of(each: ListYield) -> str:
        return each.list_name if each.list_status == "completed" else f"{each.list_name} ({each.list_status})"

    if summary.lists:
        show("list", [(name_of(each), each.counts) for each in summary.lists])
        show("stream", list(summary.streams.items()))
        show("owner", [(name or "unknown", counts) for name, counts in summary.owners.items()])
        show("all", [(f"{len(summary.lists):,} lists", summary.total)])
    else:
        console.print("no list has been collected")
    for list_id in summary.open:
        console.print(f"still processed: {list_id}", markup=False)
    for list_id, reason in summary.failed.items():
        console.print(f"not read: {list_id} ({reason})", markup=False)


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
@click.option("--dry-run", is_flag=True, help=_DRY_RUN_HELP)
def push(
    files: tuple[Path, ...], stream: str, keys: tuple[str, ...], config: _ConfigInput, output: str, *, dry_run: bool
) -> None:
    """Send the rows of Parquet or Arrow FILES, or of folders of such files, without a tap.

    Run again after whatever stopped it: nobody is sent twice.
    """
    from target_amplemarket.frames import push_rows, rows_of_path
    from target_amplemarket.results.summary import RunSummary, summary_json, summary_lines

    target = TargetAmplemarket(config=config.config, parse_env_config=config.parse_env)
    settings = dataclasses.replace(target.settings, dry_run=dry_run or target.settings.dry_run)
    sources = [rows for path in files for rows in rows_of_path(path)]
    counts = [source.row_count for source in sources]
    total = None if None in counts else sum(count or 0 for count in counts)

    summaries: list[RunSummary] = []
    try:
        with _push_progress(total) as watch:
            push_rows(
                settings, sources, stream=stream, key_properties=keys, watch=watch,
                mapper=target.record_mapper, report=summaries.append,
            )  # fmt: skip
    finally:
        for summary in summaries:  # one, unless nothing began
            lines = summary_lines(summary, Path(settings.results_path))
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

    from target_amplemarket.results.trend import trend_lines

    console = Console(highlight=False, soft_wrap=True, width=_TABLE_COLUMNS)
    table = Table(box=None, pad_edge=False)
    table.add_column("run")
    table.add_column("exit")
    planned = ["planned"] if any("planned" in run.statuses for run in found.runs) else []
    shown = ("accepted", *planned, "duplicate", "rejected", "held")
    for name in ("read", *shown, "left", "lists"):
        table.add_column(name, justify="right")
    for run in found.runs:
        counts = (run.statuses.get(name, 0) for name in shown)
        numbers = [f"{number:,}" for number in (run.records, *counts, run.left, len(run.lists))]
        table.add_row(run.run_id, "running or killed" if run.exit_code is None else str(run.exit_code), *numbers)
    console.print(table)
    for line in trend_lines(found.runs):
        console.print(line, markup=False)
    for swing in found.swings:
        console.print(f"swing: {swing}", markup=False)
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
