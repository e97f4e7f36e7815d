"""Which change of a stream's mapping makes leads of records that are none: looked for, tried, never guessed.

A member is proposed only where its values are what the lead field takes (profiles, e-mails) or where its name says so
(title, company, first and last name), and never where its name says that it is about somebody else, as the owner of an
account.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.leads.company import company_names, titles, website_domains
from target_amplemarket.leads.email import canonical_emails
from target_amplemarket.leads.intake import Route
from target_amplemarket.leads.linkedin import canonical_profile_urls
from target_amplemarket.leads.map_block import Rules, map_block
from target_amplemarket.leads.mapping import StreamMapping, choose_mapping
from target_amplemarket.leads.profile import tidied
from target_amplemarket.leads.text import text_column
from target_amplemarket.singer.records import Path, Records, member_paths
from target_amplemarket.singer.streams import RecordBlock, Stream

Sources = Mapping[str, tuple[str, ...]]
"""Lead field → members (dotted paths), tried in order: what `field_mapping` says of a stream."""

_MOST_STEPS: Final = 6
_MOST_BY_NAME: Final = 3
_FEW: Final = 4
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")

_OTHERS: Final = """
owner manager created creator modified updated assistant referrer referral referred recruiter rep sender csm sdr bdr
reports parent spouse user author by support billing invoice cc bcc reply emergency
bounced bounce unsubscribed optout invalid old previous former test
"""
_SOMEBODY_ELSE: Final = frozenset(_OTHERS.split())
"""Words of names of members that are about somebody else, or about what counts no more."""

_TITLES: Final = re.compile(
    r"title|titel|position|role|rolle|job|funktion|function|fonction|poste|puesto|cargo|beruf|occupation|designation"
)
_COMPANIES: Final = re.compile(
    r"compan|firm|employer|organi[sz]ation|^org|account|business|unternehmen|empresa|societ|entreprise|arbeitgeber|azienda"
)
_SITES: Final = re.compile(r"domain|website|web|site|homepage|url")
_ATTRIBUTES: Final = """
id url uri domain website web site size industry type phone revenue employees country city street zip state address
linkedin facebook twitter email mail date at status count number stage source score level salutation seniority
description note notes photo image avatar
"""
_NO_NAME: Final = frozenset(_ATTRIBUTES.split())
"""Words of names of members that tell something of a title or a company, and not what it is called."""

_FIRST_NAMES: Final = re.compile(r"firstname|givenname|forename|^fname$|vorname|prenom|prénom|^nombre$")
_LAST_NAMES: Final = re.compile(r"lastname|familyname|surname|^lname$|nachname|nomdefamille|apellido|cognome")
_NO_PERSONS_NAME: Final = frozenset({*_ATTRIBUTES.split(), "company", "account", "organization", "file", "middle"})


@dataclass(frozen=True, slots=True)
class Remapper:
    """Maps records of one stream again as if the settings said something else.

    Attributes:
        stream: Its name.
        keys: Its key properties.
        members: All members that its records have.
        extra_fields: As the settings say.
        rules: The same.
    """

    stream: str
    keys: tuple[str, ...]
    members: tuple[Path, ...]
    extra_fields: tuple[str, ...]
    rules: Rules

    def leads(self, records: Records, sources: Sources, *, first_record_no: int = 1) -> pa.Table:
        """Those of the records that are leads, schema `LEADS`."""
        stream = Stream(self.stream, schema_of(self.members), self.keys)
        block = RecordBlock(stream, first_record_no, records)
        return map_block(block, self._mapping(records, sources), self.rules).leads

    def _mapping(self, records: Records, sources: Sources) -> StreamMapping:
        return choose_mapping(
            schema_of(self.members), self.keys, records,
            intake=self.rules.intake, overrides=sources, extra_fields=self.extra_fields, owner_field=None,
        )  # fmt: skip

    def automatic(self, records: Records) -> dict[str, tuple[str, ...]]:
        """What the aliases choose."""
        return {name: tuple(map(".".join, paths)) for name, paths in self._mapping(records, {}).sources.items()}


def schema_of(members: Iterable[Path]) -> dict[str, Any]:
    """A JSON Schema that declares these members and says nothing of their types."""
    schema: dict[str, Any] = {"properties": {}}
    for path in members:
        inner = schema
        for name in path:
            inner = inner.setdefault("properties", {}).setdefault(name, {})
    return schema


def repair(records: Records, sources: Sources, remapper: Remapper) -> dict[str, tuple[str, ...]]:
    """Members to be tried after those that the mapping has, so that the most of these records become leads.

    Args:
        records: Of the remapper's stream; none is a lead by now.
        sources: The mapping that they were rejected with.
        remapper: Of their stream.

    Returns:
        Lead field → all its members, old and new; only fields that change. Empty where no change makes a lead.
    """
    changed: dict[str, tuple[str, ...]] = {}
    choices = _choices(records, sources, remapper)
    lead_count = remapper.leads(records, sources).num_rows
    for _ in range(_MOST_STEPS):
        tried = [(remapper.leads(records, {**sources, **changed, **_with(choice, sources, changed)}).num_rows, choice)
                 for choice in choices]  # fmt: skip
        best_count, best = max(tried, key=lambda one: one[0], default=(0, {}))
        if best_count <= lead_count:
            break
        changed |= _with(best, sources, changed)
        lead_count = best_count
    return changed


Choice = Mapping[str, str]
"""Lead field → one member more."""


def _with(choice: Choice, sources: Sources, changed: Sources) -> dict[str, tuple[str, ...]]:
    now = {**sources, **changed}
    return {name: tuple(dict.fromkeys((*now.get(name, ()), member))) for name, member in choice.items()}


def _choices(records: Records, sources: Sources, remapper: Remapper) -> list[Choice]:
    top_level = {path[0] for path in remapper.members}
    paths = [path for path in remapper.members if _is_the_persons_own(path) and _can_be_named(path, top_level)]
    columns = dict(zip(paths, map(text_column, records.columns(paths).values), strict=True))
    fields = remapper.rules.intake.fields
    fits = {
        "linkedin_url": [p for p in paths if _is_identity(canonical_profile_urls(columns[p]).value)],
        "email": [p for p in paths if _is_identity(canonical_emails(columns[p]).value)],
        "title": list(_by_name(paths, _TITLES, _NO_NAME, lambda p: titles(columns[p]))),
        "company_name": list(_by_name(paths, _COMPANIES, _NO_NAME, lambda p: company_names(columns[p]))),
        "company_domain": list(_by_name(paths, _SITES, frozenset({"linkedin"}), lambda p: website_domains(columns[p]))),
        "first_name": list(_by_name(paths, _FIRST_NAMES, _NO_PERSONS_NAME, lambda p: tidied(columns[p]))),
        "last_name": list(_by_name(paths, _LAST_NAMES, _NO_PERSONS_NAME, lambda p: tidied(columns[p]))),
    }
    found = {
        name: [".".join(path) for path in fitting if ".".join(path) not in sources.get(name, ())]
        for name, fitting in fits.items()
        if name in fields
    }
    single: list[Choice] = [{name: member} for name, members in found.items() for member in members]
    return [*single, *(choice for route in remapper.rules.intake.routes for choice in _together(route, found))]


def _together(route: Route, found: Mapping[str, Sequence[str]]) -> Iterator[Choice]:
    """Members for several needs of a route at once: one alone would make no lead."""
    options = [[(name, member) for name in found if name in group for member in found[name]] for group in route.needs]
    for count in range(2, len(options) + 1):
        for some in itertools.combinations(options, count):
            distinct = (one for one in itertools.product(*some) if len({member for _, member in one}) == count)
            yield from map(dict, distinct)


def _by_name(paths: Sequence[Path], wanted: re.Pattern[str], refused: frozenset[str], read: Any) -> Iterator[Path]:
    # Any: a function from a path to its canonical column.
    named = (path for path in paths if wanted.search("".join(_words(path))) and not refused & set(_words(path)))
    return itertools.islice((path for path in named if read(path).null_count < len(read(path))), _MOST_BY_NAME)


def _is_identity(values: pa.StringArray) -> bool:
    """Whether these may be of as many people as there are records."""
    given = len(values) - values.null_count
    distinct = int(pc.count_distinct(values, mode="only_valid").as_py())
    return bool(given > 0 and (given < _FEW or 2 * distinct >= given))


def _is_the_persons_own(path: Path) -> bool:
    return not _SOMEBODY_ELSE & set(_words(path))


def _can_be_named(path: Path, top_level: set[str]) -> bool:
    """Whether the dotted path in a settings file means this member."""
    text = ".".join(path)
    return ((text,) if text in top_level else tuple(text.split("."))) == path


def _words(path: Path) -> list[str]:
    return [word.lower() for segment in path for word in _WORD.findall(segment)]


def members_of(records: Records) -> tuple[Path, ...]:
    """All members of all of these records."""
    return tuple(member_paths(records, first=len(records)))
