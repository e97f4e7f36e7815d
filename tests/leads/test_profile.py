from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.profile import (
    IdReason,
    company_id,
    company_ids,
    departments,
    person_id,
    person_ids,
    phones,
    tidied,
)
from target_amplemarket.singer.records import ABSENT
from tests.leads.building import UNHURRIED

UUID = "2b6f0cc9-2222-4c33-8d44-9876543210ab"


@pytest.mark.parametrize(
    ("text", "person", "company"),
    [
        (UUID, UUID, UUID),
        (f"  {UUID.upper()}\n", UUID, UUID),
        ("lead_2Xy-9", "lead_2Xy-9", IdReason.NOT_A_UUID),
        ("", None, None),
        (" \t", None, None),
        ("n/a", IdReason.PLACEHOLDER, IdReason.PLACEHOLDER),
        ("None", IdReason.PLACEHOLDER, IdReason.PLACEHOLDER),
        ("42", IdReason.NUMBER, IdReason.NUMBER),
        (f"{UUID},{UUID}", IdReason.SEVERAL_IDS, IdReason.SEVERAL_IDS),
        ("lead_1 lead_2", IdReason.SEVERAL_IDS, IdReason.SEVERAL_IDS),
        ("x" * 64, "x" * 64, IdReason.NOT_A_UUID),
        ("x" * 65, IdReason.NOT_AN_ID, IdReason.NOT_A_UUID),
        (f"{{{UUID}}}", IdReason.NOT_AN_ID, IdReason.NOT_A_UUID),
        ("https://app.example/people/1", IdReason.NOT_AN_ID, IdReason.NOT_A_UUID),
        ("läad_1", IdReason.NOT_AN_ID, IdReason.NOT_A_UUID),
    ],
)
def test_an_id_is_a_uuid_and_of_a_person_a_word_too(text: str, person: str | None, company: str | None) -> None:
    assert person_id(text) == person
    assert company_id(text) == company


TEXTS = st.sampled_from([None, UUID, UUID.upper(), f" {UUID}", "lead_1", "", " ", "n/a", "7", "a,b", "ü"]) | st.text(
    max_size=8
)


@given(st.lists(TEXTS, max_size=12))
@UNHURRIED
def test_columns_of_ids_say_what_one_by_one_is_said(texts: list[str | None]) -> None:
    for column, scalar in ((person_ids(texts), person_id), (company_ids(pa.array(texts, pa.string())), company_id)):
        for text, value, reason in zip(texts, column.value.to_pylist(), column.reason.to_pylist(), strict=True):
            assert (value or reason) == (None if text is None else scalar(text))
            assert (reason is not None) == isinstance(text is not None and scalar(text), IdReason)


def test_an_id_may_come_as_a_list_of_one_and_a_number_is_the_sources_own_key() -> None:
    column = person_ids([["lead_1"], ["lead_1", None, "lead_2"], [], {"value": "lead_3"}, 42, True, ABSENT, None])
    assert column.value.to_pylist() == ["lead_1", None, None, "lead_3", None, None, None, None]
    assert column.reason.to_pylist() == [None, "several_ids", None, None, "number", None, None, None]


def test_names_and_places_are_tidy_texts_without_placeholders() -> None:
    assert tidied([" Ada\u200b  Maria ", "N/A", "", 7, None, ABSENT, ["", "Leeds"]]).to_pylist() == [
        "Ada Maria", None, None, None, None, None, "Leeds",
    ]  # fmt: skip


def test_phones_are_gathered_over_all_members_distinct_and_in_order() -> None:
    mobile = ["+49 30 1", None, ["+1 2", "+1-2", " +1  3 "], ABSENT]
    others = pa.array(["+49 (30) 1", "n/a", "+1 4", None])
    assert phones([mobile, others]).to_pylist() == [["+49 30 1"], None, ["+1 2", "+1 3", "+1 4"], None]


def test_phones_may_be_objects_and_are_never_numbers_or_words() -> None:
    pipedrive = [{"value": "", "primary": True}, {"value": "+44 1", "label": "work"}]
    apollo = [{"raw_number": "(44) 2", "sanitized_number": "+442"}]
    twilio = {"number": "+44 3", "type": "mobile"}
    column = [pipedrive, apollo, twilio, 4930, [4930], "ask reception", True, {"type": "x"}]
    assert phones([column]).to_pylist() == [["+44 1"], ["+442"], ["+44 3"], None, None, None, None, None]


def test_departments_are_parted_at_commas_and_semicolons() -> None:
    column = ["Sales; Marketing ,sales", ["engineering", "Support, IT"], "-", None]
    assert departments([column]).to_pylist() == [["Sales", "Marketing"], ["engineering", "Support", "IT"], None, None]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just(ABSENT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "number", "x"]), inner),
    max_leaves=6,
)


@given(st.lists(VALUES, max_size=6))
@UNHURRIED
def test_any_values_give_columns_of_their_length_without_control_characters(values: list[object]) -> None:
    lists = [phones([values]), departments([values, values])]
    texts = [person_ids(values).value, company_ids(values).value, tidied(values)]
    assert {len(column) for column in (*lists, *texts)} == {len(values)}
    flat = [text for column in lists for row in column.to_pylist() for text in row or ()]
    flat += [text for column in texts for text in column.to_pylist() if text]
    assert all(text and text.isprintable() for text in flat if text.isascii())
    assert all(row is None or row for column in lists for row in column.to_pylist())
