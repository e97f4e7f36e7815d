"""Commands that read result rows: how many and which, and why records were rejected."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from target_amplemarket.cli.options import Setup, folder_options, format_option, record_options
from target_amplemarket.cli.tables import print_arrow
from target_amplemarket.errors import SettingsError

if TYPE_CHECKING:
    import pyarrow as pa


@click.command()
@folder_options
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
    setup: Setup, run: str, statuses: tuple[str, ...], reasons: tuple[str, ...], streams: tuple[str, ...],
    lists: tuple[str, ...], keys: tuple[str, ...], output: str, limit: int, out: Path | None,
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
    folder, chosen = setup.folder, Chosen(statuses, reasons, streams, lists, keys)
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
        print_arrow(found, "no rows")
        if more:
            click.echo(f"and {more:,} more: `--limit` shows more of them, `--format csv --out FILE` writes all")
    else:
        print_arrow(count_rows(folder, run=run, chosen=chosen), "no rows")


def _write_tables(tables: Iterable[pa.Table], schema: pa.Schema, output: str, out: Path | None) -> None:
    from target_amplemarket.results.export import WRITERS
    from target_amplemarket.storage.out_file import out_file

    if out is None:
        WRITERS[output](tables, schema, sys.stdout.buffer)
        return
    with out_file(out) as sink:
        WRITERS[output](tables, schema, sink)


@click.command()
@folder_options
@click.option("--run", default="all", show_default=True, help="A run id, `last`, or `all`.")
@record_options
@click.option("--show-values", is_flag=True, help="Show the examples' original records; personal data.")
@format_option
def explain(
    setup: Setup, run: str, reasons: tuple[str, ...], streams: tuple[str, ...], output: str, *, show_values: bool
) -> None:
    """Say why records were rejected, by cause, and which change of the settings makes leads of them.

    Each change is tried on the records that were kept, and the number is what it really repairs. With --config, changes
    are put into the `field_mapping` that is there. Records that a newer row settles are left out. Examples name records
    by number and key.
    """
    from target_amplemarket.results.explain import Explainer, rejected_of
    from target_amplemarket.results.explained import explanation_json, explanation_lines

    rules = _mapping_rules(setup)
    found = Explainer(setup.folder, run, rejected_of(streams, reasons), **rules).explain()
    mapping = setup.values.get("field_mapping", {})
    if output == "json":
        click.echo(explanation_json(found, mapping, show_values=show_values))
    else:
        click.echo("\n".join(explanation_lines(found, mapping, show_values=show_values)))


def _mapping_rules(setup: Setup) -> dict[str, Any]:
    """What the settings say of mapping."""
    from target_amplemarket.services import intake_of

    settings = setup.settings_without_account()
    return {
        "intake": intake_of(settings), "extra_fields": settings.extra_fields,
        "by_version": settings.load_method == "append-only", "field_mapping": settings.field_mapping,
        "settings": settings,
    }  # fmt: skip
