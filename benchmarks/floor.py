"""The floor: nothing but msgspec between the bytes read and the bodies that would be sent.

stdin is read in blocks of 1 MiB and split at newlines. Lines that begin like a RECORD are decoded one by one, all
others are passed over; for every 10,000 records the five lead fields are put into Structs and one body is encoded.
Nothing is checked, made canonical, fingerprinted, compared, stored or sent, and no answer is awaited.

`whole` decodes every line, with everything in it, to a dict: the floor that figures are compared with, being what
"bare decode and encode" means. `mapped` decodes into Structs that have only the members that are mapped, while msgspec
skips over the others; what a reader that knows its mapping cannot go below by decoding line by line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

BLOCK_BYTES: Final = 1 << 20
LEADS_PER_BODY: Final = 10_000
_RECORD_STARTS: Final = (b'{"type":"RECORD"', b'{"type": "RECORD"')


class Lead(msgspec.Struct, omit_defaults=True):
    """One lead as it is sent."""

    linkedin_url: str | None = None
    email: str | None = None
    title: str | None = None
    company_name: str | None = None
    company_domain: str | None = None


class Body(msgspec.Struct):
    """One request."""

    name: str
    leads: list[Lead]


class _Account(msgspec.Struct):
    name: str | None = msgspec.field(name="Name", default=None)
    website: str | None = msgspec.field(name="Website", default=None)


class _Contact(msgspec.Struct):
    linkedin: str | None = msgspec.field(name="LinkedIn_Profile_URL__c", default=None)
    email: str | None = msgspec.field(name="Email", default=None)
    title: str | None = msgspec.field(name="Title", default=None)
    account: _Account = msgspec.field(name="Account", default_factory=_Account)


class _Line(msgspec.Struct):
    stream: str
    record: _Contact


def record_lines(source: Any) -> Iterator[bytes]:
    """The RECORD lines of a byte stream."""
    rest = b""
    while block := source.read(BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.startswith(_RECORD_STARTS):
                yield line


def whole(lines: Iterable[bytes]) -> Iterator[Lead]:
    """Leads of lines that are decoded to dicts."""
    decode = msgspec.json.Decoder().decode
    for line in lines:
        record = decode(line)["record"]
        account = record["Account"]
        yield Lead(
            record["LinkedIn_Profile_URL__c"], record["Email"], record["Title"], account["Name"], account["Website"]
        )


def mapped(lines: Iterable[bytes]) -> Iterator[Lead]:
    """Leads of lines of which only the mapped members are decoded."""
    decode = msgspec.json.Decoder(_Line).decode
    for line in lines:
        record = decode(line).record
        yield Lead(record.linkedin, record.email, record.title, record.account.name, record.account.website)


KINDS: Final[dict[str, Callable[[Iterable[bytes]], Iterator[Lead]]]] = {"whole": whole, "mapped": mapped}


def encoded(leads: Iterable[Lead]) -> Iterator[bytes]:
    """The request bodies."""
    waiting: list[Lead] = []
    for lead in leads:
        waiting.append(lead)
        if len(waiting) == LEADS_PER_BODY:
            yield msgspec.json.encode(Body("floor", waiting))
            waiting = []
    if waiting:
        yield msgspec.json.encode(Body("floor", waiting))


def main(kind: str) -> None:
    """Read stdin to its end and print the number of bytes encoded."""
    print(sum(map(len, encoded(KINDS[kind](record_lines(sys.stdin.buffer))))))


if __name__ == "__main__":
    main(sys.argv[1])
