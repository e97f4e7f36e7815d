import json

from benchmarks import people

CONTACTS = [json.loads(people.record(number)) for number in range(20_000)]


def test_a_contact_has_the_members_of_the_schema() -> None:
    schema = people.schema()["properties"]
    assert isinstance(schema, dict)
    assert len(schema) == people.FIELD_COUNT
    assert all(list(contact) == list(schema) for contact in CONTACTS)


def test_a_record_line_is_of_the_size_that_figures_are_stated_for() -> None:
    lines = [people.LINE % (people.STREAM, people.record(number)) for number in range(20_000)]
    assert 820 <= sum(map(len, lines)) / len(lines) <= 850


def test_no_two_contacts_are_one_person() -> None:
    identities = {
        (contact["LinkedIn_Profile_URL__c"] or contact["Email"] or (contact["Title"], contact["Account"]["Name"]))
        for contact in CONTACTS
    }
    assert len(identities) == len(CONTACTS)


def test_all_three_ways_to_name_a_person_occur() -> None:
    profiles = sum(contact["LinkedIn_Profile_URL__c"] is not None for contact in CONTACTS)
    emails = sum(contact["Email"] is not None for contact in CONTACTS)
    assert profiles / len(CONTACTS) == 0.80
    assert emails / len(CONTACTS) == 0.95
