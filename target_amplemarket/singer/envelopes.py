"""What stands around records, schemas and values: one message, with its parts not decoded yet."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

import msgspec

NOTHING: Final = msgspec.Raw(b"")
"""A part that a message does not have."""


class Envelope(msgspec.Struct, gc=False):
    """One message."""

    type: str = ""
    stream: str | None = None
    record: msgspec.Raw = NOTHING
    schema: msgspec.Raw = NOTHING
    value: msgspec.Raw = NOTHING
    key_properties: list[str] | None = None
    encoding: dict[str, Any] | None = None
    manifest: list[str] | None = None


open_envelope: Final = msgspec.json.Decoder(Envelope).decode
open_envelopes: Final = msgspec.json.Decoder(Envelope).decode_lines
KIND_AND_STREAM: Final = attrgetter("type", "stream")
