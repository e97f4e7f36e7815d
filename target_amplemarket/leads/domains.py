"""Domains that stand for everything below them, looked up for whole columns of hosts and addresses.

Every ending of a text that follows a dot or the `@` is looked up, so an excluded `acme.example` is found in
`ann@mail.acme.example`. A hash of each ending, computed for all of them at once, passes over nearly all that are not
known; what may be known is then compared by its fingerprint.
"""

from __future__ import annotations

import functools
import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.canonical import INVISIBLE, complete
from target_amplemarket.leads.company import website_host
from target_amplemarket.leads.filter import Filter
from target_amplemarket.leads.fingerprints import Identity, fingerprint_column
from target_amplemarket.leads.index import FingerprintIndex
from target_amplemarket.leads.keys import MISSING, Halves, Keys, Places, Values, keys_of
from target_amplemarket.storage.arrow import NO_TEXT

_SMALLEST_FILTER: Final = 1 << 12
_PLAIN: Final = r"^(?:[a-z0-9]+(?:-+[a-z0-9]+)*\.)+[a-z]{2,}$"
_WWW: Final = r"^www\.(.+\..+)$"
_EVERYBODY_AT: Final = re.compile(r"(?:\*?@)?(?:\*?\.)?")
_DOT, _AT = b".@"
_BASE: Final = 0x9E3779B97F4A7C15
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_TEXTS_AT_ONCE: Final = 1 << 12
_32: Final = np.uint64(32)


def canonical_domains(texts: pa.StringArray) -> pa.StringArray:
    """Lower-case ASCII host of each text, without `www.`, `*.` and `@` before it; null where there is none.

    The host stays whole: that `eu.acme.example` is excluded says nothing of `acme.example`.

    Args:
        texts: Domains, hosts or addresses of websites, as somebody wrote them.
    """
    lower = pc.ascii_lower(pc.ascii_trim_whitespace(texts))
    plain = pc.if_else(pc.match_substring_regex(lower, _PLAIN), lower, NO_TEXT)
    return pc.replace_substring_regex(complete(texts, plain, _host).value, _WWW, r"\1")


def _host(text: str) -> str | None:
    text = text.strip(INVISIBLE).lower()
    return website_host(text[_EVERYBODY_AT.match(text).end() :])  # type: ignore[union-attr]  # matches every text


class DomainIndex:
    """From domains to values; of several values of one domain the first stays.

    Args:
        key: Keys the fingerprints by which domains are compared.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._gathered: list[Keys] = []
        self._filter = Filter(0)
        self._index = FingerprintIndex()
        self.is_empty = True

    def gather(self, domains: pa.StringArray, value: int) -> None:
        """Take domains of one value (canonical, no null), before the first `find`."""
        if len(domains):
            self.is_empty = False
            for start in range(0, len(domains), _TEXTS_AT_ONCE):
                piece = domains.slice(start, _TEXTS_AT_ONCE)
                self._gathered.append(_Endings(piece, is_host=True).keys.take(slice(0, len(piece))))
            self._index.gather(keys_of(fingerprint_column(domains, self._key, Identity.DOMAIN)), 2 * value)

    def find(self, texts: pa.StringArray, *, is_host: bool) -> Values:
        """The value of each text's domain or of one above it, `MISSING` where none is known.

        Args:
            texts: Canonical e-mails or hosts; null is absent.
            is_host: The whole text is a domain, too.
        """
        self._seal()
        pieces = (texts.slice(start, _TEXTS_AT_ONCE) for start in range(0, len(texts), _TEXTS_AT_ONCE))
        found = np.concatenate([np.zeros(0, np.int64), *(self._found(piece, is_host=is_host) for piece in pieces)])
        if texts.null_count:
            found[texts.is_null().to_numpy(zero_copy_only=False)] = MISSING
        return found

    def _found(self, texts: pa.StringArray, *, is_host: bool) -> Values:
        found = np.full(len(texts), MISSING)
        endings = _Endings(texts, is_host=is_host)
        maybe = self._filter.maybe(endings.keys)
        if len(maybe):
            fingerprints = fingerprint_column(endings.texts(maybe), self._key, Identity.DOMAIN)
            values = self._index.find(keys_of(fingerprints))
            is_hit = values != MISSING
            found[endings.rows[maybe[is_hit]]] = values[is_hit] >> 1
        return found

    def _seal(self) -> None:
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._filter = Filter(max(sum(keys.size for keys in gathered), _SMALLEST_FILTER))
            for keys in gathered:
                self._filter.add(keys)


class _Endings:
    """All endings of some texts that follow a dot or an `@`; of hosts the whole texts, too.

    Attributes:
        rows: The text of each.
        keys: A hash of each: equal where endings are, and hardly ever where they are not.
    """

    def __init__(self, texts: pa.StringArray, *, is_host: bool) -> None:
        _, offsets, content = texts.buffers()
        bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4).astype(np.intp)
        self._bytes = np.frombuffer(content or b"", np.uint8)[bounds[0] : bounds[-1]]
        self._bounds = bounds - bounds[0]
        before = np.flatnonzero((self._bytes == _DOT) | (self._bytes == _AT))
        whole = np.flatnonzero(np.diff(bounds)) if is_host else np.zeros(0, np.intp)
        self._starts: Places = np.concatenate([self._bounds[whole], before + 1])
        self.rows: Places = np.concatenate([whole, np.searchsorted(self._bounds, before, side="right") - 1])
        self.keys = self._keys()

    def texts(self, chosen: Places) -> pa.BinaryArray:
        ends = self._bounds[self.rows[chosen] + 1].tolist()
        spans = zip(self._starts[chosen].tolist(), ends, strict=True)
        content = self._bytes.tobytes()
        return pa.array([content[start:end] for start, end in spans], pa.binary())

    def _keys(self) -> Keys:
        """Polynomials of the bytes, divided by the power at which they start, so that places do not matter."""
        powers, inverses = _powers(len(self._bytes).bit_length())
        sums = np.zeros(len(self._bytes) + 1, np.uint64)
        np.cumsum(powers[: len(self._bytes)] * self._bytes, out=sums[1:])
        hashes = (sums[self._bounds[self.rows + 1]] - sums[self._starts]) * inverses[self._starts]
        high = (hashes ^ (hashes >> _32)) * _MIX
        return Keys(high, (high ^ (high >> _32)) * _MIX)


@functools.lru_cache(maxsize=4)
def _powers(bits: int) -> tuple[Halves, Halves]:
    """Powers of an odd number, and of its inverse, both modulo 2^64."""
    of_base, of_inverse = (
        np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(1 << bits, base, np.uint64)]))
        for base in (_BASE, pow(_BASE, -1, 1 << 64))
    )
    return of_base, of_inverse
