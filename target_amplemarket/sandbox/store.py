"""Leads kept as they came, byte for byte, in small compressed pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

PIECE = 500  # leads; a page of entries touches one or two pieces


class LeadStore:
    """The leads of one accepted call. Reading gives back exactly the JSON that was sent."""

    def __init__(self, leads: list[msgspec.Raw]) -> None:
        self._count = len(leads)
        self._pieces = [
            zlib.compress(b"[" + b",".join(leads[start : start + PIECE]) + b"]", 1)
            for start in range(0, len(leads), PIECE)
        ]

    def __len__(self) -> int:
        return self._count

    def slice(self, start: int, stop: int) -> list[dict[str, Any]]:
        """The leads from `start` up to, not including, `stop`."""
        leads: list[dict[str, Any]] = []
        for piece in range(max(0, start) // PIECE, min(len(self._pieces), -(-stop // PIECE))):
            decoded: list[dict[str, Any]] = msgspec.json.decode(zlib.decompress(self._pieces[piece]))
            leads += decoded[max(0, start - piece * PIECE) : stop - piece * PIECE]
        return leads

    def all(self) -> list[dict[str, Any]]:
        """Every lead, in the order of the request."""
        return self.slice(0, self._count)

    def json_parts(self) -> Iterator[bytes]:
        """The JSON array of all leads as it was sent, in parts."""
        yield b"["
        for number, piece in enumerate(self._pieces):
            yield (b"," if number else b"") + zlib.decompress(piece)[1:-1]
        yield b"]"
