from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.canonical import PLACEHOLDERS
from target_amplemarket.leads.company import SHARED_SITES, company_names, titles, website_domains, with_mail_domains
from target_amplemarket.leads.free_mail import FREE_MAIL_DOMAINS

WEBSITES = [
    ("acme.com", "acme.com"),
    ("www.acme.com", "acme.com"),
    ("https://www.acme.com", "acme.com"),
    ("HTTPS://WWW.Acme.COM/About-Us", "acme.com"),
    ("http://shop.eu.acme.com/a/b?x=1#y", "acme.com"),
    ("https://acme.com?utm_source=x", "acme.com"),
    ("https://acme.com#top", "acme.com"),
    ("//acme.com/", "acme.com"),
    ("acme.com:8443/x", "acme.com"),
    ("https://user:secret@acme.com:8443/x", "acme.com"),
    (" <https://acme.com/> ", "acme.com"),
    ("acme.com.", "acme.com"),
    ("acme.co.uk", "acme.co.uk"),
    ("https://www.acme.com.br/", "acme.com.br"),
    ("https://münchner-werke.de/kontakt", "xn--mnchner-werke-wob.de"),
    ("xn--mnchner-werke-wob.de", "xn--mnchner-werke-wob.de"),
    ("https://straße.de", "xn--strae-oqa.de"),
    ("acme.github.io", "acme.github.io"),
    ("https://www.acme.github.io/x", "acme.github.io"),
    ("acme.myshopify.com", "acme.myshopify.com"),
    ("https://blog.acme.uk.com", "acme.uk.com"),
    ("github.io", "github.io"),
    ("www.github.io", "github.io"),
    ("northwind-tools.example", "northwind-tools.example"),
    ("https://www.northwind-tools.example/x", "northwind-tools.example"),
    ("info@acme.com", "acme.com"),
    ("", None),
    (" ", None),
    ("n/a", None),
    ("co.uk", None),
    ("com", None),
    ("example", None),
    ("acme", None),
    ("localhost", None),
    ("acme.local", None),
    ("acme.test", None),
    ("acme.nosuchsuffix", None),
    ("https://s3.amazonaws.com/acme", None),
    ("192.0.2.7", None),
    ("http://[2001:db8::1]/", None),
    ("http://[broken/", None),
    ("acme.com, acme.de", None),
    ("acme.com\nother.com", None),
    ("acme.com\tother.com", None),
    ("https:\\\\acme.com", None),
    ("Acme Incorporated", None),
    ("x" * 5000 + ".com", None),
    ("https://www.linkedin.com/company/acme", None),
    ("https://facebook.com/acme", None),
    ("https://de-de.facebook.com/acme", None),
    ("https://x.com/acme", None),
    ("bit.ly/3abc", None),
    ("https://sites.google.com/view/acme", None),
    ("google.com", "google.com"),
    ("gmail.com", None),
    ("www.t-online.de", None),
]


@pytest.mark.parametrize(("website", "domain"), WEBSITES, ids=lambda value: str(value)[:40])
def test_a_website_yields_its_registrable_domain_or_nothing(website: str, domain: str | None) -> None:
    assert website_domains(pa.array([website])).to_pylist() == [domain]


def test_the_websites_of_a_column_do_not_disturb_each_other() -> None:
    websites = [None, *(website for website, _ in WEBSITES), *(website for website, _ in reversed(WEBSITES))]
    domains = [None, *(domain for _, domain in WEBSITES), *(domain for _, domain in reversed(WEBSITES))]
    assert website_domains(pa.array(websites)).to_pylist() == domains


@pytest.mark.parametrize(
    ("website", "address", "domain"),
    [
        (None, "dana@acme.com", "acme.com"),
        (None, "dana@mail.eu.acme.co.uk", "acme.co.uk"),
        ("n/a", "dana@acme.com", "acme.com"),
        ("https://www.linkedin.com/company/acme", "dana@acme.com", "acme.com"),
        ("acme.com", "dana@other.com", "acme.com"),
        ("acme.com", "dana@gmail.com", "acme.com"),
        (None, "dana@gmail.com", None),
        (None, "dana@vip.qq.com", None),
        (None, "dana@abc.privaterelay.appleid.com", "appleid.com"),
        (None, "dana@privaterelay.appleid.com", None),
        (None, "dana@linkedin.com", "linkedin.com"),
        (None, "dana@acme.nosuchsuffix", None),
        (None, "dana@northwind-tools.example", "northwind-tools.example"),
        (None, None, None),
    ],
)
def test_the_address_counts_only_where_the_website_yields_nothing(
    website: str | None, address: str | None, domain: str | None
) -> None:
    websites, emails = pa.array([website, "first.com"], pa.string()), pa.array([address, None], pa.string())
    assert with_mail_domains(website_domains(websites), emails).to_pylist() == [domain, "first.com"]


@pytest.mark.parametrize("canonical", [company_names, titles])
def test_names_and_titles_are_trimmed_and_collapsed_and_placeholders_are_absent(
    canonical: Callable[[pa.StringArray], pa.StringArray],
) -> None:
    given_values = [
        "Acme",
        " Acme  Tools\t",
        "Acme\u00a0 Tools",
        "\ufeffAc\u200bme",
        "ACME",
        "Zoë GmbH",
        "N/A",
        " none ",
        "-",
        "",
        "\u3000",
        None,
    ]
    expected = ["Acme", "Acme Tools", "Acme Tools", "Acme", "ACME", "Zoë GmbH", *[None] * 6]
    assert canonical(pa.array(given_values)).to_pylist() == expected


@given(
    st.lists(
        st.none() | st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(sorted(PLACEHOLDERS)),
        max_size=5,
    )
)
def test_a_canonical_name_stays_as_it_is(values: list[str | None]) -> None:
    once = company_names(pa.array(values, pa.string()))
    assert company_names(once).to_pylist() == once.to_pylist()
    assert all(name == " ".join(name.split()) != "" for name in once.to_pylist() if name is not None)


@pytest.mark.parametrize("values", [[], [None]])
def test_columns_without_values_keep_length_and_type(values: list[None]) -> None:
    column = pa.array(values, pa.string())
    for result in (company_names(column), titles(column), website_domains(column)):
        assert result.type == pa.string()
        assert result.to_pylist() == values


def test_the_lists_of_domains_are_lower_case_ascii_and_do_not_hold_suffixes() -> None:
    for domain in FREE_MAIL_DOMAINS | SHARED_SITES:
        assert domain.isascii()
        assert domain == domain.lower().strip(".")
        assert "." in domain
    assert len(FREE_MAIL_DOMAINS) >= 250
    assert {
        "gmail.com",
        "qq.com",
        "mail.ru",
        "t-online.de",
        "orange.fr",
        "uol.com.br",
        "mailinator.com",
    } <= FREE_MAIL_DOMAINS
