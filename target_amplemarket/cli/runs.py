"""Commands that send leads, and the one that says whether a run could begin."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from target_amplemarket.cli.options import (
    DRY_RUN_HELP,
    Setup,
    config_option,
    folder_options,
    format_option,
    record_options,
)
from target_amplemarket.cli.progress import push_progress
from target_amplemarket.errors import SettingsError

if TYPE_CHECKING:
    from target_amplemarket.config import Settings
    from target_amplemarket.results.replay import Replay
    from target_amplemarket.results.summary import RunSummary


@click.command()
@config_option
@format_option
def check(setup: Setup, output: str) -> None:
    """Find out what a run would meet: settings, results folder, API, key, owner; spends nothing.

    Ends with what a run would end with.
    """
    from target_amplemarket.check import examine, exit_code_of, failed, findings_json

    try:
        findings = list(examine(setup.settings()))
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
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--stream", required=True, help="Name under which the rows appear in lists and results.")
@click.option("--key", "keys", multiple=True, help="Column that identifies a row; may be repeated.")
@config_option
@format_option
@click.option("--dry-run", is_flag=True, help=DRY_RUN_HELP)
def push(
    files: tuple[Path, ...], stream: str, keys: tuple[str, ...], setup: Setup, output: str, *, dry_run: bool
) -> None:
    """Send the rows of Parquet or Arrow FILES, or of folders of such files, without a tap.

    Run again after whatever stopped it: nobody is sent twice.
    """
    from target_amplemarket.frames import push_rows, rows_of_path

    target = setup.target()
    settings = dataclasses.replace(target.settings, dry_run=dry_run or target.settings.dry_run)
    sources = [rows for path in files for rows in rows_of_path(path)]
    counts = [source.row_count for source in sources]
    total = None if None in counts else sum(count or 0 for count in counts)

    summaries: list[RunSummary] = []
    try:
        with push_progress(total) as watch:
            push_rows(
                settings, sources, stream=stream, key_properties=keys, watch=watch,
                mapper=target.record_mapper, report=summaries.append,
            )  # fmt: skip
    finally:
        for summary in summaries:  # one, unless nothing began
            _print_summary(summary, settings, output)


@click.command()
@folder_options
@click.option("--run", default="all", show_default=True, help="A run id, `last`, or `all`.")
@click.option(
    "--status", type=click.Choice(["rejected", "held"]), default="rejected", show_default=True,
    help="`held`: records whose list has turned out not to have arrived.",
)  # fmt: skip
@record_options
@click.option("--include-permanent", is_flag=True, help="Also what no change of the mapping can repair.")
@click.option("--to-singer", is_flag=True, help="Print SCHEMA and RECORD messages for any target; send nothing.")
@format_option
def replay(
    setup: Setup, run: str, status: str, reasons: tuple[str, ...], streams: tuple[str, ...], output: str,
    *, include_permanent: bool, to_singer: bool,
) -> None:  # fmt: skip
    """Send rejected records again from the results, without the tap, by the mapping that the settings have now.

    It is a run of its own, with the exit codes of the target. Nobody is sent twice, however often it runs, and a record
    that a newer row settles is left out. The records are what they were after stream maps, which are not applied again.
    """
    from target_amplemarket.results.replay import Replay, Selection, singer_lines

    selection = Selection(run, status, reasons, streams, include_permanent)
    if to_singer:
        sys.stdout.buffer.writelines(singer_lines(Replay(setup.folder, selection).messages()))
        return
    settings = setup.settings()
    replaying = Replay(Path(settings.results_path), selection)
    if not replaying.record_count() and status != "held":  # a run first settles what is held
        click.echo("\n".join(["nothing to replay", *replaying.left.lines()]), err=output == "json")
        return
    click.echo("\n".join(replaying.left.lines()), err=True, nl=any(replaying.left.lines()))
    _run_replay(settings, replaying, output)


def _run_replay(settings: Settings, replaying: Replay, output: str) -> None:
    from target_amplemarket.runner import Input, execute

    def report(summary: RunSummary) -> None:
        replaying.remember(summary.run_id, summary.records)
        _print_summary(summary, settings, output)

    execute(settings, Input(lambda stop, _: replaying.messages(stop), lambda _: None, is_whole=False), report=report)


def _print_summary(summary: RunSummary, settings: Settings, output: str) -> None:
    from target_amplemarket.results.summary import summary_json, summary_lines

    lines = summary_lines(summary, Path(settings.results_path))
    click.echo(summary_json(summary).decode() if output == "json" else "\n".join(lines))
