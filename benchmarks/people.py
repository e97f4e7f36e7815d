"""Made-up contacts as a Salesforce tap emits them: 20 members, about 830 bytes a RECORD line.

Everything follows from the number of the contact, so files of any size begin alike. No two contacts are one person: the
number is in the profile and the e-mail, and in the company of those who have neither. Of a hundred, 80 have a profile
and an e-mail, 15 an e-mail only, 5 a title and a company only, so all three types of lists are made; one in fifty is
written untidily, as people do.
"""

from __future__ import annotations

from typing import Final

STREAM: Final = "contacts"
FIELD_COUNT: Final = 20

_FIRST: Final = (
    "Ada", "Bruno", "Carla", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Luca", "Mina",
    "Noel", "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara", "Uma", "Viktor", "Wanda",
)  # fmt: skip
_LAST: Final = (
    "Abel", "Brandt", "Castell", "Dorn", "Eriksen", "Fontane", "Grauer", "Holm", "Ivanov", "Jansen", "Keller",
    "Lindqvist", "Moreau", "Novak", "Ortega", "Petrov", "Quist", "Romano", "Sorensen", "Tamm", "Urban", "Vidal",
    "Weiss", "Xenos", "Young", "Zeman", "Ahlgren", "Becker", "Cordes",
)  # fmt: skip
_TITLES: Final = (
    "Head of Procurement", "VP Engineering", "Director of Sales Operations", "Chief Financial Officer",
    "Marketing Manager, EMEA", "Account Executive", "Data Platform Lead", "Regional Sales Manager", "Plant Manager",
    "Senior Product Manager", "IT Security Architect",
)  # fmt: skip
_COMPANIES: Final = ("Northwind Steel", "Velmora", "Castor Logistics", "Arbutus Health", "Quarry Lane", "Ostrava Tools",
    "Halcyon Freight")  # fmt: skip
_INDUSTRIES: Final = ("Manufacturing", "Software", "Logistics", "Healthcare", "Retail")
_CITIES: Final = (("Lisbon", "Portugal"), ("Porto", "Portugal"), ("Hamburg", "Germany"), ("Lyon", "France"),
    ("Austin", "United States"), ("Toronto", "Canada"))  # fmt: skip
_SOURCES: Final = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Trade Show")
_DEPARTMENTS: Final = ("Sales", "Finance", "Operations", "Engineering")
_PEOPLE_PER_COMPANY: Final = 8
_WITH_PROFILE: Final = 80  # of a hundred
_WITH_EMAIL: Final = 95

_RECORD: Final = (
    '{"Id":"003%015d","IsDeleted":false,"AccountId":"001%015d",'
    '"Account":{"Name":"%s","Website":"%s","Industry":"%s"},'
    '"FirstName":"%s","LastName":"%s","Name":"%s %s","Title":"%s","Department":"%s","Email":%s,'
    '"Phone":"+1 (555) 01%02d-%04d","MailingCity":"%s",'
    '"MailingCountry":"%s","LeadSource":"%s","LinkedIn_Profile_URL__c":%s,'
    '"Description":"Fair: quote on %d units, week %d.",'
    '"OwnerId":"005%015d",'
    '"CreatedDate":"2024-%02d-%02dT%02d:%02d:11.000000Z","LastModifiedDate":"2026-%02d-%02dT%02d:%02d:43.000000Z",'
    '"SystemModstamp":"2026-%02d-%02dT%02d:%02d:44.000000Z"}'
)
LINE: Final = '{"type":"RECORD","stream":"%s","record":%s,"time_extracted":"2026-11-01T08:00:00Z"}\n'


def record(number: int) -> str:
    """Contact `number` (from 0) as JSON text."""
    first, last = _FIRST[number % 23], _LAST[number // 23 % 29]
    company_number = number // _PEOPLE_PER_COMPANY
    company, word = _company(company_number)
    kind = _kind(number)
    if kind >= _WITH_EMAIL:  # title and company only: a company of their own
        company, word = f"{company} Branch {number}", f"{word}-b{number}"
    city, country = _CITIES[number % 6]
    changed = (1 + number % 10, 1 + number // 3 % 28, number // 5 % 24, number // 7 % 60)
    return _RECORD % (
        number, company_number, company, _website(word, number), _INDUSTRIES[company_number % 5],
        first, last, first, last, _TITLES[number % 11], _DEPARTMENTS[number % 4],
        _email(first, last, word, number) if kind < _WITH_EMAIL else "null",
        number % 100, number % 9973, city, country,
        _SOURCES[number % 5], _profile(first, last, number) if has_profile(number) else "null",
        10 + number % 4990, 1 + number % 52, number % 40,
        1 + number % 12, 1 + number % 28, number % 24, number % 60,
        *changed, *changed,
    )  # fmt: skip


def has_profile(number: int) -> bool:
    """Whether the contact has a LinkedIn profile."""
    return _kind(number) < _WITH_PROFILE


def schema() -> dict[str, object]:
    """The JSON Schema of the stream, as taps write it."""
    text, flag = {"type": ["null", "string"]}, {"type": ["null", "boolean"]}
    moment = {"type": ["null", "string"], "format": "date-time"}
    account = {"type": ["null", "object"], "properties": {"Name": text, "Website": text, "Industry": text}}
    return {
        "type": "object",
        "properties": {
            "Id": {"type": "string"},
            "IsDeleted": flag,
            "AccountId": text,
            "Account": account,
            **dict.fromkeys(("FirstName", "LastName", "Name", "Title", "Department", "Email", "Phone"), text),
            **dict.fromkeys(("MailingCity", "MailingCountry", "LeadSource"), text),
            **dict.fromkeys(("LinkedIn_Profile_URL__c", "Description", "OwnerId"), text),
            "CreatedDate": moment,
            "LastModifiedDate": moment,
            "SystemModstamp": moment,
        },
    }


def _kind(number: int) -> int:
    return number * 37 % 100


def _company(number: int) -> tuple[str, str]:
    name = _COMPANIES[number % 7]
    return f"{name} {number}", f"{name.lower().replace(' ', '-')}-{number}"


def _website(word: str, number: int) -> str:
    return f"www.{word}.example" if number % 50 == 7 else f"https://www.{word}.example"


def _email(first: str, last: str, word: str, number: int) -> str:
    email = f"{first}.{last}.{number}@{word}.example"
    return f'" {email}"' if number % 50 == 23 else f'"{email.lower()}"'


def _profile(first: str, last: str, number: int) -> str:
    slug = f"{first}-{last}-{number:x}x"
    match number % 200:
        case 11:
            return f'"http://linkedin.com/in/{slug}/"'
        case 61:
            return f'"https://de.linkedin.com/in/{slug.lower()}?trk=public-profile"'
        case 111:  # letters beyond ASCII, as members' names have them
            return f'"https://www.linkedin.com/in/{slug.lower()}-m%C3%BCller"'
        case 161:
            return f'"www.linkedin.com/in/{slug.lower()}"'
        case _:
            return f'"https://www.linkedin.com/in/{slug.lower()}"'
