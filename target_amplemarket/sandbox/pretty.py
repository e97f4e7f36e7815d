"""JSON laid out for people, also where it is cut off or broken."""

from __future__ import annotations

import re

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_STEP = "  "


def pretty(body: bytes) -> str:
    """A body as text: JSON, whole or not, on lines of its own; anything else as it came."""
    text = body.decode("utf-8", "replace")
    return _laid_out(text) if text.lstrip()[:1] in {"{", "["} else text


def _laid_out(text: str) -> str:
    parts: list[str] = []
    depth = 0
    before = ""
    for piece in _PIECE.findall(text):
        is_end, is_after_start = piece in "}]", before in {"{", "["}
        depth = max(0, depth - is_end)
        if (before == "," or is_after_start) if not is_end else not is_after_start:
            parts.append("\n" + _STEP * depth)
        parts.append(": " if piece == ":" else piece)
        depth += piece in "{["
        before = piece
    return "".join(parts)
