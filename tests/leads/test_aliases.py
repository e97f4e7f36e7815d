from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.config import LEAD_FIELDS
from target_amplemarket.leads.aliases import ALIASES, candidates, normalised
from tests.leads.building import UNHURRIED

Members = dict[str, tuple[tuple[str, ...], ...]]


def found(paths: list[tuple[str, ...]], fields: Sequence[str] = LEAD_FIELDS) -> Members:
    return candidates(paths, fields)


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "field-mapping.md"

STYLES = [
    lambda words: "_".join(words),
    lambda words: "-".join(words),
    lambda words: " ".join(words),
    lambda words: " ".join(word.title() for word in words),
    lambda words: "".join(word.title() for word in words),
    lambda words: words[0] + "".join(word.title() for word in words[1:]),
    lambda words: "_".join(words).upper(),
    lambda words: f"  {' '.join(words)} * ",
]
WRAPPED = [
    lambda path: path,
    lambda path: ("properties", *path),
    lambda path: ("Properties", *path, "value"),
    lambda path: ("fields", *path),
    lambda path: ("attributes", *path),
    lambda path: (f"properties__{path[0]}", *path[1:]),
    lambda path: (f"attributes__{path[0]}", *path[1:]),
    lambda path: (f"property_{path[0]}", *path[1:], "value"),
    lambda path: ("properties." + ".".join(path),),
    lambda path: ("__".join(path),),
    lambda path: (".".join(path),),
]


@given(
    st.sampled_from([(field, name) for field, names in ALIASES.items() for name in names]),
    st.sampled_from(STYLES),
    st.sampled_from(WRAPPED),
)
@UNHURRIED
def test_an_alias_is_found_in_any_case_with_any_separators_and_in_any_wrapper(alias, style, wrapped) -> None:
    field, name = alias
    path = wrapped(tuple(style(segment.split("_")) for segment in name.split(".")))
    assert path in found([path]).get(field, ())


@pytest.mark.parametrize("suffix", ["__c", "__C", "__pc"])
def test_the_suffix_of_a_salesforce_custom_field_does_not_count(suffix: str) -> None:
    assert found([(f"LinkedIn{suffix}",), (f"Work_Email{suffix}",)]) == {
        "linkedin_url": ((f"LinkedIn{suffix}",),),
        "email": ((f"Work_Email{suffix}",),),
    }


def test_a_lookup_of_salesforce_is_taken_by_the_name_that_it_leads_to_and_not_by_its_id() -> None:
    assert found([("Company__c",), ("Account__c",), ("Company__r", "Name")]) == {
        "company_name": (("Company__r", "Name"),)
    }


@pytest.mark.parametrize(
    "name",
    [
        "LinkedIn_URL__c",
        "LinkedIn_Profile_Link__c",
        "LinkedInPublicProfile__c",
        "LinkedIn URL (Person)",
        "prospect_linkedin",
        "LinkedIn_URL_2__c",
    ],
)
def test_a_field_made_of_the_words_of_a_personal_linkedin_url_is_taken(name: str) -> None:
    assert found([(name,)]) == {"linkedin_url": ((name,),)}


def test_aliases_go_before_other_personal_linkedin_fields() -> None:
    paths = [("LinkedIn_Profile_Link_2__c",), ("linkedin",), ("Linkedin_Url",)]
    assert found(paths)["linkedin_url"] == (("Linkedin_Url",), ("linkedin",), ("LinkedIn_Profile_Link_2__c",))


NEVER = """
Company Linkedin Url|company_linkedin_url|companyLinkedinUrl|account_linkedin__c|Account_LinkedIn_URL__c
LinkedIn_Company_URL__c|LinkedIn_Company_Page__c|linkedin_company_page|LinkedIn URL (Company)|Organization LinkedIn
organization.linkedin_url|account.linkedin_url|Account.LinkedIn__c|company.linkedin|school_linkedin_url
LinkedIn_Followers__c|linkedin_follower_count|LinkedIn_Connections__c|linkedinconnections|linkedInConnections
LinkedIn_Id__c|linkedin_id|linkedInId|hs_linkedinid|hs_linkedin_handle|linkedin_uid|LinkedIn_Member_Token__c
LID__LinkedIn_Member_Token__c|LID__LinkedIn_Company_Id__c|linkedin_messages__c|linkedinbio|LinkedIn_Headline__c
LinkedIn_Status__c|LinkedIn_Last_Checked__c|LinkedIn_Manager_URL__c|manager.linkedin_url|owner_linkedin
LinkedIn Photo URL|Email Preferences
Email Status|Email Source|Primary Email Source|Email Confidence|Email Sent|email_opt_out|emailOptedOut|emailVerified
HasOptedOutOfEmail|IsEmailBounced|EmailBouncedReason|EmailBouncedDate|Secondary Email|Tertiary Email|Validate Email
hs_email_domain|hs_email_optout|email_domain|owner_email|Owner.Email|account_owner_email|cc_email|manager.email
Salutation|Title_Slug|Title_Slug__c|title_slug|Owner.Title|job_function|role|headline|hs_job_function
Name|Full Name|AccountId|Account Id|company_id|organization_id|org_id|org_id.value|Account Owner|Company Phone
company_email|Company Address|Company Table Data|Company__c|Account__c|Website Visits|url|photo_url|attributes.url
id|Id|vid|personId|person_id|personIds|lead_id|contact_id|Apollo Contact Id|companyId|companyIds
Corporate Phone|company_phone|account.phone|Fax|HomePhone|AssistantPhone|Phone Extension|Phone Status|Do Not Call
Company City|company_city|billing_city|account.billing_city|Other City|Company Country|BillingCountry|MailingCountryCode
AssistantName|full_name|Middle Name|first_name_pronunciation|Owner First Name|manager.first_name|First Seen
Company Id|Apollo Account Id|phone_type|Last Contacted|Department Id|department.id|departmentCount|Seniority Score
"""


@pytest.mark.parametrize("name", NEVER.strip().replace("\n", "|").split("|"))
def test_a_field_that_only_looks_alike_is_never_taken(name: str) -> None:
    assert found([tuple(name.split("."))]) == {}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            "FirstName LastName Phone MobilePhone MailingCity MailingCountry Department",  # Salesforce Contact
            "first_name=FirstName last_name=LastName phones=MobilePhone,Phone city=MailingCity country=MailingCountry "
            "departments=Department",
        ),
        (
            "firstname lastname phone mobilephone city country hs_seniority",  # HubSpot
            "first_name=firstname last_name=lastname phones=mobilephone,phone city=city country=country "
            "seniority=hs_seniority",
        ),
        ("id name first_name last_name phones org_id", "first_name=first_name last_name=last_name phones=phones"),
        (
            "id firstName lastName jobTitle linkedinUrl emails phones city country seniority departments functions "
            "companyId personId lance_id lance_company_id",
            "linkedin_url=linkedinUrl email=emails title=jobTitle first_name=firstName last_name=lastName "
            "person_id=lance_id company_id=lance_company_id phones=phones city=city country=country "
            "seniority=seniority departments=departments",
        ),
    ],
    ids=["Salesforce", "HubSpot", "Pipedrive", "a prospect of Lance"],
)
def test_names_places_and_phones_of_known_systems_are_found(names: str, expected: str) -> None:
    wanted = {field: tuple((name,) for name in listed.split(",")) for field, listed in map(_pair, expected.split())}
    assert found([(name,) for name in names.split()]) == wanted


def _pair(text: str) -> tuple[str, str]:
    field, _, listed = text.partition("=")
    return field, listed


def test_only_the_fields_that_are_asked_for_are_looked_for() -> None:
    assert found([("Email",), ("FirstName",)], ("email", "title")) == {"email": (("Email",),)}


def test_no_name_stands_for_two_lead_fields() -> None:
    pairs = {(normalised(tuple(name.split("."))), field) for field, names in ALIASES.items() for name in names}
    assert len(pairs) == len({name for name, _ in pairs})


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5).map(tuple))
@UNHURRIED
def test_any_path_of_names_has_a_normal_form_that_is_stable_under_case_and_separators(path: tuple[str, ...]) -> None:
    name = normalised(path)
    assert re.fullmatch(r"\w*", name)
    assert "_" not in name


def test_the_page_lists_every_alias_in_the_order_in_which_it_is_tried() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ((?:`[\w.]+`(?:, )?)+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [field for field, _ in rows] == list(LEAD_FIELDS) == list(ALIASES)
    assert {field: tuple(re.findall(r"`([\w.]+)`", names)) for field, names in rows} == dict(ALIASES)
