"""What systems hold about people: mostly sound, with the usual dirt planted at fixed rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from target_amplemarket.demo import dirt, names
from target_amplemarket.demo.dirt import Dirt, Gap, Value
from target_amplemarket.demo.people import Crowd, Person

_IN_STREAM_RATE: Final = 0.03
_ACROSS_STREAMS_RATE: Final = 0.12
_BY_EMAIL_RATE: Final = 0.35
_SHARED_RATE: Final = 0.015
_RESPELLED_RATE: Final = 0.3
_WHITESPACE_RATE: Final = 0.05

_RATES: Final[Mapping[str, Mapping[str, int]]] = {
    "linkedin": {"sound": 66, "missing": 22, "company": 3, "sales": 3, "short": 2, "garbage": 2, "filler": 2},
    "email": {"sound": 74, "missing": 13, "invalid": 3, "free": 8, "filler": 2},
    "title": {"sound": 85, "missing": 8, "long": 1, "number": 1, "filler": 2, "html": 3},
    "company": {"sound": 86, "missing": 6, "number": 1, "filler": 2, "html": 5},
    "owner": {"sound": 90, "missing": 6, "unknown": 4},
}
"""Field, kind of value, percent of the rows."""

_ODD_KINDS: Final = frozenset({"long", "number", "filler"})
"""Whether such a title or company identifies anyone is open: only people with a better identity get one."""

_NOTED: Final[Mapping[tuple[str, str], Dirt]] = {
    ("linkedin", "missing"): Dirt.LINKEDIN_MISSING,
    ("linkedin", "company"): Dirt.LINKEDIN_COMPANY_PAGE,
    ("linkedin", "sales"): Dirt.LINKEDIN_SALES_NAVIGATOR,
    ("linkedin", "short"): Dirt.LINKEDIN_SHORT_LINK,
    ("linkedin", "garbage"): Dirt.LINKEDIN_GARBAGE,
    ("linkedin", "filler"): Dirt.PLACEHOLDER,
    ("email", "missing"): Dirt.EMAIL_MISSING,
    ("email", "invalid"): Dirt.EMAIL_INVALID,
    ("email", "shared"): Dirt.EMAIL_SHARED,
    ("email", "free"): Dirt.EMAIL_FREE,
    ("email", "filler"): Dirt.PLACEHOLDER,
    ("title", "missing"): Dirt.TITLE_MISSING,
    ("title", "long"): Dirt.TITLE_VERY_LONG,
    ("title", "number"): Dirt.NUMBER_FOR_TEXT,
    ("title", "filler"): Dirt.PLACEHOLDER,
    ("title", "html"): Dirt.HTML_ENTITY,
    ("company", "missing"): Dirt.COMPANY_MISSING,
    ("company", "number"): Dirt.NUMBER_FOR_TEXT,
    ("company", "filler"): Dirt.PLACEHOLDER,
    ("company", "html"): Dirt.HTML_ENTITY,
    ("owner", "missing"): Dirt.OWNER_MISSING,
    ("owner", "unknown"): Dirt.OWNER_UNKNOWN,
}

Kinds = dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A person as one system holds them, before that system's own names for the fields.

    `person` is who they are; what the system holds is in the fields after it.
    """

    person: Person
    linkedin_url: Value
    email: Value
    title: Value
    company_name: Value
    company_domain: Value
    owner: Value
    dirt: frozenset[Dirt]


class Entries:
    """Draws entries, stream after stream, and remembers whom it drew.

    Args:
        random: The one source of chance.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._crowd = Crowd(random)
        self._earlier: list[Person] = []
        self._here: list[Person] = []

    def of_stream(self, entry_count: int) -> Iterator[Entry]:
        """Yield the entries of the next stream; people of this and of earlier streams come again among them."""
        sound: list[Person] = []
        self._here = []
        for _ in range(entry_count):
            entry = self._entry()
            if _is_sound(entry):
                self._here.append(entry.person)
                sound.append(entry.person)
            yield entry
        self._earlier += sound

    def _entry(self) -> Entry:
        chance = self._random.random()
        if chance < _IN_STREAM_RATE and self._here:
            return self._again(self._here, Dirt.SAME_LINKEDIN_IN_STREAM, Dirt.SAME_EMAIL_IN_STREAM)
        if 1 - chance < _ACROSS_STREAMS_RATE and self._earlier:
            return self._again(self._earlier, Dirt.SAME_LINKEDIN_ACROSS_STREAMS, Dirt.SAME_EMAIL_ACROSS_STREAMS)
        return self._first_time(self._crowd.person())

    def _first_time(self, person: Person) -> Entry:
        kinds = _drawn_kinds(self._random)
        if self._random.random() < _SHARED_RATE:
            kinds |= {"linkedin": "sound", "email": "shared"}
            return _written(self._random, self._crowd.at_shared_mailbox(person), kinds)
        if not _has_identity(kinds):
            kinds |= {name: "sound" for name in ("title", "company") if kinds[name] in _ODD_KINDS}
            return _written(self._random, self._crowd.at_own_company(person), kinds)
        return _written(self._random, person, kinds)

    def _again(self, people: list[Person], by_linkedin: Dirt, by_email: Dirt) -> Entry:
        person = _taken(self._random, people)
        kinds = _drawn_kinds(self._random)
        if self._random.random() < _BY_EMAIL_RATE:
            return _written(self._random, person, kinds | {"linkedin": "missing", "email": "upper"}, by_email)
        email = self._random.choice(("sound", "upper", "missing"))
        return _written(self._random, person, kinds | {"linkedin": "respelled", "email": email}, by_linkedin)


def _written(random: Random, person: Person, kinds: Kinds, *noted: Dirt) -> Entry:
    company_name, company_domain = _company(random, person, kinds["company"])
    values = {
        "linkedin": _linkedin(random, person, kinds["linkedin"]),
        "email": _email(random, person, kinds["email"]),
        "title": _title(random, person, kinds["title"]),
        "company": company_name,
    }
    owner = _owner(random, kinds["owner"])
    planted = frozenset(noted) | _noted(person, kinds)
    if Gap.LEFT_OUT in (*values.values(), owner):
        planted |= {Dirt.MEMBER_LEFT_OUT}
    if random.random() < _WHITESPACE_RATE:
        planted |= _pad_one(random, values)
    return Entry(
        person=person,
        linkedin_url=values["linkedin"],
        email=values["email"],
        title=values["title"],
        company_name=values["company"],
        company_domain=company_domain,
        owner=owner,
        dirt=planted,
    )


def _linkedin(random: Random, person: Person, kind: str) -> Value:
    match kind:
        case "missing":
            return dirt.gap(random)
        case "company":
            return dirt.company_page(random, person.company_domain)
        case "sales":
            return dirt.sales_navigator(random)
        case "short":
            return dirt.short_link(random)
        case "garbage":
            return dirt.garbage_link(random)
        case "filler":
            return dirt.placeholder(random)
        case "sound" if random.random() >= _RESPELLED_RATE:
            return dirt.plain_profile(person.slug)
        case _:
            return dirt.respelled_profile(random, person.slug)


def _email(random: Random, person: Person, kind: str) -> Value:
    match kind:
        case "missing":
            return dirt.gap(random)
        case "invalid":
            return dirt.invalid_email(random, person.email)
        case "free":
            return dirt.free_mail_address(random, person.full_name, person.number)
        case "filler":
            return dirt.placeholder(random)
        case "upper":
            return person.email.upper()
        case _:
            return person.email


def _title(random: Random, person: Person, kind: str) -> Value:
    match kind:
        case "missing":
            return dirt.gap(random)
        case "long":
            return dirt.long_title(random)
        case "number":
            return random.randrange(1, 60)
        case "filler":
            return dirt.placeholder(random)
        case "html":
            return dirt.escaped(person.title, "Partnerships")
        case _:
            return person.title


def _company(random: Random, person: Person, kind: str) -> tuple[Value, Value]:
    match kind:
        case "missing":
            nothing = dirt.gap(random)
            return nothing, nothing
        case "number":
            return random.randrange(1000, 9999), person.company_domain
        case "filler":
            return dirt.placeholder(random), person.company_domain
        case "html":
            return dirt.escaped(person.company_name, "Sons"), person.company_domain
        case _:
            return person.company_name, person.company_domain


def _owner(random: Random, kind: str) -> Value:
    match kind:
        case "missing":
            return dirt.gap(random)
        case "unknown":
            return names.UNKNOWN_OWNER
        case _:
            return random.choice(names.OWNERS)


def _pad_one(random: Random, values: dict[str, Value]) -> frozenset[Dirt]:
    name = random.choice(tuple(values))
    text = values[name]
    if not isinstance(text, str) or not text or text in dirt.PLACEHOLDERS:
        return frozenset()
    values[name] = dirt.padded(random, text)
    return frozenset({Dirt.WHITESPACE})


def _noted(person: Person, kinds: Kinds) -> frozenset[Dirt]:
    noted = {_NOTED[field] for field in kinds.items() if field in _NOTED}
    if not person.full_name.isascii():
        noted.add(Dirt.NAME_NON_ASCII)
    if not _has_identity(kinds):
        is_lead = "missing" not in (kinds["title"], kinds["company"])
        noted.add(Dirt.ONLY_TITLE_AND_COMPANY if is_lead else Dirt.NOTHING_USABLE)
    return frozenset(noted)


def _has_identity(kinds: Kinds) -> bool:
    return kinds["linkedin"] in {"sound", "respelled"} or kinds["email"] in {"sound", "upper", "shared", "free"}


def _is_sound(entry: Entry) -> bool:
    """Whether the entry shows the person as they are, so that a later one can be another spelling of it."""
    person = entry.person
    return (
        entry.linkedin_url == dirt.plain_profile(person.slug)
        and entry.email == person.email
        and Dirt.EMAIL_SHARED not in entry.dirt
    )


def _drawn_kinds(random: Random) -> Kinds:
    return {name: random.choices(tuple(rates), weights=tuple(rates.values()))[0] for name, rates in _RATES.items()}


def _taken(random: Random, people: list[Person]) -> Person:
    """Take one out, so that nobody comes again twice from the same list."""
    place = random.randrange(len(people))
    people[place], people[-1] = people[-1], people[place]
    return people.pop()
