from __future__ import annotations

import email_validator
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from target_amplemarket.leads import email
from target_amplemarket.leads.email import EmailReason, canonical_email, canonical_emails

ACCEPTED = [
    ("dana.farrow@acme.example", "dana.farrow@acme.example"),
    ("  Dana.Farrow@ACME.Example\n", "dana.farrow@acme.example"),
    ("\u200bdana@acme.example\u00a0", "dana@acme.example"),
    ("dana+news@mail.acme.co.uk", "dana+news@mail.acme.co.uk"),
    ("o'darragh@acme.example", "o'darragh@acme.example"),
    ("dana_farrow-1@acme-tools.example", "dana_farrow-1@acme-tools.example"),
    ("d!#$%&*/=?^`{|}~@acme.example", "d!#$%&*/=?^`{|}~@acme.example"),
    ("mailto:dana@acme.example", "dana@acme.example"),
    ("MAILTO:Dana@acme.example?subject=Hello%20you", "dana@acme.example"),
    ("<dana@acme.example>", "dana@acme.example"),
    ("Dana Farrow <dana@acme.example>", "dana@acme.example"),
    ('"Farrow, Dana" <Dana@acme.example>;', "dana@acme.example"),
    ("Dana <mailto:dana@acme.example>", "dana@acme.example"),
    ("DANA@acme.example <dana@acme.example>", "dana@acme.example"),
    ('"dana@acme.example"', "dana@acme.example"),
    ("'dana@acme.example'", "dana@acme.example"),
    ("dana@acme.example;", "dana@acme.example"),
    ("dana@acme.example.", "dana@acme.example"),
    ("dana@acme.example, ", "dana@acme.example"),
    ("dana@Münchner-Werke.de", "dana@xn--mnchner-werke-wob.de"),
    ("dana@xn--mnchner-werke-wob.de", "dana@xn--mnchner-werke-wob.de"),
    ("dana@straße.de", "dana@xn--strae-oqa.de"),
    ("dana@例え.jp", "dana@xn--r8jz45g.jp"),
    ("info@acme.example", "info@acme.example"),
    ("d@" + "l" * 63 + ".example", "d@" + "l" * 63 + ".example"),
    ("d" * 64 + "@acme.example", "d" * 64 + "@acme.example"),
]
REFUSED = [
    ("dana.farrow", EmailReason.NO_AT_SIGN),
    ("acme.example", EmailReason.NO_AT_SIGN),
    ("<>", EmailReason.NO_AT_SIGN),
    ("mailto:", EmailReason.NO_AT_SIGN),
    ("dana@acme.example; osei@acme.example", EmailReason.SEVERAL_ADDRESSES),
    ("dana@acme.example,osei@acme.example", EmailReason.SEVERAL_ADDRESSES),
    ("dana@acme.example osei@acme.example", EmailReason.SEVERAL_ADDRESSES),
    ("dana@acme.example/osei@acme.example", EmailReason.SEVERAL_ADDRESSES),
    ("osei@acme.example <dana@acme.example>", EmailReason.SEVERAL_ADDRESSES),
    ("dana farrow@acme.example", EmailReason.INNER_SPACE),
    ("dana@acme .example", EmailReason.INNER_SPACE),
    ("dana@acme.example\nx", EmailReason.INNER_SPACE),
    ("dana..farrow@acme.example", EmailReason.BAD_LOCAL_PART),
    (".dana@acme.example", EmailReason.BAD_LOCAL_PART),
    ("dana.@acme.example", EmailReason.BAD_LOCAL_PART),
    ("@acme.example", EmailReason.BAD_LOCAL_PART),
    ("dana@@acme.example", EmailReason.BAD_LOCAL_PART),
    ("dana@farrow@acme.example", EmailReason.BAD_LOCAL_PART),
    ('"dana f"@acme.example', EmailReason.INNER_SPACE),
    ('"dana"@acme.example', EmailReason.BAD_LOCAL_PART),
    ("'dana@acme.example", EmailReason.BAD_LOCAL_PART),
    ("da(na)@acme.example", EmailReason.BAD_LOCAL_PART),
    ("da\x00na@acme.example", EmailReason.BAD_LOCAL_PART),
    ("renée@acme.example", EmailReason.NON_ASCII_LOCAL_PART),
    ("даня@acme.example", EmailReason.NON_ASCII_LOCAL_PART),
    ("dana@acme", EmailReason.BAD_DOMAIN),
    ("dana@", EmailReason.BAD_DOMAIN),
    ("dana@acme..example", EmailReason.BAD_DOMAIN),
    ("dana@-acme.example", EmailReason.BAD_DOMAIN),
    ("dana@acme_tools.example", EmailReason.BAD_DOMAIN),
    ("dana@ac--me.example", EmailReason.BAD_DOMAIN),
    ("dana@xn--acme.example", EmailReason.BAD_DOMAIN),
    ("dana@192.0.2.7", EmailReason.BAD_DOMAIN),
    ("dana@[192.0.2.7]", EmailReason.BAD_DOMAIN),
    ("dana@" + "l" * 64 + ".example", EmailReason.BAD_DOMAIN),
    ("dana@acme.test", EmailReason.SPECIAL_USE_DOMAIN),
    ("DANA@ACME.TEST", EmailReason.SPECIAL_USE_DOMAIN),
    ("dana@acme.invalid", EmailReason.SPECIAL_USE_DOMAIN),
    ("dana@localhost", EmailReason.SPECIAL_USE_DOMAIN),
    ("dana@mail.localhost", EmailReason.SPECIAL_USE_DOMAIN),
    ("dana@acme.local", EmailReason.SPECIAL_USE_DOMAIN),
    ("n/a", EmailReason.PLACEHOLDER),
    (" N/A ", EmailReason.PLACEHOLDER),
    ("-", EmailReason.PLACEHOLDER),
    ("none", EmailReason.PLACEHOLDER),
    ("unknown@unknown", EmailReason.PLACEHOLDER),
    ("None@None.com", EmailReason.PLACEHOLDER),
    ("<noemail@noemail.com>", EmailReason.PLACEHOLDER),
    ("d" * 65 + "@acme.example", EmailReason.TOO_LONG),
    ("dana@" + ".".join(["l" * 60] * 5) + ".example", EmailReason.TOO_LONG),
    ("d" * 5000, EmailReason.TOO_LONG),
]


@pytest.mark.parametrize(("text", "form"), ACCEPTED)
def test_an_address_gets_its_canonical_form(text: str, form: str) -> None:
    assert canonical_email(text) == form
    assert not isinstance(canonical_email(text), EmailReason)


@pytest.mark.parametrize(("text", "reason"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_no_address_gets_its_reason(text: str, reason: EmailReason) -> None:
    assert canonical_email(text) is reason


def test_every_reason_has_an_example_here() -> None:
    assert {reason for _, reason in REFUSED} == set(EmailReason)


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u200b", "\u00a0"])
def test_a_blank_text_is_absent(text: str) -> None:
    column = canonical_emails(pa.array([text]))
    assert canonical_email(text) is None
    assert column.value.to_pylist() == column.reason.to_pylist() == [None]


FRAGMENTS = [
    *[
        "dana",
        "Farrow",
        "o'd",
        ".",
        "..",
        "+",
        "_",
        "-",
        "--",
        "@",
        "@@",
        "acme",
        "münchen",
        "xn--",
        "192.0.2.7",
        "é",
        "ß",
    ],
    *[
        ".example",
        ".com",
        ".co.uk",
        ".test",
        ".TEST",
        ".invalid",
        ".local",
        "localhost",
        ".onion",
        ".arpa",
        ".c",
        ".c0m",
    ],
    *[" ", "\n", ",", ";", "<", ">", '"', "'", "mailto:", "?subject=x", "none@none.com", "n/a", "l" * 64, "\x00", "。"],
]
addresses = st.builds(
    "{}@{}.{}".format,
    st.from_regex(r"[A-Za-z0-9._+'-]{1,30}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9.-]{1,30}", fullmatch=True),
    st.sampled_from(["com", "example", "test", "local", "onion", "arpa", "c", "1", "c1", "xn--p1ai", "invalid"]),
)
texts = st.one_of(
    addresses,
    st.lists(st.sampled_from(FRAGMENTS), max_size=7).map("".join),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.characters(codec="utf-8"), max_size=5).map(lambda text: f"dana{text}@acme.example"),
    st.text(st.characters(codec="utf-8"), max_size=5).map(lambda text: f"dana@ac{text}me.example"),
    st.sampled_from([text for text, _ in ACCEPTED + REFUSED]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(texts, min_size=8, max_size=8))
def test_the_fast_path_accepts_only_what_email_validator_accepts_in_the_same_form(rows: list[str]) -> None:
    for text, form in zip(rows, email._plain_addresses(pa.array(rows)).to_pylist(), strict=True):
        if form is not None:
            judged = email_validator.validate_email(text.strip(" \t\n\v\f\r"), check_deliverability=False)
            assert form == judged.normalized.lower()
            assert canonical_email(text) == form


@settings(max_examples=200, deadline=None)
@given(st.lists(texts, min_size=5, max_size=5))
def test_what_is_accepted_is_valid_ascii_lower_case_and_keeps_its_form(rows: list[str]) -> None:
    for form in map(canonical_email, rows):
        if form is not None and not isinstance(form, EmailReason):
            assert form.isascii()
            assert form == form.lower()
            assert canonical_email(form) == form
            assert email_validator.validate_email(form, check_deliverability=False).ascii_email == form


@settings(max_examples=400, deadline=None)
@given(st.lists(st.none() | texts, max_size=6))
def test_the_column_agrees_with_the_scalar(rows: list[str | None]) -> None:
    column = canonical_emails(pa.array(rows, pa.string()))
    verdicts = [None if text is None else canonical_email(text) for text in rows]
    assert column.value.to_pylist() == [None if isinstance(verdict, EmailReason) else verdict for verdict in verdicts]
    assert column.reason.to_pylist() == [verdict if isinstance(verdict, EmailReason) else None for verdict in verdicts]


def test_common_addresses_are_read_without_the_library() -> None:
    common = ["Dana.Farrow@acme.example", " dana+x@mail.acme.co.uk ", "o'darragh@acme-tools.com"]
    forms = email._plain_addresses(pa.array(common)).to_pylist()
    assert forms == ["dana.farrow@acme.example", "dana+x@mail.acme.co.uk", "o'darragh@acme-tools.com"]
