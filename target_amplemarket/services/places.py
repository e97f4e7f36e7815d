"""Places of a request's body that an error answer names, however it writes them.

For APIs that do not document the form: `prospects[3].firstName`, `prospects.3.firstName`, `/prospects/3/firstName`,
also within a sentence or as the name of a member; a path as an array; objects by number. Only numbers and known names
are taken over, so no text of the answer gets out. Arrays of rows are not read: an answer that repeats the request would
name everybody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

MOST_PLACES = 100_000
_TEXT_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class Place:
    """One row of an array in the body.

    Attributes:
        position: 0-based.
        member: Of the row, if one of the known ones is named.
    """

    position: int
    member: str | None


def named_places(details: object, array: str, members: Collection[str]) -> Iterator[Place]:
    """Yield each place that is named, as often as it is.

    Args:
        details: What the answer says, decoded.
        array: Name of the array.
        members: Names that a row's members can have.
    """
    written = re.compile(
        rf"(?<![A-Za-z0-9_]){array}(?:\[([0-9]{{1,6}})\]|[./]([0-9]{{1,6}})(?![0-9]))[./]?([A-Za-z]+)?"
    )
    for value in _values(details):
        match value:
            case str():
                for found in written.finditer(value[:_TEXT_LENGTH]):
                    yield _place(int(found[1] or found[2]), found[3], members)
            case list():
                yield from _of_path(value, array, members)
            case dict():
                rows = value.get(array)
                yield from _of_rows(rows, members) if isinstance(rows, dict) else ()
            case _:
                pass


def names_member(details: object, names: Collection[str]) -> str | None:
    """The first of `names` that the details name as a member or as the start of a text or path."""
    for value in _values(details):
        for text in (value, *value[:1]) if isinstance(value, list) else (value,):
            start = re.match(r"/?([A-Za-z]+)", text) if isinstance(text, str) else None
            if start is not None and start[1] in names:
                return start[1]
    return None


def _values(details: object) -> Iterator[Any]:
    """Every value within `details`, and every name of a member; a stack, since nesting may be deep. Any: JSON."""
    stack = [details]
    for _ in range(MOST_PLACES):
        if not stack:
            return
        value = stack.pop()
        yield value
        if isinstance(value, dict):
            stack.extend((*value.values(), *value))
        elif isinstance(value, list):
            stack.extend(reversed(value))


def _of_path(path: list[Any], array: str, members: Collection[str]) -> Iterator[Place]:
    for at, name in enumerate(path[:-1]):
        position = path[at + 1]
        if name == array and _is_position(position):
            yield _place(int(position), path[at + 2] if at + 2 < len(path) else None, members)


def _of_rows(rows: dict[str, Any], members: Collection[str]) -> Iterator[Place]:
    for position, faults in rows.items():
        if _is_position(position):
            named = [name for name in faults if name in members] if isinstance(faults, dict) else []
            yield _place(int(position), named[0] if named else None, members)


def _is_position(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) <= 6
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_000_000


def _place(position: int, member: object, members: Collection[str]) -> Place:
    return Place(position, member if isinstance(member, str) and member in members else None)
