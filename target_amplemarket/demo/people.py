"""The people of the made-up export, before any system wrote them down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Final

from target_amplemarket.demo import names

_SHARED_MAILBOX_COUNT: Final = 60
_SLUG_AS_WRITTEN_RATE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Person:
    """Who someone is: `slug` is the last part of their LinkedIn URL, decoded and in lower case."""

    number: int
    first_name: str
    last_name: str
    slug: str
    email: str
    title: str
    company_name: str
    company_domain: str

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}"


class Crowd:
    """Draws people; no two have the same slug or the same e-mail, except at a shared mailbox.

    Args:
        random: The one source of chance.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers = count(1)
        self._branches = count(1)
        self._emails: set[str] = set()
        self._mailboxes = tuple(self._mailbox() for _ in range(_SHARED_MAILBOX_COUNT))

    def person(self) -> Person:
        """Someone not drawn before."""
        number = next(self._numbers)
        first_name, last_name = self._random.choice(names.FIRST_NAMES), self._random.choice(names.LAST_NAMES)
        company_name = self._company_name()
        company_domain = names.company_domain(company_name)
        return Person(
            number=number,
            first_name=first_name,
            last_name=last_name,
            slug=self._slug(first_name, last_name, number),
            email=self._email(first_name, last_name, company_domain, number),
            title=self._random.choice(names.LEVELS) + self._random.choice(names.TITLES),
            company_name=company_name,
            company_domain=company_domain,
        )

    def at_own_company(self, person: Person) -> Person:
        """The person at a company where nobody else works, so that title and company are theirs alone."""
        company_name = f"{person.company_name} Branch {next(self._branches)}"
        return replace(person, company_name=company_name, company_domain=names.company_domain(company_name))

    def at_shared_mailbox(self, person: Person) -> Person:
        """The person at a company that gives several people one address."""
        company_name, email = self._random.choice(self._mailboxes)
        return replace(
            person, email=email, company_name=company_name, company_domain=names.company_domain(company_name)
        )

    def _company_name(self) -> str:
        return f"{self._random.choice(names.COMPANY_ROOTS)} {self._random.choice(names.COMPANY_TRADES)}"

    def _mailbox(self) -> tuple[str, str]:
        company_name = self._company_name()
        return company_name, f"{self._random.choice(names.SHARED_LOCAL_PARTS)}@{names.company_domain(company_name)}"

    def _slug(self, first_name: str, last_name: str, number: int) -> str:
        if self._random.random() < _SLUG_AS_WRITTEN_RATE:
            return f"{first_name}-{last_name}-example-{number:06d}".lower().replace("'", "")
        return f"{names.ascii_word(first_name)}-{names.ascii_word(last_name)}-example-{number:06d}"

    def _email(self, first_name: str, last_name: str, domain: str, number: int) -> str:
        local = f"{names.ascii_word(first_name)}.{names.ascii_word(last_name)}"
        email = f"{local}@{domain}"
        if email in self._emails:
            email = f"{local}{number}@{domain}"
        self._emails.add(email)
        return email
