"""Keyed fingerprints: who is the same person can be compared, who it is cannot be read back without the key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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
    VERSION = b"version"


def fingerprint_column(values: Iterable[bytes | None], key: bytes, identity: Identity) -> pa.FixedSizeBinaryArray:
    """BLAKE2b-128 of each value, keyed with the results folder's key; null stays null."""
    keyed = hashlib.blake2b(key=key, digest_size=FINGERPRINT_BYTES, person=identity.value)

    def digest(value: bytes | None) -> bytes | None:
        if value is None:
            return None
        state = keyed.copy()
        state.update(value)
        return state.digest()

    return pa.array([digest(value) for value in values], FINGERPRINT)


def text_bytes(values: pa.StringArray) -> Iterable[bytes | None]:
    """The UTF-8 bytes of a text column."""
    return values.cast(pa.binary()).to_pylist()  # type: ignore[no-any-return]  # pyarrow is untyped
