"""Sending a data frame or an Arrow table without a tap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from target_amplemarket.config import read_settings
from target_amplemarket.errors import SettingsError
from target_amplemarket.results.reader import read_results
from target_amplemarket.runner import Input, execute
from target_amplemarket.singer.arrow_run import arrow_runs

if TYPE_CHECKING:
    import pandas as pd


def push(
    frame_or_table: pd.DataFrame | pa.Table | Any,  # whatever has an Arrow C stream
    settings: Mapping[str, Any],
    *,
    stream: str = "records",
    key_properties: Sequence[str] = (),
) -> pa.Table:
    """Send a table through the same pipeline as a Singer stream and return its result rows.

    Args:
        frame_or_table: A pandas data frame, an Arrow table or record batch, or anything that offers itself as an
            Arrow C stream (Polars, DuckDB). One row is one record; struct columns are reached by dotted paths.
        settings: The target's settings by name, as in its settings file.
        stream: Name under which the rows appear in lists and results.
        key_properties: Columns that identify a row.

    Returns:
        One row for each row of the input, schema of docs/reference/results.md, in the order of the input.

    Raises:
        SettingsError: A setting is wrong, or a key column is missing.
        AmplemarketError: Whatever stopped the run; what is recorded stays recorded (`read_results`).
    """
    checked = read_settings(settings)
    table = _arrow_table(frame_or_table)
    if missing := [name for name in key_properties if name not in table.column_names]:
        raise SettingsError(f"`key_properties` names columns that the table does not have: {', '.join(missing)}")
    given = Input(lambda _: arrow_runs(table, stream, tuple(key_properties)), emit=lambda _: None)
    summary = execute(checked, given, report=lambda _: None)
    if not summary.rows:
        return read_results(checked.results_path).slice(0, 0)
    return read_results(checked.results_path, run=summary.run_id).sort_by("record_no")


def _arrow_table(given: Any) -> pa.Table:  # see push
    if isinstance(given, pa.Table):
        return given
    if isinstance(given, pa.RecordBatch):
        return pa.Table.from_batches([given])
    try:
        if type(given).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(given, preserve_index=False)
        if hasattr(given, "__arrow_c_stream__"):
            return pa.table(given)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise SettingsError(
            "this data frame does not fit into Arrow: some column mixes types; cast it, for example with "
            "`frame.astype({'column': 'string'})`"
        ) from None
    raise SettingsError(f"`push` takes a data frame or an Arrow table, not {type(given).__name__}")
