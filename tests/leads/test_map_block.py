from __future__ import annotations

import json
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.config import LEAD_FIELDS, LIST_TYPES
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.map_block import Rules, map_block
from target_amplemarket.leads.mapping import StreamMapping
from target_amplemarket.leads.prints import with_fingerprints
from target_amplemarket.leads.tables import FURTHER_FIELDS, LEADS, MAPPED, REJECTIONS
from target_amplemarket.singer.json_faults import RecordFault
from target_amplemarket.singer.records import ArrowRecords, DictRecords, JsonRecords
from target_amplemarket.singer.streams import RecordBlock, Stream
from tests.leads.building import (
    ALL_FIELDS,
    BY_ID,
    FIVE,
    GOOD_URL,
    KEY,
    SCHEMAS,
    UNHURRIED,
    intake,
    leads_table,
    mapped,
    mapping_of,
)

COMPANY_PAGE = "https://www.linkedin.com/company/acme"


def leads_of(*records: dict[str, Any], **chosen: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = mapped(records, **chosen).leads.to_pylist()
    return made


def rejections_of(*records: dict[str, Any], **chosen: Any) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = mapped(records, **chosen).rejections.to_pylist()
    return made


@pytest.mark.parametrize("system", SCHEMAS)
def test_the_records_of_a_known_system_become_the_leads_that_a_person_would_make_of_them(system: str) -> None:
    known = SCHEMAS[system]
    keys = tuple(known["key_properties"])
    made = mapped(known["records"], schema={"properties": known["properties"]}, keys=keys)
    leads = {lead["record_no"]: lead for lead in made.leads.to_pylist()}
    for record_no, expected in enumerate(known["leads"], start=1):
        lead = leads.pop(record_no, None)
        assert (lead is None) == (expected is None)
        if lead and expected:
            assert {name: lead[name] for name in expected} == expected
    assert not leads


def test_the_first_acceptable_candidate_of_each_record_wins() -> None:
    records = [
        {"linkedin_url": COMPANY_PAGE, "linkedin": GOOD_URL, "email": "n/a", "work_email": "Lee@Northwind.example"},
        {
            "linkedin_url": GOOD_URL,
            "linkedin": "linkedin.com/in/lee-moss",
            "email": "a@acme.example",
            "work_email": "b@x",
        },
        {"linkedin_url": None, "linkedin": GOOD_URL, "email": " ", "work_email": "lee@northwind.example"},
    ]
    leads = leads_of(*records)
    assert [lead["linkedin_url"] for lead in leads] == [GOOD_URL] * 3
    assert [lead["email"] for lead in leads] == ["lee@northwind.example", "a@acme.example", "lee@northwind.example"]
    assert [lead["reason"] for lead in leads] == [None] * 3


def test_where_no_candidate_is_acceptable_the_first_ones_reason_is_given() -> None:
    record = {"linkedin_url": COMPANY_PAGE, "linkedin": "https://lnkd.in/x", "email": "lee@northwind.example"}
    (lead,) = leads_of(record)
    assert (lead["list_type"], lead["email"], lead["linkedin_url"]) == ("email", "lee@northwind.example", None)
    assert (lead["reason"], lead["field"]) == ("linkedin_url_invalid", "linkedin_url")
    assert lead["detail"] == "company_page; the e-mail is used"


def test_titles_and_companies_are_taken_from_the_first_candidate_that_is_not_blank() -> None:
    record = {
        "job_title": "N/A",
        "title": "  Head  of Robotics ",
        "company_name": "",
        "company": "Acme",
        "company_domain": COMPANY_PAGE,
        "website": "https://www.acme.example/x",
    }
    (lead,) = leads_of(record)
    assert (lead["title"], lead["company_name"], lead["company_domain"]) == ("Head of Robotics", "Acme", "acme.example")


def test_the_domain_of_the_email_is_taken_where_no_website_gives_one() -> None:
    leads = leads_of(
        {"email": "a@mail.acme.example"},
        {"email": "a@gmail.com"},
        {"email": "a@acme.example", "website": "northwind.example"},
    )
    assert [lead["company_domain"] for lead in leads] == ["acme.example", None, "northwind.example"]


def test_a_number_is_never_a_title_or_a_company() -> None:
    assert leads_of({"title": "Buyer", "company": 42}, {"title": 7, "company": "Acme"}) == []


def test_the_tables_have_their_schemas_whatever_comes() -> None:
    for records in ([], [{"email": "a@acme.example"}], [{"email": None}], [{}]):
        made = mapped(records, mapping=mapping_of([{"email": "", "id": ""}], keys=("id",), extra_fields=("*",)))
        assert made.leads.schema == MAPPED
        assert made.rejections.schema == REJECTIONS
        assert made.leads.num_rows + made.rejections.num_rows == len(records)


def test_a_stream_of_which_nothing_is_mapped_is_rejected_record_by_record() -> None:
    rows = rejections_of({"amount": 1}, {"amount": 2}, first_record_no=7)
    assert [(row["record_no"], row["status"], row["reason"]) for row in rows] == [
        (7, "rejected", "no_identity"),
        (8, "rejected", "no_identity"),
    ]


@pytest.mark.parametrize("fault", RecordFault)
def test_a_bad_record_is_a_rejection_with_the_faults_code_even_where_it_could_be_a_lead(fault: RecordFault) -> None:
    good = {"id": 1, "email": "a@acme.example"}
    made = mapped([good, good | {"id": 2}, {"id": 3, "email": "x"}], keys=("id",), faults={1: fault, 2: fault})
    assert [lead["record_no"] for lead in made.leads.to_pylist()] == [1]
    for row, record_no in zip(made.rejections.to_pylist(), (2, 3), strict=True):
        assert (row["record_no"], row["record_key"]) == (record_no, f'{{"id":{record_no}}}')
        assert (row["reason"], row["detail"], row["field"]) == (fault.value, fault.detail, None)
        assert row["status"] == ("excluded" if fault is RecordFault.FILTERED else "rejected")


def test_a_record_that_cannot_be_decoded_is_rejected_without_a_key() -> None:
    raws = [b'{"id":1,"email":"a@acme.example"}', b'{"id":2,"email":"\\ud800"}', b'{"id":3,"email":"b@acme.example"}']
    records = JsonRecords([msgspec.Raw(raw) for raw in raws])
    mapping = mapping_of([{"id": 1, "email": ""}], keys=("id",))
    made = map_block(RecordBlock(Stream("s", {}, ("id",)), 1, records), mapping, Rules(intake(), True, KEY))
    assert made.leads.column("record_no").to_pylist() == [1, 3]
    (row,) = made.rejections.to_pylist()
    assert (row["record_no"], row["record_key"], row["reason"]) == (2, None, "invalid_json_text")
    assert row["record"] == raws[1].decode()


def test_the_key_is_a_json_object_of_the_key_properties_in_their_order() -> None:
    record = {"email": "a@acme.example", "b": "x\u2028", "a": None}
    assert leads_of(record, keys=("b", "a"))[0]["record_key"] == '{"b":"x\u2028","a":null}'
    assert leads_of(record)[0]["record_key"] is None
    (row,) = rejections_of({"a": 1}, keys=("a",))
    assert row["record_key"] == '{"a":1}'


def test_records_are_kept_as_they_came_where_the_settings_keep_them() -> None:
    raws = [b'{"email": "a@acme.example","x":1.0}', b'{"email":  null}', b'{"email":"b@acme.example","n":"\xc3\xa9"}']
    records = JsonRecords([msgspec.Raw(raw) for raw in raws])
    block = RecordBlock(Stream("s", {}, ()), 1, records)
    mapping = StreamMapping({"email": (("email",),)}, {}, None, (), intake())
    made = map_block(block, mapping, Rules(intake(), True, KEY))
    assert made.rejections.column("record").to_pylist() == [raws[1].decode()]
    assert made.leads.column("record").to_pylist() == [raws[0].decode(), raws[2].decode()]
    made = map_block(block, mapping, Rules(intake(), False, KEY))
    assert made.leads.column("record").to_pylist() == [None, None]
    assert made.rejections.column("record").to_pylist() == [None]


def test_the_owner_is_the_records_own_in_lower_case_and_null_where_it_names_none() -> None:
    owners = [" Dana@Northwind.example ", "", "  ", None, 5, {"value": "lee@northwind.example"}]
    leads = leads_of(*({"email": "a@acme.example", "o": owner} for owner in owners), owner_field="o")
    assert [lead["owner"] for lead in leads] == [
        "dana@northwind.example",
        None,
        None,
        None,
        None,
        "lee@northwind.example",
    ]


def test_further_fields_travel_as_flat_strings_and_never_as_a_lead_field_or_of_the_sdk() -> None:
    record = {"email": "a@acme.example", "title": "x", "n": 1, "o": {"p": True}, "_sdc_x": "s", "q": None}
    (lead,) = leads_of(record, extra_fields=("*", "_sdc_x", "email"))
    assert json.loads(lead["extra"]) == {"n": "1", "o.p": "true"}
    assert leads_of(record)[0]["extra"] is None


def prints(lead: dict[str, Any]) -> dict[str, bytes | None]:
    return {name.removesuffix("_fingerprint"): lead[name] for name in LEADS.names if name.endswith("_fingerprint")}


def keyed(text: str, identity: Identity) -> bytes:
    made: bytes = fingerprint_column(pa.array([text]), KEY, identity)[0].as_py()
    return made


def test_identities_are_fingerprinted_in_their_canonical_forms() -> None:
    record = {"linkedin_url": GOOD_URL.upper(), "email": "A@Acme.example", "title": "Buyer", "company": "Acme"}
    (lead,) = leads_of(record)
    assert prints(lead)["linkedin"] == keyed(GOOD_URL, Identity.LINKEDIN)
    assert prints(lead)["email"] == keyed("a@acme.example", Identity.EMAIL)
    assert prints(lead)["title_company"] is None


def same(field: str, first: dict[str, Any], second: dict[str, Any], **chosen: Any) -> bool:
    one, other = leads_of(first, second, mapping=None, **chosen)
    assert one[f"{field}_fingerprint"] is not None
    return bool(one[f"{field}_fingerprint"] == other[f"{field}_fingerprint"])


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ({"title": "Buyer", "company": "Acme"}, {"title": "BUYER ", "company": "acme"}, True),
        ({"title": "Ingenieur é", "company": "Acme"}, {"title": "Ingenieur e\u0301", "company": "Acme"}, True),
        ({"title": "Buyer", "company": "Acme"}, {"title": "Seller", "company": "Acme"}, False),
        ({"title": "Buyer", "company": "Acme"}, {"title": "Buyer", "company": "Acme Ltd"}, False),
        (
            {"title": "Buyer", "domain": "acme.example"},
            {"title": "Buyer", "domain": "www.acme.example", "company": "A"},
            True,
        ),
        ({"title": "Buyer x", "company": "y"}, {"title": "Buyer", "company": "x y"}, False),
        ({"title": "Buyers", "company": "Acme"}, {"title": "Buyer", "company": "sAcme"}, False),
    ],
)
def test_title_and_company_are_compared_whatever_their_case_and_spacing(
    first: dict[str, Any], second: dict[str, Any], is_same: bool
) -> None:
    assert same("title_company", first, second) == is_same


BASE = {"id": 1, "linkedin_url": GOOD_URL, "email": "a@acme.example", "title": "Buyer", "company": "Acme", "x": "1"}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({}, True),
        ({"email": "A@acme.example"}, True),
        ({"not_mapped": 5}, True),
        ({"id": 2}, False),
        ({"id": None}, False),
        ({"linkedin_url": "linkedin.com/in/lee-moss"}, False),
        ({"email": None}, False),
        ({"title": None}, False),
        ({"title": ""}, False),
        ({"company": "Acme Ltd"}, False),
        ({"x": "2"}, False),
        ({"x": None}, False),
    ],
)
def test_a_version_is_the_mapped_lead_with_its_key_and_its_further_fields(
    change: dict[str, Any], is_same: bool
) -> None:
    assert same("version", BASE, BASE | change, keys=("id",), extra_fields=("x",)) == is_same


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "title": st.sampled_from(["a", "b", "a b", "\x1f", "\x1e", "a\x1fb"]),
                "company": st.sampled_from(["a", "b", "\x1e", "b\x1fa"]),
                "email": st.sampled_from(["a@acme.example"]),
                "id": st.sampled_from(["\x1f", "\x1e", "a", None]),
                "x": st.sampled_from(["\x1f", "a", "\x1e"]),
            },
        ),
        max_size=12,
    )
)
@UNHURRIED
def test_two_leads_have_one_version_only_if_nothing_of_them_differs(records: list[dict[str, Any]]) -> None:
    mapping = mapping_of(
        [{"title": "", "company": "", "email": "", "id": "", "x": ""}], keys=("id",), extra_fields=("x",)
    )
    parts = ("record_key", *FIVE, "extra")
    leads = leads_of(*records, mapping=mapping)
    assert len({lead["version_fingerprint"] for lead in leads}) == len(
        {tuple(lead[p] for p in parts) for lead in leads}
    )


@pytest.mark.parametrize("name", ["record_key", *FIVE, "extra"])
def test_a_version_tells_null_from_empty_in_every_part(name: str) -> None:
    leads = pa.concat_tables([LEADS.empty_table(), *(leads_table([{name: value}]) for value in (None, "", None))])
    parts = leads.select(["record_key", *FIVE, "extra"])
    null, empty, again = with_fingerprints(parts, intake(), KEY).column("version_fingerprint").to_pylist()
    assert null == again != empty


CANARY = "zqcanary"
LINKEDIN = st.sampled_from(
    [
        None,
        "",
        f"https://www.linkedin.com/in/{CANARY}-one",
        f"{CANARY}",
        f"https://www.linkedin.com/company/{CANARY}",
        f"https://{CANARY}.example/in/x",
        f"https://www.linkedin.com/in/{CANARY} {CANARY}",
        {"a": CANARY},
        [CANARY],
        17,
    ]
)
EMAIL = st.sampled_from(
    [None, "", f"{CANARY}@acme.example", CANARY, f"{CANARY}@", f"a b@{CANARY}", [{"value": f"{CANARY}@acme.example"}]]
)
TEXT = st.sampled_from([None, "", "n/a", CANARY, [CANARY], 17, True])
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from([1, CANARY])},
        optional={
            "linkedin_url": LINKEDIN,
            "email": EMAIL,
            "title": TEXT,
            "company_name": TEXT,
            "company_domain": st.sampled_from(
                [None, f"{CANARY}.example", f"www.{CANARY}.example", "localhost", CANARY]
            ),
        },
    ),
    max_size=8,
)


@given(
    RECORDS,
    st.sampled_from(["auto", *LIST_TYPES]),
    st.sampled_from(["name", "domain", "either"]),
    st.dictionaries(st.integers(0, 7), st.sampled_from(RecordFault), max_size=2),
    st.integers(1, 10**9),
)
@UNHURRIED
def test_every_record_is_in_exactly_one_table_and_no_list_carries_a_lead_without_its_identity(
    records: list[dict[str, Any]], list_type: str, company_needs: str, faults: dict[int, RecordFault], first: int
) -> None:
    mapping = StreamMapping(ALL_FIELDS_AS_PATHS, {}, None, ("id",), intake())
    made = mapped(
        records,
        mapping=mapping,
        first_record_no=first,
        faults={index: fault for index, fault in faults.items() if index < len(records)},
        taken=intake(list_type, company_needs),
    )
    leads, rejections = made.leads.to_pylist(), made.rejections.to_pylist()
    lead_numbers, rejected_numbers = ([row["record_no"] for row in rows] for rows in (leads, rejections))
    assert lead_numbers == sorted(lead_numbers)
    assert rejected_numbers == sorted(rejected_numbers)
    assert sorted(lead_numbers + rejected_numbers) == list(range(first, first + len(records)))
    for lead in leads:
        company = {"name": ["company_name"], "domain": ["company_domain"]}.get(
            company_needs, ["company_name", "company_domain"]
        )
        carried = {
            "linkedin": lead["linkedin_url"],
            "email": lead["email"],
            "titles_and_company": lead["title"] and any(lead[name] for name in company),
        }
        assert carried[lead["list_type"]]
        assert list_type in ("auto", lead["list_type"])
    for row in rejections:
        assert row["reason"] is not None
        assert row["detail"] is not None
        assert row["status"] == ("excluded" if row["reason"] == RecordFault.FILTERED else "rejected")
    for row in (*leads, *rejections):
        assert CANARY not in f"{row['reason']} {row['field']} {row['detail']}".lower()


ALL_FIELDS_AS_PATHS = {field: (names,) for field, names in ALL_FIELDS.items()}


def test_json_dict_and_arrow_records_give_the_same_tables() -> None:
    rows = [
        {"id": 1, "linkedin_url": GOOD_URL, "email": None, "title": "Buyer", "company": {"name": "Acme"}},
        {"id": 2, "linkedin_url": COMPANY_PAGE, "email": "a@acme.example", "title": None, "company": None},
        {"id": 3, "linkedin_url": None, "email": None, "title": None, "company": None},
    ]
    mapping = mapping_of(rows, keys=("id",), extra_fields=("company.name",))
    of_json = mapped(rows, mapping=mapping)
    for records in (DictRecords(rows), ArrowRecords(pa.RecordBatch.from_pylist(rows))):
        block = RecordBlock(Stream("s", {}, ("id",)), 1, records)
        made = map_block(block, mapping, Rules(intake(), False, KEY))
        assert made.leads.equals(of_json.leads)
        assert made.rejections.equals(of_json.rejections)
    assert of_json.leads.num_rows == 2


# --- A service that takes people by name, or by an id of its own ------------------------------------------------------

UUID = "2b6f0cc9-2222-4c33-8d44-9876543210ab"
NAMED = {"first_name": "Ada", "last_name": "Moss"}
OVERRIDES = {name: (name,) for name in ("person_id", "company_id")}


def people_of(*records: dict[str, Any]) -> list[dict[str, Any]]:
    mapping = mapping_of([dict.fromkeys(LEAD_FIELDS)], taken=BY_ID, overrides=OVERRIDES, keys=("id",))
    return leads_of(*records, mapping=mapping, taken=BY_ID)


def test_further_fields_are_brought_to_their_forms() -> None:
    record = NAMED | {
        "person_id": UUID.upper(), "company_id": f" {UUID}", "phones": [{"value": "+44 1"}, "+44 1"], "city": " Leeds ",
        "country": "n/a", "seniority": "Director", "departments": "Sales;IT",
    }  # fmt: skip
    (lead,) = people_of(record)
    assert {field.name: lead[field.name] for field in FURTHER_FIELDS} == NAMED | {
        "person_id": UUID, "company_id": UUID, "phones": ["+44 1"], "city": "Leeds", "country": None,
        "seniority": "Director", "departments": ["Sales", "IT"],
    }  # fmt: skip


def test_further_fields_are_null_where_the_service_takes_none() -> None:
    (lead,) = leads_of(NAMED | {"email": "a@acme.example", "phones": "+44 1"})
    assert {lead[field.name] for field in FURTHER_FIELDS} == {None}


def test_a_bad_id_is_named_and_a_name_is_used_instead() -> None:
    lead, other = people_of(NAMED | {"person_id": "17"}, NAMED | {"person_id": UUID, "company_id": "acme"})
    assert (lead["list_type"], lead["reason"], lead["field"]) == ("people", "person_id_invalid", "person_id")
    assert lead["detail"] == "number; first name and last name are used"
    assert (other["reason"], other["detail"]) == ("company_id_invalid", "not_a_uuid; first name and last name are used")


def third(**given: Any) -> bytes | None:
    (lead,) = people_of(given)
    made: bytes | None = lead["title_company_fingerprint"]
    return made


def test_an_id_stands_in_the_third_column_whatever_else_the_lead_carries() -> None:
    assert third(person_id=UUID) == keyed(UUID, Identity.SERVICE_ID)
    assert third(person_id=UUID.upper(), email="a@acme.example", linkedin_url=GOOD_URL, **NAMED) == third(
        person_id=UUID
    )
    assert third(email="a@acme.example", **NAMED) is None
    assert third(linkedin_url=GOOD_URL, **NAMED) is None


ADA = NAMED | {"company_name": "Acme"}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"first_name": " ADA", "company_name": "ACME "}, True),
        ({"title": "Buyer"}, True),
        ({"phones": "+44 1", "city": "Leeds"}, True),
        ({"last_name": "Moos"}, False),
        ({"company_name": "Acme Ltd"}, False),
        ({"company_name": None}, False),
    ],
)
def test_whoever_has_no_other_identity_is_known_by_name_and_company(change: dict[str, Any], is_same: bool) -> None:
    assert (third(**ADA) == third(**ADA | change)) == is_same
    assert third(**NAMED) == third(**NAMED, title="Buyer") is not None


def test_two_people_of_one_title_and_company_are_told_apart_by_their_names() -> None:
    job = {"title": "Engineer", "company_name": "Acme"}
    assert third(**ADA, title="Engineer") != third(first_name="Lee", last_name="Moss", **job)
    title_company = mapped([job], taken=intake()).leads.to_pylist()[0]["title_company_fingerprint"]
    assert title_company == keyed("engineer\x1facme", Identity.TITLE_COMPANY)


@pytest.mark.parametrize("field", [field.name for field in FURTHER_FIELDS])
def test_a_version_covers_every_further_field(field: str) -> None:
    value = {"phones": "+44 1", "company_id": UUID, "person_id": UUID}.get(field, "x")
    record = {"id": 1, "person_id": "lead_1", **NAMED, "city": "Leeds"}
    one, other, again = people_of(record, record | {field: value}, record)
    assert one["version_fingerprint"] == again["version_fingerprint"] != other["version_fingerprint"]


def test_versions_tell_in_which_field_a_value_stands_and_where_entries_of_a_list_part() -> None:
    records = [{"city": "x"}, {"country": "x"}, {"departments": "a;b"}, {"departments": "a b"}, {"seniority": "a"}]
    leads = people_of(*(NAMED | {"id": 1} | record for record in records))
    assert len({lead["version_fingerprint"] for lead in leads}) == len(records)


def test_a_version_without_further_fields_is_what_it_was_before_there_were_any() -> None:
    (lead,) = leads_of({"id": 1, "email": "a@acme.example", "title": "Buyer"}, keys=("id",))
    parts = ['{"id":1}', "\x1e", "a@acme.example", "Buyer", "\x1e", "acme.example", "\x1e"]
    assert lead["version_fingerprint"] == keyed("\x1f".join(parts), Identity.VERSION)
    (named,) = people_of({"id": 1, **NAMED})
    more = [*['{"id":1}', *["\x1e"] * 6], "first_name\x1eAda", "last_name\x1eMoss"]
    assert named["version_fingerprint"] == keyed("\x1f".join(more), Identity.VERSION)
