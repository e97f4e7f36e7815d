"""Commands about the runs that were: their figures, the last STATE, a page about one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from target_amplemarket.cli.options import Setup, folder_options, format_option
from target_amplemarket.cli.tables import figures_console, figures_table
from target_amplemarket.errors import StorageError

if TYPE_CHECKING:
    from target_amplemarket.results.history import FolderStatus


@click.command()
@folder_options
@format_option
@click.option("--runs", "most", type=click.IntRange(1), default=10, show_default=True, help="How many runs to show.")
def status(setup: Setup, output: str, most: int) -> None:
    """Show the last runs, the lists whose outcome is not known, and the last STATE."""
    from target_amplemarket.results.history import folder_status

    found = folder_status(setup.folder, most=most)
    if output == "json":
        click.echo(found.json())
        return
    _show_status(found)


def _show_status(found: FolderStatus) -> None:
    from target_amplemarket.results.trend import trend_lines

    console = figures_console()
    planned = ["planned"] if any("planned" in run.statuses for run in found.runs) else []
    shown = ("accepted", *planned, "duplicate", "rejected", "held")
    table = figures_table(["run", "exit"], ["read", *shown, "left", "lists"])
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
@folder_options
def state(setup: Setup) -> None:
    """Print the last STATE that left, for giving it to a tap (`tap … --state state.json`)."""
    from target_amplemarket.results.history import last_state

    value = last_state(setup.folder)
    if value is not None:
        click.echo(value)


@click.command()
@folder_options
@click.option("--run", default="last", show_default=True, help="A run id, or `last`.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write this file, not one in the folder.")
def report(setup: Setup, run: str, out: Path | None) -> None:
    """Write one HTML page about a run: no network, no personal values, to look at, print or send on."""
    from target_amplemarket.results.report import render_report, write_report
    from target_amplemarket.storage.durable import Folder
    from target_amplemarket.storage.out_file import out_file

    folder = setup.folder
    if not folder.is_dir():
        raise StorageError(f"there is no results folder {folder}")
    settings = setup.settings_without_account()
    if out is None:
        click.echo(write_report(Folder(folder), run, settings))
        return
    page = render_report(folder, run, settings)[1]
    with out_file(out) as file:
        file.write(page.encode())
    click.echo(out)
