"""Domains exclude what is below them and nothing beside; e-mails and profiles exclude whoever has them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_amplemarket.leads.domains import DomainIndex, canonical_domains
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.exclusions import ExcludedPeople, Source
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.keys import MISSING
from target_amplemarket.leads.tables import LEADS

KEY = b"k" * 32
LABEL = st.sampled_from(["a", "b", "ab", "acme", "eu", "com", "example", "x-y", "co", "uk", "not", "acme-eu"])
DOMAIN = st.lists(LABEL, min_size=2, max_size=5).map(".".join)
LOCAL = st.sampled_from(["ann", "acme.example", "a.b", "x+y", "com"])


def strings(values: list[str | None]) -> pa.StringArray:
    return pa.array(values, pa.string())


@given(st.lists(DOMAIN, max_size=6), st.lists(st.none() | st.tuples(LOCAL, DOMAIN), max_size=30), st.integers(0, 3))
@example(["acme.example"], [("ann", "notacme.example"), ("acme.example", "b.com"), ("a", "eu.acme.example")], 0)
def test_a_domain_is_found_in_every_address_at_it_or_below_it_and_in_no_other(
    domains: list[str], people: list[tuple[str, str] | None], offset: int
) -> None:
    index = DomainIndex(KEY)
    index.gather(strings(domains), 1)
    for is_host in (False, True):
        texts = [None if p is None else p[1] if is_host else "@".join(p) for p in people]
        found = index.find(strings([*texts[:0], *(["x.y"] * offset), *texts]).slice(offset), is_host=is_host)
        expected = [
            p is not None and any(p[1] == domain or p[1].endswith("." + domain) for domain in domains) for p in people
        ]
        assert (found != MISSING).tolist() == expected


@pytest.mark.parametrize(("text", "domain"), [
    ("Acme.COM", "acme.com"), (" *.acme.com ", "acme.com"), ("@acme.com", "acme.com"), ("*@acme.com", "acme.com"),
    (".acme.com", "acme.com"), ("acme.com.", "acme.com"), ("https://www.Acme.com/about?x=1", "acme.com"),
    ("www.acme.com", "acme.com"), ("www.com", "www.com"), ("eu.acme.co.uk", "eu.acme.co.uk"),
    ("M\u00dcLLER.de", "xn--mller-kva.de"), ("com", None), ("", None), ("n/a", None), ("192.0.2.1", None),
    ("a b.com", None), ("ann@acme.com", None), (None, None),
])  # fmt: skip
def test_domains_as_people_write_them(text: str | None, domain: str | None) -> None:
    if text == "ann@acme.com":
        assert canonical_domains(strings([text])).to_pylist()[0] in {None, "acme.com"}
    else:
        assert canonical_domains(strings([text])).to_pylist() == [domain]


def leads(**columns: list[str | None]) -> pa.Table:
    count = len(next(iter(columns.values())))
    made: dict[str, Any] = {name: strings(values) for name, values in columns.items()}
    for name, identity in (("email", Identity.EMAIL), ("linkedin_url", Identity.LINKEDIN)):
        if name in made:
            made[f"{identity.value.decode()}_fingerprint"] = fingerprint_column(made[name], KEY, identity)
    made |= {"record_no": pa.array(range(1, count + 1)), "list_type": strings(["email"] * count)}
    made["version_fingerprint"] = pa.array([bytes(16)] * count, pa.binary(16))
    return pa.table([made.get(f.name, pa.nulls(count, f.type)) for f in LEADS], schema=LEADS)


@given(st.lists(st.tuples(LOCAL, DOMAIN, st.booleans()), max_size=8), st.lists(st.tuples(LOCAL, DOMAIN), max_size=8))
def test_an_email_is_found_in_any_case_with_any_spaces_around_it(
    excluded: list[tuple[str, str, bool]], people: list[tuple[str, str]]
) -> None:
    written = [f"  {'@'.join(p[:2]).upper()}\t" if p[2] else "@".join(p[:2]) for p in excluded]
    emails = canonical_emails(strings(["@".join(p) for p in people])).value
    excluding = ExcludedPeople(KEY)
    excluding.take(Source.ACCOUNT, emails=strings(written))
    parted = excluding.part("s", leads(email=emails.to_pylist()))
    known = {e for e in canonical_emails(strings(written)).value.to_pylist() if e}
    assert parted.leads.column("email").to_pylist() == [e for e in emails.to_pylist() if e not in known]
    assert parted.excluded.num_rows + parted.leads.num_rows == len(people)


def test_nobody_is_excluded_by_what_is_absent() -> None:
    excluding = ExcludedPeople(KEY)
    excluding.take(
        Source.FILE, emails=strings(["", None, "n/a"]), domains=strings(["", None]), profiles=strings([None])
    )
    assert excluding.part("s", leads(email=[None, "ann@b.example"])).excluded.num_rows == 0


def test_of_several_reasons_the_first_in_order_counts() -> None:
    excluding = ExcludedPeople(KEY)
    forgotten = fingerprint_column(strings(["dee@b.example"]), KEY, Identity.EMAIL)
    excluding.take_forgotten(Identity.EMAIL, forgotten)
    excluding.take(Source.FILE, emails=strings(["cem@b.example", "dee@b.example"]))
    excluding.take(Source.ACCOUNT, emails=strings(["bob@b.example", "cem@b.example"]), domains=strings(["b.example"]))
    people = leads(
        email=["ann@b.example", "bob@b.example", "cem@b.example", "dee@b.example"], company_domain=[None] * 4
    )
    rows = excluding.part("s", people).excluded
    assert rows.column("reason").to_pylist() == ["excluded_domain", "excluded_email", "suppressed", "forgotten"]
    assert rows.column("winner_record_no").null_count == 4


def test_many_domains_and_long_texts_are_looked_up_exactly() -> None:
    index = DomainIndex(KEY)
    index.gather(strings([f"rival{number}.example" for number in range(100_000)]), 3)
    index.gather(strings(["rival7.example"]), 1)
    hosts = [f"{'x' * 60}.{'y' * 60}.rival{number}.example" for number in range(99_990, 100_010)] * 300
    found = index.find(strings([*hosts, "rival7.example"]), is_host=True)
    assert found.tolist() == ([3] * 10 + [MISSING] * 10) * 300 + [3]
