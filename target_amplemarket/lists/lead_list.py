"""One lead list: what one create call carries."""

from __future__ import annotations

import base64
import secrets
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

MARKER_CHARS: Final = 12
MAX_NAME_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Leads of one list agree in these."""

    stream: str
    owner: str
    list_type: str


@dataclass(frozen=True, slots=True)
class LeadList:
    """A closed list, ready to be sent.

    Attributes:
        number: Order of closing within the run, from 1; also the number of its result file.
        part: Order among the lists of the same base name, from 1.
        marker: 12 random base32 characters at the end of the name; the only handle by which a list whose answer was
            lost can be found. Empty in a dry run, since the list that is sent will have another.
        base_name: The rendered `list_name`.
        key: What all its leads agree in.
        leads: Schema `leads.tables.LEADS`, in record order.
    """

    number: int
    part: int
    marker: str
    base_name: str
    key: GroupKey
    leads: pa.Table

    @property
    def name(self) -> str:
        """At most 120 characters of plain ASCII, ending in part and marker."""
        part = f" part {self.part}"
        room = MAX_NAME_CHARS - len(part) - len(" []") - MARKER_CHARS
        name = (plain(self.base_name) or "leads")[:room].rstrip() + part
        return f"{name} [{self.marker}]" if self.marker else name

    @property
    def first_record_no(self) -> int:
        """The smallest record number among its leads."""
        return int(pc.min(self.leads.column("record_no")).as_py())

    def with_leads(self, leads: pa.Table, marker: str) -> LeadList:
        """A list of its own with some of these leads: another marker, the same part."""
        return replace(self, leads=leads, marker=marker)


def make_marker() -> str:
    """60 random bits in 12 base32 characters."""
    return base64.b32encode(secrets.token_bytes(8)).decode()[:MARKER_CHARS]


def plain(text: str) -> str:
    """Printable ASCII only: accents are taken off, everything else becomes `?`; white space is folded."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    folded = " ".join(bare.split())
    return "".join(c if " " <= c <= "~" else "?" for c in folded)
