"""Tables on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console
    from rich.table import Table

_TABLE_COLUMNS: Final = 120
"""Wide enough for every figure, also where output goes to a file."""


def figures_console() -> Console:
    """Where tables of figures go: as wide as they are, whatever the terminal is."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, width=_TABLE_COLUMNS)


def figures_table(names: Iterable[str], figures: Iterable[str]) -> Table:
    """A table without rows yet: columns of names first, then columns of figures."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name)
    for name in figures:
        table.add_column(name, justify="right")
    return table


def print_arrow(table: pa.Table, nothing: str) -> None:
    """Print a table for people, as wide as the terminal; `nothing` stands for one without rows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not table.num_rows:
        click.echo(nothing)
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _TABLE_COLUMNS)
    shown = Table(box=None, pad_edge=False)
    for field in table.schema:
        is_figure = str(field.type).startswith("int")
        shown.add_column(field.name, justify="right" if is_figure else "left", overflow="fold", no_wrap=is_figure)
    for row in table.to_pylist():
        shown.add_row(*(Text(_printable(f"{v:,}" if isinstance(v, int) else v or "")) for v in row.values()))
    console.print(shown)


def _printable(value: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
