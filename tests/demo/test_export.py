"""The export is what it says: deterministic, made up, and as dirty as its counts. Nothing here asks the generator."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import unquote

import pytest

from target_amplemarket.demo.dirt import Dirt
from target_amplemarket.demo.export import Export, write_export

ABSENT = object()
OWNERS = {f"{name}@northwind.example" for name in ("dana", "lee", "priya", "tomas", "yemi")}
FREE_MAIL = {"gmail.com", "outlook.com", "yahoo.com", "gmx.de"}
FILLERS = {"n/a", "-", "--", "none", "unknown", "tbd"}
PROFILE = re.compile(r"(?:https?://)?(?:[a-z]{1,3}\.)?linkedin\.com/in/([^/?#]+)", re.IGNORECASE)
ADDRESS = re.compile(r"[^@\s]+@(?:[a-z0-9-]+\.)+[a-z]+", re.IGNORECASE)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return write_export(tmp_path_factory.mktemp("export"))


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def lead_of(stream: str, row: dict) -> dict:
    """The members that a lead is made of, under one name for all three systems; ABSENT where there is none."""
    if stream == "salesforce_contact":
        account = row.get("Account", ABSENT)
        inside = account if isinstance(account, dict) else {"Name": account, "Website": account}
        company, domain, name = inside["Name"], inside["Website"], row["Name"]
        members = [row.get(key, ABSENT) for key in ("LinkedIn_Profile_URL__c", "Email", "Title", "Owner_Email__c")]
    elif stream == "hubspot_contacts":
        inside = row["properties"]
        company, domain = inside.get("company", ABSENT), inside.get("website", ABSENT)
        name = f"{inside['firstname']} {inside['lastname']}"
        members = [inside.get(key, ABSENT) for key in ("hs_linkedin_url", "email", "jobtitle", "hubspot_owner_email")]
    else:
        company, domain, name = row.get("company_name", ABSENT), row.get("company_domain", ABSENT), row["full_name"]
        keys = ("linkedin_profile_url", "work_email", "job_title", "account_owner_email")
        members = [row.get(key, ABSENT) for key in keys]
    linkedin, email, title, owner = members
    return {
        "linkedin": linkedin,
        "email": email,
        "title": title,
        "company": company,
        "domain": domain,
        "owner": owner,
        "name": name,
    }


def is_missing(value: object) -> bool:
    return value in (ABSENT, None, "")


def slug_of(linkedin: object) -> str | None:
    found = PROFILE.match(linkedin.strip()) if isinstance(linkedin, str) else None
    return unquote(found[1]).casefold() if found else None


def address_of(email: object) -> str | None:
    text = email.strip() if isinstance(email, str) else ""
    return text.casefold() if ADDRESS.fullmatch(text) else None


def linkedin_dirt(value: object) -> set[Dirt]:
    if is_missing(value):
        return {Dirt.LINKEDIN_MISSING}
    text = str(value).strip().lower()
    if slug_of(value) or text in FILLERS:
        return set()
    if "/company/" in text or "/school/" in text:
        return {Dirt.LINKEDIN_COMPANY_PAGE}
    if "/sales/" in text:
        return {Dirt.LINKEDIN_SALES_NAVIGATOR}
    return {Dirt.LINKEDIN_SHORT_LINK} if "lnkd.in" in text else {Dirt.LINKEDIN_GARBAGE}


def email_dirt(value: object) -> set[Dirt]:
    if is_missing(value):
        return {Dirt.EMAIL_MISSING}
    address = address_of(value)
    if address is None:
        return set() if str(value).strip().lower() in FILLERS else {Dirt.EMAIL_INVALID}
    local, domain = address.split("@")
    if domain in FREE_MAIL:
        return {Dirt.EMAIL_FREE}
    return {Dirt.EMAIL_SHARED} if local in {"info", "office", "sales", "contact"} else set()


def dirt_of(lead: dict) -> set[Dirt]:
    values = [lead[name] for name in ("linkedin", "email", "title", "company")]
    texts = [value for value in values if isinstance(value, str)]
    has_identity = slug_of(lead["linkedin"]) is not None or address_of(lead["email"]) is not None
    has_title, has_company = (
        not is_missing(lead["title"]),
        not (is_missing(lead["company"]) and is_missing(lead["domain"])),
    )
    claims = {
        Dirt.TITLE_MISSING: not has_title,
        Dirt.COMPANY_MISSING: not has_company,
        Dirt.TITLE_VERY_LONG: isinstance(lead["title"], str) and len(lead["title"]) > 200,
        Dirt.NUMBER_FOR_TEXT: any(isinstance(lead[name], int) for name in ("title", "company")),
        Dirt.HTML_ENTITY: any("&amp;" in text for text in texts),
        Dirt.PLACEHOLDER: any(text.lower() in FILLERS for text in texts),
        Dirt.WHITESPACE: any(text != text.strip() for text in texts),
        Dirt.OWNER_MISSING: is_missing(lead["owner"]),
        Dirt.OWNER_UNKNOWN: not is_missing(lead["owner"]) and lead["owner"] not in OWNERS,
        Dirt.NAME_NON_ASCII: not lead["name"].isascii(),
        Dirt.MEMBER_LEFT_OUT: any(value is ABSENT for value in (*values, lead["owner"])),
        Dirt.ONLY_TITLE_AND_COMPANY: not has_identity and has_title and has_company,
        Dirt.NOTHING_USABLE: not has_identity and not (has_title and has_company),
    }
    planted = {kind for kind, holds in claims.items() if holds}
    return planted | linkedin_dirt(lead["linkedin"]) | email_dirt(lead["email"])


def repeat_of(lead: dict, here: set[str], earlier: set[str]) -> set[Dirt]:
    slug, address = slug_of(lead["linkedin"]), address_of(lead["email"])
    if slug is not None:
        if slug in here:
            return {Dirt.SAME_LINKEDIN_IN_STREAM}
        return {Dirt.SAME_LINKEDIN_ACROSS_STREAMS} if slug in earlier else set()
    if address in here:
        return {Dirt.SAME_EMAIL_IN_STREAM}
    return {Dirt.SAME_EMAIL_ACROSS_STREAMS} if address in earlier else set()


def recount(export: Export) -> dict[str, Counter[Dirt]]:
    counts: dict[str, Counter[Dirt]] = {}
    earlier: set[str] = set()
    for stream in export.streams:
        here: set[str] = set()
        counts[stream.name] = Counter()
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            counts[stream.name].update(dirt_of(lead) | repeat_of(lead, here, earlier))
            here |= {identity for identity in (slug_of(lead["linkedin"]), address_of(lead["email"])) if identity}
        earlier |= here
    return counts


def test_counts_are_what_is_in_the_files(export):
    counted = recount(export)
    for stream in export.streams:
        assert {kind: counted[stream.name][kind] for kind in Dirt} == dict(stream.dirt_counts), stream.name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counts_hold_for_other_seeds_and_sizes(tmp_path, seed):
    export = write_export(tmp_path, seed=seed, record_count=1_000 * seed)
    counted = recount(export)
    for stream in export.streams:
        assert {kind: counted[stream.name][kind] for kind in Dirt} == dict(stream.dirt_counts), stream.name


def test_every_kind_of_dirt_is_there(export):
    assert [kind for kind in Dirt if export.dirt_count(kind) < 50] == []


def test_most_rows_are_usable(export):
    assert export.dirt_count(Dirt.NOTHING_USABLE) < export.record_count * 0.02


def test_record_counts_are_those_of_the_files(export):
    lines = [len(stream.path.read_bytes().splitlines()) for stream in export.streams]
    assert lines == [stream.record_count for stream in export.streams] == [12_000, 8_000, 7_000]
    assert export.record_count == 27_000


@pytest.mark.parametrize("record_count", [0, 1, 26, 1_001])
def test_any_number_of_records_is_split_without_rest(tmp_path, record_count):
    assert write_export(tmp_path, record_count=record_count).record_count == record_count


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    written = [
        write_export(tmp_path / name, seed=seed, record_count=900) for name, seed in [("a", 7), ("b", 7), ("c", 8)]
    ]
    first, again, other = ([stream.path.read_bytes() for stream in export.streams] for export in written)
    assert first == again
    assert all(one != another for one, another in zip(first, other, strict=True))


def test_writing_again_replaces_what_was_there(tmp_path):
    write_export(tmp_path, record_count=900)
    export = write_export(tmp_path, record_count=27)
    assert sum(len(rows_of(stream.path)) for stream in export.streams) == 27


def test_keys_are_there_and_unique(export):
    for stream, key in zip(export.streams, ("Id", "id", "person_id"), strict=True):
        keys = [row[key] for row in rows_of(stream.path)]
        assert len(set(keys)) == len(keys)


def test_salesforce_ids_have_18_characters_that_stay_unique_without_case(export):
    ids = [row["Id"] for row in rows_of(export.streams[0].path)]
    assert {len(each) for each in ids} == {18}
    assert len({each.lower() for each in ids}) == len(ids)


def test_every_domain_is_made_up(export):
    for stream in export.streams:
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            for address in (address_of(lead["email"]), address_of(lead["owner"])):
                assert address is None or is_made_up(address), address
            website = "" if is_missing(lead["domain"]) else lead["domain"].strip("/")
            assert not website or website.endswith(".example"), website
            hosts = re.findall(r"https?://([^/\s]+)", str(lead["linkedin"]), re.IGNORECASE)
            assert all(re.search(r"(linkedin\.com|lnkd\.in|\.example)$", host, re.IGNORECASE) for host in hosts), hosts


def is_made_up(address: str) -> bool:
    local, domain = address.split("@")
    if domain in FREE_MAIL:
        return local.startswith("this-is-not-a-real-mailbox-")
    return domain.endswith(".example")


def test_shared_mailboxes_belong_to_several_profiles(export):
    profiles = defaultdict(set)
    for stream in export.streams:
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            if Dirt.EMAIL_SHARED in email_dirt(lead["email"]):
                profiles[address_of(lead["email"])].add(slug_of(lead["linkedin"]))
    assert len(profiles) > 20
    assert min(len(slugs) for slugs in profiles.values()) > 1
    assert all(None not in slugs for slugs in profiles.values())


def test_no_two_people_known_by_title_and_company_alone_are_one(export):
    seen = Counter()
    for stream in export.streams:
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            if Dirt.ONLY_TITLE_AND_COMPANY in dirt_of(lead):
                seen[str(lead["title"]).strip(), str(lead["company"]).strip()] += 1
    assert set(seen.values()) == {1}


def test_lead_count_is_the_number_of_different_people(export):
    people: set[str] = set()
    lead_count = 0
    for stream in export.streams:
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            address = address_of(lead["email"]) if Dirt.EMAIL_SHARED not in email_dirt(lead["email"]) else None
            known = {name for name in (slug_of(lead["linkedin"]), address) if name}
            by_title = not known and Dirt.ONLY_TITLE_AND_COMPANY in dirt_of(lead)
            lead_count += by_title or bool(known and not known & people)
            people |= known
    assert lead_count == export.lead_count


def test_a_person_known_again_by_email_has_it_in_upper_case(export):
    seen: set[str] = set()
    repeats = []
    for stream in export.streams:
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            if slug_of(lead["linkedin"]) is None and address_of(lead["email"]) in seen:
                repeats.append(lead["email"])
            seen.add(address_of(lead["email"]) or "")
    assert repeats
    assert all(email == email.upper() for email in repeats)


def test_whoever_has_only_title_and_company_has_plain_ones(export):
    for stream in export.streams:
        for row in rows_of(stream.path):
            lead = lead_of(stream.name, row)
            if Dirt.ONLY_TITLE_AND_COMPANY in dirt_of(lead):
                assert isinstance(lead["title"], str)
                assert len(lead["title"]) < 200
                assert isinstance(lead["company"], str)
                assert lead["title"].lower() not in FILLERS
                assert lead["company"].lower() not in FILLERS


def test_a_repeated_profile_is_spelled_differently_from_the_first(export):
    first: dict[str, str] = {}
    for stream in export.streams:
        for row in rows_of(stream.path):
            url = lead_of(stream.name, row)["linkedin"]
            slug = slug_of(url)
            if slug in first:
                assert url.strip() != first[slug]
            elif slug is not None:
                first[slug] = url.strip()
