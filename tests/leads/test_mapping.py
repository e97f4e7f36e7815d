from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.config import read_settings
from target_amplemarket.leads.mapping import StreamMapping
from tests.leads.building import BY_ID, FIVE, SCHEMAS, UNHURRIED, intake, mapping_of

CONTACT = {"Id": "1", "Email": "e", "Title": "t", "Account": {"Name": "n"}, "LinkedIn__c": "l"}


def dotted(mapping: StreamMapping) -> dict[str, list[str]]:
    return {field: [".".join(path) for path in paths] for field, paths in mapping.sources.items() if paths}


@pytest.mark.parametrize("system", SCHEMAS)
def test_a_known_system_is_mapped_as_a_person_would_map_it(system: str) -> None:
    known = SCHEMAS[system]
    mapping = mapping_of(
        known["records"], schema={"properties": known["properties"]}, keys=tuple(known["key_properties"])
    )
    assert dotted(mapping) == known["expected"]
    assert mapping.is_empty == (
        known["leads"] == [None] and not {"email", "linkedin_url", "title"} & {*dotted(mapping)}
    )


@pytest.mark.parametrize("system", [system for system in SCHEMAS if not system.endswith("undeclared")])
def test_the_schema_alone_is_enough(system: str) -> None:
    known = SCHEMAS[system]
    assert dotted(mapping_of([], schema={"properties": known["properties"]})) == known["expected"]


def test_records_are_enough_where_the_schema_declares_nothing() -> None:
    assert dotted(mapping_of([{"Account": None}, CONTACT], schema={"type": "object"})) == {
        "linkedin_url": ["LinkedIn__c"],
        "email": ["Email"],
        "title": ["Title"],
        "company_name": ["Account.Name"],
    }


def test_an_override_replaces_one_lead_field_and_leaves_the_others() -> None:
    mapping = mapping_of(
        [CONTACT | {"Mail2": "e"}], overrides={"email": ("Mail2", "Email"), "title": ("Account.Name",)}
    )
    assert dotted(mapping) == {
        "linkedin_url": ["LinkedIn__c"],
        "email": ["Mail2", "Email"],
        "title": ["Account.Name"],
        "company_name": ["Account.Name"],
    }
    assert mapping.sources["title"] == (("Account", "Name"),)


def test_null_maps_nothing() -> None:
    mapping = mapping_of([CONTACT], overrides={"linkedin_url": (), "email": ()})
    assert dotted(mapping) == {"title": ["Title"], "company_name": ["Account.Name"]}
    assert not mapping.is_empty
    assert ("Email",) not in mapping.paths


def test_a_name_with_a_dot_is_one_member_where_there_is_such_a_member_and_a_path_elsewhere() -> None:
    both = {"work.email": "a", "work": {"email": "b"}}
    assert mapping_of([both], overrides={"email": ("work.email",)}).sources["email"] == (("work.email",),)
    assert mapping_of([{"work": {"email": "b"}}], overrides={"email": ("work.email",)}).sources["email"] == (
        ("work", "email"),
    )


def test_sources_that_the_stream_does_not_have_are_named() -> None:
    mapping = mapping_of([CONTACT], overrides={"email": ("email", "Email"), "title": ("Account.Title", "Account")})
    assert mapping.unknown == ("email", "Account.Title")


def test_a_source_below_what_the_first_records_hold_may_exist() -> None:
    deep = {"a": {"b": {"c": {"d": {"e": "x"}}}}, "later": None}
    assert mapping_of([deep], overrides={"email": ("a.b.c.d.e", "later.email")}).unknown == ()


def overrides_for(stream: str, field_mapping: dict[str, Any]) -> Any:
    settings = read_settings({"api_key": "k", "owner": "dana@northwind.example", "field_mapping": field_mapping})
    return settings.mapping_of(stream)


def test_a_streams_own_override_goes_before_the_one_for_all_streams_field_by_field() -> None:
    field_mapping = {
        "*": {"email": "mail_a", "title": ["t1", "t2"]},
        "people": {"email": "mail_b", "company_name": None},
    }
    assert overrides_for("people", field_mapping) == {"email": ("mail_b",), "title": ("t1", "t2"), "company_name": ()}
    assert overrides_for("others", field_mapping) == {"email": ("mail_a",), "title": ("t1", "t2")}


@pytest.mark.parametrize(
    ("record", "is_empty"),
    [
        ({"linkedin": 1}, False),
        ({"email": 1}, False),
        ({"title": 1, "company": 1}, False),
        ({"title": 1, "domain": 1}, False),
        ({"title": 1}, True),
        ({"company": 1, "domain": 1}, True),
        ({"amount": 1}, True),
        ({}, True),
    ],
)
def test_a_stream_in_which_nothing_can_make_a_lead_is_empty(record: dict[str, Any], is_empty: bool) -> None:
    assert mapping_of([record]).is_empty == is_empty


@pytest.mark.parametrize(
    ("record", "is_empty"),
    [
        ({"first_name": 1, "last_name": 1}, False),
        ({"lance_id": 1}, False),
        ({"linkedin": 1, "email": 1, "first_name": 1}, True),
    ],
)
def test_whether_a_stream_can_make_leads_goes_by_what_the_service_takes(record: dict[str, Any], is_empty: bool) -> None:
    assert mapping_of([record], taken=BY_ID).is_empty == is_empty


def test_the_domain_of_an_email_may_be_a_companys() -> None:
    for record, is_empty in (({"title": 1, "email": 1}, False), ({"title": 1}, True)):
        assert mapping_of([record], taken=intake("titles_and_company", "domain")).is_empty == is_empty


def test_a_mapping_of_a_field_that_the_service_does_not_take_is_ignored_and_said() -> None:
    mapping = mapping_of([CONTACT], overrides={"first_name": ("Nowhere",), "city": (), "email": ("Email",)})
    assert (mapping.ignored, mapping.unknown) == (("first_name",), ())
    assert "first_name" not in mapping.sources
    assert mapping_of([CONTACT], taken=BY_ID, overrides={"first_name": ("Nowhere",)}).unknown == ("Nowhere",)


def test_ids_are_mapped_from_the_settings_alone_and_a_stream_of_nothing_else_makes_leads() -> None:
    record = {"personIds": "lead_1", "id": 1, "person_id": 2}
    assert mapping_of([record], taken=BY_ID).is_empty
    mapping = mapping_of([record], taken=BY_ID, overrides={"person_id": ("personIds",)})
    assert (mapping.sources, mapping.is_empty) == ({"person_id": (("personIds",),)}, False)


def test_no_further_fields_travel_to_a_service_that_takes_none() -> None:
    mapping = mapping_of([CONTACT], taken=BY_ID, extra_fields=("*", "nowhere"))
    assert (mapping.extra, mapping.unknown) == ({}, ())


def test_fields_that_no_list_needs_are_described_where_something_fills_them() -> None:
    mapping = mapping_of([CONTACT | {"Phone": "1", "MobilePhone": "2", "FirstName": "x"}], taken=BY_ID)
    assert mapping.describe() == (
        "linkedin_url ← LinkedIn__c, email ← Email, title ← Title, company_name ← Account.Name, "
        "company_domain ← (none), first_name ← FirstName, last_name ← (none), person_id ← (none), "
        "phones ← MobilePhone or Phone"
    )


def test_what_only_the_sdk_added_is_never_mapped_and_never_travels() -> None:
    record = {"_sdc_email": "e", "_sdc_batched_at": "2026-01-01", "Email": "e"}
    mapping = mapping_of([record], extra_fields=("*", "_sdc_batched_at"))
    assert dotted(mapping) == {"email": ["Email"]}
    assert mapping.extra == {"Email": ("Email",)}


def test_all_fields_travel_by_their_dotted_names_and_none_as_one_of_the_five() -> None:
    record = dict.fromkeys(FIVE, "x") | {"city": "x", "a": {"b": 1, "c": None}, "d.e": 1, "f": [1], "g": {}}
    mapping = mapping_of([{"a": None}, record], extra_fields=("*",))
    rest = {"a.b": ("a", "b"), "a.c": ("a", "c"), "d.e": ("d.e",), "f": ("f",)}
    assert mapping.extra == {"city": ("city",)} | rest, "a field that the service does not take is one of the further"


def test_further_fields_may_be_named_one_by_one() -> None:
    mapping = mapping_of([CONTACT], extra_fields=("Account.Name", "not_there", "email", "company_name"))
    assert mapping.extra == {"Account.Name": ("Account", "Name"), "not_there": ("not_there",)}


def test_every_member_that_is_needed_is_read_once() -> None:
    mapping = mapping_of([CONTACT], keys=("Id",), extra_fields=("Email", "Id"), owner_field="Account.Owner")
    assert sorted(mapping.paths) == sorted(
        [("LinkedIn__c",), ("Email",), ("Title",), ("Account", "Name"), ("Id",), ("Account", "Owner")]
    )


def test_the_mapping_is_described_in_one_line_for_people() -> None:
    mapping = mapping_of([CONTACT | {"Work\nEmail": "e"}])
    assert mapping.describe() == (
        "linkedin_url ← LinkedIn__c, email ← Email or Work\\u000aEmail, title ← Title, company_name ← Account.Name, "
        "company_domain ← (none)"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["properties", "anyOf", "oneOf", "type", "email"]) | st.text(max_size=5), JSON),
    st.lists(
        st.dictionaries(st.sampled_from(["email", "properties", "_sdc_x"]) | st.text(max_size=5), JSON), max_size=3
    ),
    st.lists(st.text(max_size=8), max_size=3),
)
@UNHURRIED
def test_any_schema_and_any_records_give_a_mapping(schema: Any, records: Any, names: list[str]) -> None:
    mapping = mapping_of(records, schema=schema, extra_fields=names, overrides={"title": tuple(names)})
    assert set(mapping.sources) <= set(FIVE)
    assert not set(mapping.extra) & set(FIVE)
    assert "\n" not in mapping.describe()
