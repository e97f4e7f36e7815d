"""One thing wrong with a request, in the terms of the API's error entries."""

from __future__ import annotations

import msgspec

TITLES = {
    "missing_field": "Missing Field",
    "unsupported_value": "Unsupported Value",
    "insufficient_credits": "Insufficient Credits",
    "internal_server_error": "Internal Server Error",
}


class Problem(msgspec.Struct, frozen=True):
    """A code for programs, a sentence for people, and the place in the body or the query at fault."""

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None

    @property
    def title(self) -> str:
        """The code in words."""
        return TITLES.get(self.code) or self.code.replace("_", " ").title()


def missing(name: str) -> Problem:
    """A required top-level member is absent."""
    return Problem("missing_field", f"Missing field from request: {name}", pointer=f"/{name}")


def unsupported(pointer: str, detail: str) -> Problem:
    """A member holds what it may not, or a lead lacks what its type needs."""
    return Problem("unsupported_value", detail, pointer=pointer)


def bad_parameter(name: str, value: str) -> Problem:
    """A query parameter holds what it may not."""
    return Problem("unsupported_value", f"'{value}' is not a supported value of {name}.", parameter=name)
