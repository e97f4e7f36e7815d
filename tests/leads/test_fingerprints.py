from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_amplemarket.leads.fingerprints import FINGERPRINT_BYTES, Identity, fingerprint_column
from tests.leads.building import GOOD_URL, KEY, UNHURRIED

GOLDEN = {
    Identity.LINKEDIN: "2234ccabc99d406a57b2105fab1be4c8",
    Identity.EMAIL: "368e8b0c222f6127410e3d8415a30932",
    Identity.TITLE_COMPANY: "b499844298b5f27d89f5d114fb20cf0d",
    Identity.NAME_COMPANY: "7ad50649775a165b6723d07b0dd36aeb",
    Identity.SERVICE_ID: "1fcc348a0aca1b04977b7652c3b5f44e",
    Identity.VERSION: "4976ee2bdd7b684ed27f1e3ec7be1baa",
    Identity.DOMAIN: "998c1cbb6e49ed1c0b72533941f17e7e",
    Identity.RECORD_KEY: "5f66f14d3067f55015113245ae8366ab",
}


def one(value: str, key: bytes = KEY, identity: Identity = Identity.EMAIL) -> bytes | None:
    (made,) = fingerprint_column(pa.array([value]), key, identity).to_pylist()
    return made


@pytest.mark.parametrize("identity", Identity)
def test_a_fingerprint_never_changes_for_a_key(identity: Identity) -> None:
    made = one(GOOD_URL, identity=identity)
    assert made is not None
    assert made.hex() == GOLDEN[identity]


def test_another_key_gives_another_fingerprint() -> None:
    assert one("dana@acme.example") != one("dana@acme.example", key=KEY[::-1])


def test_one_text_has_another_fingerprint_under_each_identity() -> None:
    assert len({one("same text", identity=identity) for identity in Identity}) == len(Identity)


def test_null_has_no_fingerprint_and_an_empty_text_has_one_of_its_own() -> None:
    column = fingerprint_column(pa.array([None, "", "a"]), KEY, Identity.EMAIL).to_pylist()
    assert column[0] is None
    assert column[1] is not None
    assert column[1] != column[2]


@given(
    st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(Identity),
)
@UNHURRIED
def test_the_column_is_keyed_blake2b_of_the_utf8_of_each_text_by_itself(
    values: list[str | None], key: bytes, identity: Identity
) -> None:
    column = fingerprint_column(pa.array(values, pa.string()), key, identity)
    assert column.type == pa.binary(FINGERPRINT_BYTES)
    expected = [
        None
        if value is None
        else hashlib.blake2b(value.encode(), key=key, digest_size=FINGERPRINT_BYTES, person=identity.value).digest()
        for value in values
    ]
    assert column.to_pylist() == expected
