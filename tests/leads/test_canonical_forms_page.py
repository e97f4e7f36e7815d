from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import pytest

from target_amplemarket.leads.email import EmailReason, canonical_email
from target_amplemarket.leads.linkedin import LinkedinReason, canonical_profile_url
from target_amplemarket.leads.profile import IdReason, company_id, person_id

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "canonical-forms.md").read_text(encoding="utf-8")
_, LINKEDIN_PART, EMAIL_PART, IDS_PART, *_ = re.split(r"^## ", PAGE, flags=re.MULTILINE)
ROW = re.compile(
    r"^\| `(?P<code>\w+)` \| [^|]+ \| (?:`(?P<example>[^`]+)`|\(5,000 letters\)) \| [^|]+ \|$", re.MULTILINE
)


def canonical_id(text: str) -> str | None:
    """As a person's, or where it is one, as a company's."""
    made = person_id(text)
    return made if isinstance(made, IdReason) else company_id(text)


PARTS = [
    (LINKEDIN_PART, LinkedinReason, canonical_profile_url),
    (EMAIL_PART, EmailReason, canonical_email),
    (IDS_PART, IdReason, canonical_id),
]


@pytest.mark.parametrize(("part", "reasons", "canonical"), PARTS, ids=["linkedin", "email", "ids"])
def test_the_page_lists_every_reason_once_with_an_example_that_has_it(
    part: str, reasons: type[StrEnum], canonical: Callable[[str], str | None]
) -> None:
    rows = list(ROW.finditer(part))
    assert [row["code"] for row in rows] == sorted(
        {row["code"] for row in rows}, key=[row["code"] for row in rows].index
    )
    assert {row["code"] for row in rows} == set(reasons)
    for row in rows:
        assert canonical(row["example"] or "x" * 5000) is reasons(row["code"]), row["code"]


def test_the_page_shows_only_accepted_spellings_as_accepted() -> None:
    table = LINKEDIN_PART.split("| written as |")[1].split("\n\n")[0]
    examples = re.findall(r"`([^`]+)`", table)
    assert len(examples) >= 9
    assert {canonical_profile_url(example) for example in examples} == {"https://www.linkedin.com/in/dana-farrow"}


def test_the_conversion_that_the_page_shows_is_the_one_made() -> None:
    old, new = re.findall(r"`(https://www\.linkedin\.com/\S+ewa-\S+)`", LINKEDIN_PART.split("### Reasons")[0])
    assert canonical_profile_url(old) == new
