"""Kinds of dirt that CRM exports hold, and the values that carry them."""

from __future__ import annotations

from enum import Enum, StrEnum
from random import Random
from typing import Final
from urllib.parse import quote

from target_amplemarket.demo import names


class Dirt(StrEnum):
    """What is wrong or unusual with a row; a row may carry several.

    "Missing" means null, an empty string, or no such member.
    """

    SAME_LINKEDIN_IN_STREAM = "same_linkedin_in_stream"
    """A person of this stream again, with the LinkedIn URL spelled differently."""
    SAME_EMAIL_IN_STREAM = "same_email_in_stream"
    """A person of this stream again, without LinkedIn URL and with the e-mail in upper case."""
    SAME_LINKEDIN_ACROSS_STREAMS = "same_linkedin_across_streams"
    """A person of an earlier stream again, with the LinkedIn URL spelled differently."""
    SAME_EMAIL_ACROSS_STREAMS = "same_email_across_streams"
    """A person of an earlier stream again, without LinkedIn URL and with the e-mail in upper case."""
    LINKEDIN_MISSING = "linkedin_missing"
    LINKEDIN_COMPANY_PAGE = "linkedin_company_page"
    LINKEDIN_SALES_NAVIGATOR = "linkedin_sales_navigator"
    LINKEDIN_SHORT_LINK = "linkedin_short_link"
    LINKEDIN_GARBAGE = "linkedin_garbage"
    EMAIL_MISSING = "email_missing"
    EMAIL_INVALID = "email_invalid"
    EMAIL_SHARED = "email_shared"
    """A company's mailbox such as info@, held by several people with LinkedIn profiles of their own."""
    EMAIL_FREE = "email_free"
    """An address at a free-mail provider."""
    TITLE_MISSING = "title_missing"
    TITLE_VERY_LONG = "title_very_long"
    COMPANY_MISSING = "company_missing"
    """Neither a name nor a domain."""
    OWNER_MISSING = "owner_missing"
    OWNER_UNKNOWN = "owner_unknown"
    """An owner who is no user of the account."""
    NAME_NON_ASCII = "name_non_ascii"
    WHITESPACE = "whitespace"
    """A padded LinkedIn URL, e-mail, title or company name."""
    HTML_ENTITY = "html_entity"
    """An escaped character in the title or company name."""
    PLACEHOLDER = "placeholder"
    """N/A, - and the like in place of a LinkedIn URL, e-mail, title or company name."""
    NUMBER_FOR_TEXT = "number_for_text"
    """A JSON number as title or company name."""
    MEMBER_LEFT_OUT = "member_left_out"
    """A LinkedIn URL, e-mail, title, company or owner that is absent rather than null."""
    ONLY_TITLE_AND_COMPANY = "only_title_and_company"
    """No usable LinkedIn URL or e-mail, but a title and a company that no other such row has."""
    NOTHING_USABLE = "nothing_usable"
    """No usable LinkedIn URL or e-mail, and the title or the company is missing too."""


REPEATS: Final = (
    Dirt.SAME_LINKEDIN_IN_STREAM,
    Dirt.SAME_EMAIL_IN_STREAM,
    Dirt.SAME_LINKEDIN_ACROSS_STREAMS,
    Dirt.SAME_EMAIL_ACROSS_STREAMS,
)
"""No row carries two of these, and none of them is found with `NOTHING_USABLE`."""


class Gap(Enum):
    """Stands for a member that is not written at all."""

    LEFT_OUT = "left out"


Value = str | int | Gap | None

PLACEHOLDERS: Final = ("N/A", "n/a", "-", "--", "none", "unknown", "TBD")

_GARBAGE: Final = (
    "see notes",
    "linkedin",
    "http://",
    "ask the account owner",
    "https://www.linkedin.com/in/",
    "https://www.linkedin.com/feed/",
    "https://social.example/profile/77",
)
_INVALID_EMAILS: Final = (
    "{local}@",
    "{local}.{domain}",
    "{local}@@{domain}",
    "{local} at {domain}",
    "@{domain}",
    "{local}@.{domain}",
)
_PADDINGS: Final = ((" ", ""), ("", " "), ("  ", "  "), ("\t", ""), ("", "\n"), ("", " \r\n"))
_OPAQUE: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def gap(random: Random) -> Value:
    """One of the ways in which a system says nothing."""
    return random.choices((None, Gap.LEFT_OUT, ""), weights=(5, 3, 2))[0]


def placeholder(random: Random) -> str:
    """What people type into a field that may not stay empty."""
    return random.choice(PLACEHOLDERS)


def padded(random: Random, text: str) -> str:
    """The text with white space before or after it."""
    before, after = random.choice(_PADDINGS)
    return f"{before}{text}{after}"


def plain_profile(slug: str) -> str:
    """The LinkedIn URL of a person as LinkedIn itself writes it."""
    return f"https://www.linkedin.com/in/{quote(slug)}"


def respelled_profile(random: Random, slug: str) -> str:
    """Another URL of the same person: never equal to `plain_profile`."""
    path = f"/in/{quote(slug)}"
    locale = random.choice(("de", "fr", "uk", "br", "es", "pl"))
    spellings = [
        f"https://www.linkedin.com{path}/",
        f"http://www.linkedin.com{path}",
        f"https://linkedin.com{path}",
        f"linkedin.com{path}",
        f"www.linkedin.com{path}/",
        f"https://{locale}.linkedin.com{path}",
        f"https://m.linkedin.com{path}/",
        f"https://www.linkedin.com{path}?utm_source=crm&utm_medium=email",
        f"https://www.linkedin.com{path}/?originalSubdomain={locale}",
        f"HTTPS://WWW.LinkedIn.com{path}",
        f"https://www.linkedin.com/in/{slug.title()}" if slug.isascii() else f"https://www.linkedin.com/in/{slug}",
    ]
    return random.choice(spellings)


def company_page(random: Random, company_domain: str) -> str:
    """A page of the company in place of the person's."""
    return f"https://www.linkedin.com/{random.choice(('company', 'school'))}/{company_domain.removesuffix('.example')}"


def sales_navigator(random: Random) -> str:
    """A Sales Navigator link, which holds an opaque number in place of the slug."""
    return f"https://www.linkedin.com/sales/{random.choice(('lead', 'people'))}/ACwAA{_opaque(random, 34)},NAME_SEARCH"


def short_link(random: Random) -> str:
    """A short link, which only LinkedIn can resolve."""
    return f"https://lnkd.in/e{_opaque(random, 7)}"


def garbage_link(random: Random) -> str:
    """What else is found in a LinkedIn field."""
    return random.choice(_GARBAGE)


def invalid_email(random: Random, email: str) -> str:
    """An address that is none, made from one that is."""
    local, domain = email.split("@")
    return random.choice(_INVALID_EMAILS).format(local=local, domain=domain)


def free_mail_address(random: Random, name: str, number: int) -> str:
    """An address at a real provider whose local part says that it is none."""
    local = f"this-is-not-a-real-mailbox-{names.ascii_word(name)}-{number:06d}"
    return f"{local}@{random.choice(names.FREE_MAIL_DOMAINS)}"


def long_title(random: Random) -> str:
    """A title of more than 300 characters, as found on profiles that list everything."""
    return " | ".join(random.sample(names.TITLES, k=24))


def escaped(text: str, word: str) -> str:
    """The text with a second part and an HTML entity between the two."""
    return f"{text} &amp; {word}"


def _opaque(random: Random, length: int) -> str:
    return "".join(random.choices(_OPAQUE, k=length))
