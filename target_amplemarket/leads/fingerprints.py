"""Keyed fingerprints: who is the same person can be compared, who it is cannot be read back without the key."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Final

import pyarrow as pa

FINGERPRINT_BYTES: Final = 16
FINGERPRINT: Final = pa.binary(FINGERPRINT_BYTES)


class Identity(Enum):
    """What a fingerprint is of; the same text under two of these gives two fingerprints."""

    LINKEDIN = b"linkedin"
    EMAIL = b"email"
    TITLE_COMPANY = b"title_company"
    NAME_COMPANY = b"name_company"  # these two and the next one share a column
    SERVICE_ID = b"service_id"
    VERSION = b"version"
    DOMAIN = b"domain"  # that is excluded; never written anywhere
    RECORD_KEY = b"record_key"  # of a record in its stream; only people who were forgotten are known by it


def fingerprint_column(values: pa.StringArray, key: bytes, identity: Identity) -> pa.FixedSizeBinaryArray:
    """BLAKE2b-128 of each text (UTF-8), keyed with the results folder's key; null stays null."""
    if values.null_count == len(values):
        return pa.nulls(len(values), FINGERPRINT)
    keyed = hashlib.blake2b(key=key, digest_size=FINGERPRINT_BYTES, person=identity.value).copy
    digests: list[bytes | None] = []
    for value in values.cast(pa.binary()).to_pylist():
        if value is None:
            digests.append(None)
        else:
            state = keyed()  # half of the time that keying each anew takes
            state.update(value)
            digests.append(state.digest())
    return pa.array(digests, FINGERPRINT)
