from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.text import MAX_EXTRA_CHARS, extra_column, text_column, text_of
from target_amplemarket.singer.records import ABSENT
from tests.leads.building import UNHURRIED

HALF = "\ud83d"  # half a surrogate pair


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("dana", "dana"),
        ("", ""),
        (None, None),
        (ABSENT, None),
        (42, None),
        (4.2, None),
        (Decimal(4), None),
        (True, None),
        ({}, None),
        ({"name": "x"}, None),
        ({"value": "dana"}, "dana"),
        ({"value": {"value": "dana"}}, "dana"),
        ({"value": 7}, None),
        ([], None),
        ([None, 3, " ", "dana", "lee"], "dana"),
        (("dana",), "dana"),
        ([{"value": "home"}, {"value": "work", "primary": True}], "work"),
        ([{"value": "", "primary": True}, {"value": "home"}], "home"),
        ([{"value": "a", "primary": "yes"}, {"value": "b", "primary": False}], "a"),
        (f"a{HALF}", "a?"),
    ],
)
def test_what_the_text_of_a_value_is(value: Any, text: str | None) -> None:
    assert text_column([value]).to_pylist() == [text]
    assert text_column(["x", value, None]).to_pylist() == ["x", text, None]


@given(
    st.lists(
        st.sampled_from(
            [None, ABSENT, 1, True, "a", "", HALF, ["b"], {"value": "c"}, [{"value": "d", "primary": True}]]
        )
    )
)
@UNHURRIED
def test_a_column_is_the_text_of_each_value_whatever_stands_beside_it(values: list[Any]) -> None:
    assert text_column(values).to_pylist() == [text_of(value) for value in values]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("dana", "dana"),
        (" dana ", " dana "),
        ("  ", None),
        (None, None),
        (ABSENT, None),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (10**30, "1" + 30 * "0"),
        (2.5, "2.5"),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("1.10"), "1.10"),
        ([1, {"a": None}], '[1,{"a":null}]'),
        ([], "[]"),
        ({"a": HALF}, '{"a": "?"}'),
        (f"a{HALF}", "a?"),
    ],
)
def test_a_further_member_becomes_one_flat_string(value: Any, text: str | None) -> None:
    (made,) = extra_column({"m": [value]}, 1).to_pylist()
    assert made == (None if text is None else json.dumps({"m": text}, separators=(",", ":")))


def test_a_further_member_is_cut_at_1024_characters() -> None:
    columns = {"long": ["é" * 1_025], "short": ["é" * 1_024], "list": [["x" * 2_000]]}
    (made,) = extra_column(columns, 1).to_pylist()
    assert {name: len(text) for name, text in json.loads(made).items()} == {
        "long": 1_024,
        "short": 1_024,
        "list": 1_024,
    }


def test_a_lead_without_further_members_has_none() -> None:
    assert extra_column({}, 2).to_pylist() == [None, None]
    assert extra_column({"a": [None, "x"], "b": [ABSENT, " "]}, 2).to_pylist() == [None, '{"a":"x"}']
    assert extra_column({"a": []}, 0).to_pylist() == []


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[]))
    | st.just(ABSENT)
    | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), ANY, max_size=4))
@UNHURRIED
def test_whatever_a_record_holds_the_further_members_are_flat_strings_of_bounded_length(row: dict[str, Any]) -> None:
    (made,) = extra_column({name: [value] for name, value in row.items()}, 1).to_pylist()
    for name, text in json.loads(made or "{}").items():
        assert name in row
        assert isinstance(text, str)
        assert 0 < len(text) <= MAX_EXTRA_CHARS
