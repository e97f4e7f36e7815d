"""Why records were rejected, by cause, and the change of the settings that makes leads of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.config import FieldMapping, Settings
from target_amplemarket.delivery.outbox import Outbox
from target_amplemarket.leads.exclusions import ExcludedPeople
from target_amplemarket.leads.intake import Intake
from target_amplemarket.leads.map_block import Rules
from target_amplemarket.leads.people import People
from target_amplemarket.leads.repairs import Remapper, Sources, members_of, repair
from target_amplemarket.leads.tables import Reason, Status
from target_amplemarket.results.chosen import Chosen
from target_amplemarket.results.exclusions import local_exclusions
from target_amplemarket.results.ledger import folder_key, known_people
from target_amplemarket.results.open_rows import open_rows
from target_amplemarket.results.reader import run_ids
from target_amplemarket.results.run_facts import past_sources
from target_amplemarket.singer.records import JsonRecords
from target_amplemarket.storage.durable import Folder

EXAMPLES: Final = 3
_SAMPLE: Final = 500
"""Records of a cause that are looked at for a change; all are counted."""

_CAUSE: Final = ("stream", "reason", "field", "detail", "error_code")
_COLUMNS: Final = (*_CAUSE, "run_id", "record_no", "record_key", "record")
_UNIT: Final = "\x1f"
MAPPABLE: Final = frozenset(
    {
        Reason.NO_IDENTITY,
        Reason.LINKEDIN_URL_INVALID,
        Reason.EMAIL_INVALID,
        Reason.PERSON_ID_INVALID,
        Reason.COMPANY_ID_INVALID,
    }
)
"""Reasons that another mapping can take away."""


class Cause(NamedTuple):
    """What rejected records have in common."""

    stream: str
    reason: str
    field: str | None
    detail: str | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """One rejected record."""

    run_id: str
    record_no: int
    record_key: str | None
    attempt: int
    record: str | None


@dataclass(frozen=True, slots=True)
class Repair:
    """A change of `field_mapping` and what it does.

    Attributes:
        stream: Whose.
        sources: Lead field → all its members; empty where the settings have changed since and suffice.
        repaired: How many records of each cause become leads.
        people: How many of all these are people who were not sent yet: what a run would send.
    """

    stream: str
    sources: Sources
    repaired: Mapping[Cause, int]
    people: int

    @property
    def count(self) -> int:
        """Records of all causes that become leads."""
        return sum(self.repaired.values())


@dataclass(slots=True)
class Group:
    """Rejected records of one cause.

    Attributes:
        kept: How many of them have their original record.
    """

    cause: Cause
    count: int = 0
    kept: int = 0
    examples: list[Example] = field(default_factory=list)
    repair: Repair | None = None
    sample: list[str] = field(default_factory=list, repr=False)

    @property
    def is_mappable(self) -> bool:
        """Whether another mapping could take the cause away."""
        return self.cause.reason in MAPPABLE


@dataclass(frozen=True, slots=True)
class Explanation:
    """All causes, most records first; `repairs` are the changes of each stream taken together."""

    run: str
    groups: list[Group]
    repairs: list[Repair]

    @property
    def count(self) -> int:
        """Rejected records that are still open."""
        return sum(group.count for group in self.groups)


@dataclass(frozen=True, slots=True)
class Explainer:
    """Looks at the rejected records of a results folder that no newer row supersedes.

    Attributes:
        path: The results folder.
        run: A run id, `last`, or `all`.
        chosen: Streams and reasons, and the status `rejected`.
        intake: What the service takes under the settings.
        extra_fields: As they say.
        field_mapping: The same; it may have changed since the run.
        by_version: The same: `append-only`.
        settings: Name who must not be sent, beside those whom the account excludes, which is not asked here.
    """

    path: Path
    run: str
    chosen: Chosen
    intake: Intake
    extra_fields: tuple[str, ...] = ()
    field_mapping: FieldMapping = field(default_factory=dict)
    by_version: bool = False
    settings: Settings | None = None

    def explain(self) -> Explanation:
        """Group the records, look for changes, and count what each really repairs.

        Raises:
            StorageError: A file cannot be read, or there is no such run.
        """
        groups = self._groups()
        repairs: list[Repair] = []
        for stream in dict.fromkeys(group.cause.stream for group in groups):
            repairs += self._repaired(stream, [group for group in groups if group.cause.stream == stream])
        return Explanation(self.run, groups, repairs)

    def _groups(self) -> list[Group]:
        groups: dict[Cause, Group] = {}
        for rows in open_rows(self.path, run=self.run, chosen=self.chosen, columns=_COLUMNS):
            causes = _causes(rows)
            for entry in causes.value_counts().to_pylist():
                cause = _cause(entry["values"])
                group = groups.setdefault(cause, Group(cause))
                of_cause = rows.filter(pc.equal(causes, entry["values"]))
                group.count += entry["counts"]
                group.kept += entry["counts"] - of_cause.column("record").null_count
                _look_at(group, of_cause)
        return sorted(groups.values(), key=lambda group: -group.count)

    def _repaired(self, stream: str, groups: list[Group]) -> Iterator[Repair]:
        """Give each group its repair; yield what all of them do together."""
        mappable = [group for group in groups if group.is_mappable and group.sample]
        if not mappable:
            return
        rules = Rules(self.intake, False, folder_key(Folder(self.path)))
        samples = [_records(group.sample) for group in mappable]
        members = tuple(dict.fromkeys(path for records in samples for path in members_of(records)))
        remapper = Remapper(stream, _keys(mappable[0]), members, self.extra_fields, rules)
        before = past_sources(self.path, reversed(run_ids(self.path)), stream)
        sources = remapper.automatic(samples[0]) if before is None else before
        sources = {**sources, **self.field_mapping.get("*", {}), **self.field_mapping.get(stream, {})}
        changes = [repair(records, sources, remapper) for records in samples]
        together: dict[str, tuple[str, ...]] = {}
        for change in changes:
            for name, listed in change.items():
                together[name] = tuple(dict.fromkeys((*together.get(name, sources.get(name, ())), *listed)))
        counted = self._counted(remapper, sources, [*changes, together])
        for group, found in zip(mappable, counted, strict=False):
            group.repair = found if found.repaired.get(group.cause) else None
        if counted[-1].count:
            yield counted[-1]

    def _counted(self, remapper: Remapper, sources: Sources, changes: list[dict[str, tuple[str, ...]]]) -> list[Repair]:
        """Map every open record of the stream again, once with each change."""
        known: dict[tuple[tuple[str, tuple[str, ...]], ...], Repair] = {}
        for change in changes:
            name = tuple(sorted(change.items()))
            if name not in known:
                known[name] = self._count(remapper, sources, change)
        return [known[tuple(sorted(change.items()))] for change in changes]

    def _count(self, remapper: Remapper, sources: Sources, change: Sources) -> Repair:
        repaired: dict[Cause, int] = {}
        new_count = 0
        if change or self.field_mapping:
            people, excluded, next_no = self._people(), self._excluded(remapper.rules), 1
            chosen = Chosen(self.chosen.statuses, tuple(sorted(MAPPABLE)), (remapper.stream,))
            for rows in open_rows(self.path, run=self.run, chosen=chosen, columns=_COLUMNS):
                kept = self._asked(rows.filter(pc.is_valid(rows.column("record"))))
                if not kept.num_rows:
                    continue
                records = _records(kept.column("record").to_pylist())
                leads = remapper.leads(records, {**sources, **change}, first_record_no=next_no)
                places = pc.subtract(leads.column("record_no"), next_no)
                for entry in _causes(kept).take(places).value_counts().to_pylist():
                    cause = _cause(entry["values"])
                    repaired[cause] = repaired.get(cause, 0) + entry["counts"]
                allowed = leads if excluded is None else excluded.part(remapper.stream, leads).leads
                new_count += people.screen(allowed).null_count
                next_no += kept.num_rows
        return Repair(remapper.stream, dict(change), repaired, new_count)

    def _asked(self, rows: pa.Table) -> pa.Table:
        return rows if not self.chosen.reasons else Chosen(reasons=self.chosen.reasons).of(rows)

    def _excluded(self, rules: Rules) -> ExcludedPeople | None:
        if self.settings is None:
            return None
        return local_exclusions(self.settings, Folder(self.path), rules.fingerprint_key)

    def _people(self) -> People:
        folder = Folder(self.path)
        unsettled, has_ids = Outbox(folder, run_id="").entries(), self.intake.id_field is not None
        return known_people(folder, unsettled, by_version=self.by_version, has_ids=has_ids)


def rejected_of(streams: tuple[str, ...] = (), reasons: tuple[str, ...] = ()) -> Chosen:
    """Rejected rows of these streams and reasons."""
    return Chosen((Status.REJECTED.value,), reasons, streams)


def merged_mapping(given: Mapping[str, Any], repairs: list[Repair]) -> dict[str, dict[str, object]]:
    """The whole `field_mapping` of a settings file with these changes in it."""
    # Any: as the settings file has it.
    merged: dict[str, dict[str, object]] = {stream: dict(mapping) for stream, mapping in given.items()}
    for found in repairs:
        merged.setdefault(found.stream, {}).update({name: _listed(names) for name, names in found.sources.items()})
    return merged


def _listed(names: tuple[str, ...]) -> object:
    return names[0] if len(names) == 1 else list(names)


def _look_at(group: Group, rows: pa.Table) -> None:
    wanted = _SAMPLE - len(group.sample)
    if wanted > 0:
        group.sample += rows.column("record").drop_null().slice(0, wanted).to_pylist()
    names = ("run_id", "record_no", "record_key", "_attempt", "record")
    for row in rows.slice(0, max(0, EXAMPLES - len(group.examples))).select(names).to_pylist():
        group.examples.append(Example(*(row[name] for name in names)))


def _causes(rows: pa.Table) -> pa.ChunkedArray:
    words = (rows.column(name).cast(pa.string()) for name in _CAUSE)
    return pc.binary_join_element_wise(*words, _UNIT, null_handling="replace", null_replacement="")


def _cause(joined: str) -> Cause:
    stream, reason, field_name, detail, error_code = joined.rsplit(_UNIT, len(_CAUSE) - 1)
    return Cause(stream, reason, field_name or None, detail or None, error_code or None)


def _records(texts: list[str]) -> JsonRecords:
    return JsonRecords([msgspec.Raw(text.encode()) for text in texts])


def _keys(group: Group) -> tuple[str, ...]:
    record_key = group.examples[0].record_key
    return tuple(msgspec.json.decode(record_key)) if record_key else ()
