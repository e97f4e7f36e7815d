"""Which members of a stream fill which lead field: chosen once per stream from the aliases and the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from target_amplemarket.leads.aliases import candidates
from target_amplemarket.leads.intake import Intake
from target_amplemarket.leads.tables import FURTHER_FIELDS
from target_amplemarket.singer.messages import printable
from target_amplemarket.singer.records import Path, Records, member_paths

_RECORDS_LOOKED_AT: Final = 100
_SDK_PREFIX: Final = "_sdc_"
_SAID_IF_MAPPED: Final = frozenset(field.name for field in FURTHER_FIELDS)
"""Fields that `describe` leaves out where nothing fills them and no list needs them."""


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """Where a stream's lead fields come from.

    Attributes:
        sources: Lead field → members, tried in order per record.
        extra: Name on the lead → member, for `extra_fields`.
        owner: Member that names the owner, if any.
        keys: Key properties.
        intake: What the service takes.
        unknown: Sources that the settings name and the stream does not have.
        ignored: Lead fields that the settings map and the service does not take.
    """

    sources: Mapping[str, tuple[Path, ...]]
    extra: Mapping[str, Path]
    owner: Path | None
    keys: tuple[str, ...]
    intake: Intake
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All members that are read, each once."""
        listed = [path for members in self.sources.values() for path in members]
        owner = [self.owner] if self.owner else []
        return tuple(dict.fromkeys([*listed, *self.extra.values(), *owner, *((key,) for key in self.keys)]))

    @property
    def is_empty(self) -> bool:
        """Whether no record of the stream can become a lead."""
        return not any(
            all(any(self._may_have(name) for name in group) for group in route.needs) for route in self.intake.routes
        )

    def _may_have(self, name: str) -> bool:
        """Whether some record may have the field; the domain of an e-mail is a company's."""
        return bool(self.sources.get(name) or (name == "company_domain" and self.sources.get("email")))

    def describe(self) -> str:
        """One line for people: `linkedin_url ← LinkedIn__c, email ← Email`."""
        needed = {name for route in self.intake.routes for group in route.needs for name in group}
        parts = []
        for name in self.intake.fields:
            members = self.sources.get(name, ())
            if members or name in needed or name not in _SAID_IF_MAPPED:
                parts.append(f"{name} ← {' or '.join(_dotted(path) for path in members) if members else '(none)'}")
        return ", ".join(parts)


def choose_mapping(
    schema: Mapping[str, Any],
    key_properties: tuple[str, ...],
    records: Records,
    *,
    intake: Intake,
    overrides: Mapping[str, tuple[str, ...]],
    extra_fields: Sequence[str],
    owner_field: str | None,
) -> StreamMapping:
    """Choose a stream's mapping from what its SCHEMA declares and its first 100 records hold.

    Args:
        schema: The stream's JSON Schema.
        key_properties: The stream's key properties.
        records: The stream's first records.
        intake: What the service takes; other lead fields are not mapped.
        overrides: Lead field → source fields, from the settings; they replace the automatic choice field by field.
        extra_fields: Further members to keep, or `("*",)`.
        owner_field: Member that names the owner.
    """
    members = _innermost([*_schema_paths(schema, ()), *member_paths(records, first=_RECORDS_LOOKED_AT)])
    top_level = {path[0] for path in members}
    sources = candidates(members, intake.fields)
    taken = {name: dotted for name, dotted in overrides.items() if name in intake.fields}
    for name, dotted in taken.items():
        sources[name] = tuple(_parse(text, top_level) for text in dotted)
    named = [text for dotted in taken.values() for text in dotted]
    extra_fields = extra_fields if intake.takes_further_fields else ()
    named += [text for text in extra_fields if text != "*"] + ([owner_field] if owner_field else [])
    extra = {".".join(path): path for path in _extra_paths(extra_fields, members, top_level) if not _is_of_sdk(path)}
    return StreamMapping(
        sources=sources,
        extra={name: path for name, path in extra.items() if name not in intake.fields},
        owner=_parse(owner_field, top_level) if owner_field else None,
        keys=key_properties,
        intake=intake,
        unknown=tuple(dict.fromkeys(text for text in named if not _is_known(text, members))),
        ignored=tuple(name for name, dotted in overrides.items() if dotted and name not in intake.fields),
    )


def _innermost(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Each once; without a member that is an object in one place and null in another."""
    outer = {path[:depth] for path in paths for depth in range(1, len(path))}
    return tuple(path for path in dict.fromkeys(paths) if path not in outer)


def _schema_paths(declared: object, path: Path) -> Iterator[Path]:
    """Members without members of their own, outside in; of alternatives (`anyOf`) those of each."""
    objects = list(_declared_objects(declared)) if len(path) < _MAX_SCHEMA_DEPTH else []
    for properties in objects:
        for name, member in properties.items():
            yield from _schema_paths(member, (*path, name))
    if path and not objects:
        yield path


def _declared_objects(declared: object) -> Iterator[Mapping[str, object]]:
    """The `properties` that are not empty, of a schema and of its alternatives."""
    if not isinstance(declared, dict):
        return
    alternatives = [declared.get(word) for word in ("anyOf", "oneOf", "allOf")]
    for schema in (declared, *(schema for some in alternatives if isinstance(some, list) for schema in some)):
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if properties and isinstance(properties, dict):
            yield properties


_MAX_SCHEMA_DEPTH: Final = 4


def _is_of_sdk(path: Path) -> bool:
    return path[0].startswith(_SDK_PREFIX)


def _parse(text: str, top_level: set[str]) -> Path:
    """A dotted path, unless a member has just that name."""
    return (text,) if text in top_level else tuple(text.split("."))


def _is_known(text: str, members: Sequence[Path]) -> bool:
    path = tuple(text.split("."))
    return any(member == (text,) or member[: len(path)] == path or path[: len(member)] == member for member in members)


def _extra_paths(names: Sequence[str], members: Sequence[Path], top_level: set[str]) -> Iterator[Path]:
    for name in names:
        if name == "*":
            yield from members
        else:
            yield _parse(name, top_level)


def _dotted(path: Path) -> str:
    return printable(".".join(path))
