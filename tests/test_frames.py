from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import target_amplemarket
from target_amplemarket import push, read_results
from target_amplemarket.errors import SettingsError
from target_amplemarket.sandbox import RunningSandbox
from tests.harness import Ran, leads_of, record, schema

FRAME = pd.DataFrame(
    {
        "Id": [1, 2, 3, 4],
        "Email": ["ada@acme.example", None, "BO@acme.example", "ada@ACME.example"],
        "Job Title": ["Buyer", "Head", None, "Buyer"],
        "Score": [1.5, float("nan"), 3.0, 4.0],
    }
)


def test_a_data_frame_goes_through_the_same_pipeline(settings: dict[str, Any], sandbox: RunningSandbox) -> None:
    rows = push(FRAME, settings | {"extra_fields": ["Score"]}, stream="webinar", key_properties=["Id"])
    assert rows.column("status").to_pylist() == ["accepted", "rejected", "accepted", "duplicate"]
    assert rows.column("record_key").to_pylist() == [f'{{"Id":{n}}}' for n in range(1, 5)]
    assert leads_of(sandbox) == [
        {"email": "ada@acme.example", "title": "Buyer", "company_domain": "acme.example", "Score": "1.5"},
        {"email": "bo@acme.example", "company_domain": "acme.example", "Score": "3.0"},
    ]


def test_frame_table_batch_and_messages_give_the_same_rows(run: Any, settings: dict[str, Any], tmp_path: Any) -> None:
    frame = FRAME.drop(columns="Score")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    names = ["stream", "record_no", "record_key", "status", "reason", "detail", "field", "list_type", "list_position"]
    pushed = [
        push(given, settings | {"results_path": str(tmp_path / str(n))}, stream="s", key_properties=["Id"])
        for n, given in enumerate([frame, table, table.to_batches()[0]])
    ]
    messages = [schema("s", "Email", "Job Title", key="Id"), *(record("s", **row) for row in table.to_pylist())]
    ran: Ran = run(messages)
    for rows in pushed:
        assert rows.select(names).to_pylist() == ran.rows.select(names).to_pylist()


def test_struct_columns_are_reached_by_dotted_paths(settings: dict[str, Any], sandbox: RunningSandbox) -> None:
    table = pa.table({"id": ["a"], "properties": [{"email": "ada@acme.example", "jobtitle": "Buyer"}]})
    push(table, settings)
    assert leads_of(sandbox)[0]["title"] == "Buyer"


def test_what_is_no_table_and_a_missing_key_are_refused_before_anything_happens(
    settings: dict[str, Any], sandbox: RunningSandbox
) -> None:
    with pytest.raises(SettingsError, match="takes a data frame, an Arrow table or a file, not list"):
        push([1, 2], settings)
    with pytest.raises(SettingsError, match="columns that the table does not have: nope"):
        push(FRAME, settings, key_properties=["nope"])
    with pytest.raises(SettingsError, match="mixes types"):
        push(pd.DataFrame({"email": ["a@acme.example", {"x": 1}]}), settings)
    assert not sandbox.requests()


def test_an_empty_table_gives_no_rows(settings: dict[str, Any]) -> None:
    assert push(pa.table({"email": pa.array([], pa.string())}), settings).num_rows == 0
    assert read_results(settings["results_path"]).num_rows == 0


def test_the_public_face_is_what_can_be_imported() -> None:
    assert target_amplemarket.__all__ == ["push", "read_results"]
    assert dir(target_amplemarket) == target_amplemarket.__all__
    assert all(callable(getattr(target_amplemarket, name)) for name in target_amplemarket.__all__)
    with pytest.raises(AttributeError):
        _ = target_amplemarket.nothing
