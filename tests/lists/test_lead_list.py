from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_amplemarket.lists.lead_list import MARKER_CHARS, MAX_NAME_CHARS, GroupKey, LeadList, make_marker, plain
from tests.leads.building import UNHURRIED, leads_table

MARKER = "K7Q2M5XA4T3B"
ENDING = re.compile(r" part (\d+) \[([A-Z2-7]{12})\]\Z")


def lead_list(base_name: str, part: int = 1, *, record_numbers: tuple[int, ...] = (1,)) -> LeadList:
    return LeadList(
        number=1,
        part=part,
        marker=MARKER,
        base_name=base_name,
        key=GroupKey("people", "dana@northwind.example", "email"),
        leads=leads_table([{"record_no": record_no} for record_no in record_numbers]),
    )


@pytest.mark.parametrize(
    ("base_name", "name"),
    [
        ("contacts 2026-01-05", "contacts 2026-01-05 part 1 [K7Q2M5XA4T3B]"),
        ("Kundë à Genève", "Kunde a Geneve part 1 [K7Q2M5XA4T3B]"),
        ("  a \t\n b\u00a0c  ", "a b c part 1 [K7Q2M5XA4T3B]"),
        ("a\x00b\x1b[31m", "a?b?[31m part 1 [K7Q2M5XA4T3B]"),
        ("客户 🚀", "?? ? part 1 [K7Q2M5XA4T3B]"),
        ("", "leads part 1 [K7Q2M5XA4T3B]"),
        (" \u0301 ", "leads part 1 [K7Q2M5XA4T3B]"),
        ("x part 7 [AAAAAAAAAAAA]", "x part 7 [AAAAAAAAAAAA] part 1 [K7Q2M5XA4T3B]"),
    ],
)
def test_a_name_is_the_base_name_in_plain_ascii_with_part_and_marker(base_name: str, name: str) -> None:
    assert lead_list(base_name).name == name


def test_a_long_base_name_is_cut_so_that_part_and_marker_stay() -> None:
    name = lead_list("x" * 500, part=1_234).name
    assert len(name) == MAX_NAME_CHARS
    assert name.endswith("x part 1234 [K7Q2M5XA4T3B]")
    assert lead_list("x" * 97 + " y").name.endswith("xx part 1 [K7Q2M5XA4T3B]")


@pytest.mark.step("D1")
@given(st.text(st.characters(exclude_categories=[]), max_size=200), st.integers(1, 10**9))
@example("\u202eabc\u2066", 1)
@example("👩‍👩‍👧‍👦" * 40, 10)
@example("ﷺ" * 300, 2)
@example("{}[]{stream}", 3)
@example("\ud800", 4)
@example("%s" * 200 + "\x7f\x80", 5)
@UNHURRIED
def test_any_base_name_gives_a_short_name_of_printable_ascii_that_ends_in_part_and_marker(
    base_name: str, part: int
) -> None:
    name = lead_list(base_name, part).name
    assert len(name) <= MAX_NAME_CHARS
    assert re.fullmatch(r"[ -~]+", name)
    ending = ENDING.search(name)
    assert ending is not None
    assert ending.groups() == (str(part), MARKER)
    assert name == name.strip()
    assert "  " not in name


@given(st.text(st.characters(exclude_categories=[])))
@UNHURRIED
def test_plain_text_is_printable_ascii_and_stays_as_it_is(text: str) -> None:
    made = plain(text)
    assert re.fullmatch(r"[ -~]*", made)
    assert plain(made) == made


@pytest.mark.step("D1")
def test_markers_are_12_base32_characters_and_never_the_same() -> None:
    markers = [make_marker() for _ in range(2_000)]
    assert len(set(markers)) == len(markers)
    assert all(re.fullmatch(f"[A-Z2-7]{{{MARKER_CHARS}}}", marker) for marker in markers)
    assert all(len({marker[place] for marker in markers}) == 32 for place in range(MARKER_CHARS))


def test_the_first_record_number_is_the_smallest() -> None:
    assert lead_list("x", record_numbers=(7, 9, 12)).first_record_no == 7


def test_a_list_made_of_some_leads_of_another_has_a_marker_of_its_own() -> None:
    whole = lead_list("x", part=3, record_numbers=(7, 9, 12))
    some = whole.with_leads(whole.leads.slice(1), "AAAAAAAAAAAA")
    assert some.name == "x part 3 [AAAAAAAAAAAA]"
    assert (some.first_record_no, some.key, some.number) == (9, whole.key, whole.number)
    assert whole.name == "x part 3 [K7Q2M5XA4T3B]"
