"""Removing a person from the results folder, and leaving a tombstone that blocks sending the person again.

The tombstone goes first: from then on nobody sends the person, and whatever stops the rest anywhere, the same command
run again finds what is left, by the fingerprints of the tombstone and by what the caller gives. Every file is replaced
whole.

A row is the person's if it carries one of the person's fingerprints or record keys, or is the duplicate of such a row.
It loses all that is personal. A row that is somebody else's and names the person in its record loses record and key
alone: its fingerprints say that the other one was sent. An e-mail that stood with several LinkedIn profiles, or with
several ids of the API's own, is a shared mailbox, and of their rows those alone are the person's that carry neither, or
the person's own.
"""

from __future__ import annotations

import contextlib
import functools
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from target_amplemarket.clock import Clock, SystemClock
from target_amplemarket.config import LEAD_FIELDS
from target_amplemarket.delivery.outbox import Outbox, OutboxEntry
from target_amplemarket.errors import SettingsError, StorageError
from target_amplemarket.leads.canonical import is_placeholder
from target_amplemarket.leads.email import EmailReason, canonical_email
from target_amplemarket.leads.exclusions import record_key_fingerprints
from target_amplemarket.leads.fingerprints import FINGERPRINT, FINGERPRINT_BYTES, Identity, fingerprint_column
from target_amplemarket.leads.linkedin import LinkedinReason, canonical_profile_url
from target_amplemarket.results.enriched import ENRICHED_FOLDER
from target_amplemarket.results.forgotten import TOMBSTONES, read_tombstones, write_tombstones
from target_amplemarket.results.ledger import folder_key
from target_amplemarket.results.reader import read_file
from target_amplemarket.singer.records import json_text
from target_amplemarket.storage.arrow import arrow_file, column_array
from target_amplemarket.storage.durable import Folder, System
from target_amplemarket.storage.lock import locked

DETAIL: Final = "the person was forgotten"

_IDENTITIES: Final = (Identity.LINKEDIN, Identity.EMAIL, Identity.TITLE_COMPANY)
_PERSONS_OWN: Final = ("linkedin_fingerprint", "title_company_fingerprint")
_FINGERPRINTS: Final = tuple(f"{identity.value.decode()}_fingerprint" for identity in _IDENTITIES)
_PERSONAL: Final = ("record_key", "record", "error_pointer", "list_position", *_FINGERPRINTS, "version_fingerprint")
_PERSONAL_OF_LEADS: Final = (
    "record_key", "owner", *LEAD_FIELDS, "extra", "reason", "field", "record", *_FINGERPRINTS,
)  # fmt: skip
_LOOKED_AT: Final = ("stream", "record_no", "record_key", "detail", "list_id", "winner_record_no", *_FINGERPRINTS)
_TEXTS: Final = ("record", "record_key")
_TEXTS_OF_LEADS: Final = (*_TEXTS, "extra")


class Person(msgspec.Struct, frozen=True):
    """Who is to be forgotten, in canonical forms; all that is given is of one person."""

    emails: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    stream: str | None = None


class Forgotten(msgspec.Struct, frozen=True):
    """What was changed.

    Attributes:
        rows: Result rows that lost what is personal.
        result_files: Files in which they are.
        outbox_leads: Leads of lists without an outcome that lost what is personal.
        outbox_files: Files in which they are.
        removed_files: Reports and read-back lists with the person in them, removed as a whole.
        tombstones: Fingerprints by which the person is blocked now.
        is_shared: An e-mail stood with several LinkedIn profiles or ids, which are not blocked.
    """

    rows: int
    result_files: int
    outbox_leads: int
    outbox_files: int
    removed_files: int
    tombstones: int
    is_shared: bool


def read_person(
    *, emails: Iterable[str] = (), profiles: Iterable[str] = (), keys: Iterable[str] = (), stream: str | None = None
) -> Person:
    """Canonical forms of what somebody typed.

    Raises:
        SettingsError: Nothing is given, or something that is no e-mail or no LinkedIn profile.
    """
    person = Person(
        tuple(_canonical(text, canonical_email, "--email", "an e-mail") for text in emails),
        tuple(_canonical(text, canonical_profile_url, "--linkedin-url", "a LinkedIn profile") for text in profiles),
        tuple(keys),
        stream,
    )
    if not (person.emails or person.profiles or person.keys):
        raise SettingsError("say who is to be forgotten: --email, --linkedin-url or --key")
    if any(not key.strip() or is_placeholder(key) for key in person.keys):
        raise SettingsError('--key takes a record\'s key: `42`, or all of it as results show it, `{"id":42}`')
    return person


def _canonical(text: str, canonical: Callable[[str], str | None], option: str, what: str) -> str:
    found = canonical(text)
    if found is None or isinstance(found, EmailReason | LinkedinReason):
        raise SettingsError(f"{option} is not {what} that a lead could have: nothing was changed")
    return str(found)


def forget_in(path: Path, person: Person, *, clock: Clock | None = None, system: System | None = None) -> Forgotten:
    """Forget a person in a results folder that no run holds.

    Args:
        path: The results folder.
        person: Who.
        clock: The machine's own by default.
        system: The operating system's own file calls by default.

    Raises:
        FolderLocked: A run holds the folder.
        SettingsError: A key is that of records in several streams.
        StorageError: A file cannot be read or written; what is changed is whole, and the command may be run again.
    """
    if not path.is_dir():
        raise StorageError(f"there is no results folder {path}")
    clock = clock or SystemClock()
    folder = Folder(path) if system is None else Folder(path, system)
    with contextlib.ExitStack() as locks:
        locks.enter_context(locked(folder, clock))
        if (path / ENRICHED_FOLDER).is_dir():  # `collect` holds a lock of its own
            locks.enter_context(locked(Folder(path / ENRICHED_FOLDER), clock))
        folder.remove_temporary_files()
        return _Forgetting(folder, folder_key(folder), person).run(clock.now())


@dataclass(slots=True)
class _Marks:
    """What the person is known by."""

    prints: dict[Identity, set[bytes]] = field(default_factory=lambda: {identity: set() for identity in Identity})
    rows: dict[str, set[int]] = field(default_factory=dict)  # by run: rows that duplicates may point to

    def add(self, identity: Identity, fingerprints: pa.Array | pa.ChunkedArray) -> None:
        self.prints[identity].update(fingerprints.drop_null().to_pylist())

    def match(self, identity: Identity, fingerprints: pa.Array) -> pa.BooleanArray:
        return pc.is_in(fingerprints, value_set=pa.array(sorted(self.prints[identity]), FINGERPRINT))


@dataclass(slots=True)
class _Forgetting:
    """One person in one folder."""

    folder: Folder
    key: bytes
    person: Person
    marks: _Marks = field(default_factory=_Marks)
    shared: set[bytes] = field(default_factory=set)  # e-mails of several profiles, or of several ids

    def run(self, now: datetime) -> Forgotten:
        self._check_stream()
        tombstones = read_tombstones(self.folder)
        self._begin(tombstones)
        self._widen()
        new = self._bury(tombstones, now)
        removed = self._remove_copies()
        outbox_files, outbox_leads = self._clean_outbox()
        result_files, rows = self._clean_results()
        return Forgotten(rows, result_files, outbox_leads, outbox_files, removed, new, bool(self.shared))

    def _check_stream(self) -> None:
        """A key without its stream must not be that of somebody else."""
        streams = set[str]()
        if self.person.keys and self.person.stream is None:
            for _, rows in self._rows():
                streams.update(rows.filter(self._has_key(rows)).column("stream").to_pylist())
            for entry in self._entries():
                if pc.any(self._has_key(_rows_of(entry))).as_py():
                    streams.add(entry.intent.stream)
        if len(streams) > 1:
            raise SettingsError(
                f"--key is the key of records in {len(streams)} streams: say which with --stream. Nothing was changed"
            )

    def _begin(self, tombstones: pa.Table) -> None:
        """What the caller gives, and what tombstones of the same person say."""
        for identity, texts in ((Identity.EMAIL, self.person.emails), (Identity.LINKEDIN, self.person.profiles)):
            self.marks.add(identity, fingerprint_column(pa.array(texts, pa.string()), self.key, identity))
        whole = [json_text(key).decode() for text in self.person.keys if isinstance(key := _decoded(text), dict)]
        if self.person.stream is not None:
            keys = pa.array(whole, pa.string())
            self.marks.add(Identity.RECORD_KEY, record_key_fingerprints(self.person.stream, keys, self.key))
        fingerprints = tombstones.column("fingerprint").combine_chunks()
        named = pa.nulls(0, pa.string())
        for identity in Identity:
            is_of = pc.equal(tombstones.column("identity"), identity.value.decode())
            is_same = pc.and_(is_of, self.marks.match(identity, fingerprints))
            named = pa.concat_arrays([named, tombstones.column("person").filter(is_same).combine_chunks()])
        for row in tombstones.filter(pc.is_in(tombstones.column("person"), value_set=named)).to_pylist():
            self.marks.prints[Identity(row["identity"].encode())].add(row["fingerprint"])

    def _widen(self) -> None:
        """The other identities that stand in the person's rows, and in the rows that these lead to."""
        found = [rows.filter(self._is_theirs(run_id, rows)) for run_id, rows in self._tables()]
        prints = (rows.column("email_fingerprint").drop_null().to_pylist() for rows in found)
        emails = {one for of_rows in prints for one in of_rows}
        self.shared = {email for name in _PERSONS_OWN for email in self._emails_of_several(emails, name)}
        self.marks.prints[Identity.EMAIL] |= emails - self.shared
        for _ in range(3):  # identities, what these lead to, duplicates of that
            for run_id, rows in self._tables():
                self._take(run_id, rows)

    def _emails_of_several(self, emails: set[bytes], name: str) -> Iterator[bytes]:
        """Those of the e-mails that stand with several values of an identity."""
        values: dict[bytes, set[bytes]] = {email: set() for email in emails}
        for _, rows in self._tables():
            is_candidate = pc.is_in(
                column_array(rows, "email_fingerprint"), value_set=pa.array(sorted(emails), FINGERPRINT)
            )
            pairs = rows.filter(pc.and_(is_candidate, pc.is_valid(column_array(rows, name))))
            for email, value in zip(*(pairs.column(n).to_pylist() for n in ("email_fingerprint", name)), strict=True):
                values[email].add(value)
        return (email for email, of_email in values.items() if len(of_email) > 1)

    def _take(self, run_id: str, rows: pa.Table) -> None:
        is_theirs = self._is_theirs(run_id, rows)
        theirs = rows.filter(is_theirs)
        self.marks.add(Identity.LINKEDIN, theirs.column("linkedin_fingerprint"))
        self.marks.add(Identity.TITLE_COMPANY, theirs.column("title_company_fingerprint"))
        self.marks.add(Identity.RECORD_KEY, _key_prints(theirs, self.key))
        numbers = rows.filter(pc.or_(is_theirs, _is_cleaned(rows))).column("record_no").to_pylist()
        self.marks.rows.setdefault(run_id, set()).update(numbers)

    def _bury(self, before: pa.Table, now: datetime) -> int:
        known = {(row["identity"], row["fingerprint"]) for row in before.to_pylist()}
        person = secrets.token_hex(8)
        new = [
            {"person": person, "identity": name, "fingerprint": print_, "forgotten_at": now}
            for identity, prints in self.marks.prints.items()
            for print_ in sorted(prints)
            if ((name := identity.value.decode()), print_) not in known
        ]
        if new:
            rows = pa.Table.from_pylist(new, schema=TOMBSTONES)
            write_tombstones(self.folder, pa.concat_tables([before.replace_schema_metadata(None), rows]))
        return len(new)

    def _remove_copies(self) -> int:
        """Before the rows that say where the person is; whoever wants them makes them anew."""
        names = set[str]()
        for run_id, rows in self._rows():
            theirs = rows.filter(self._is_theirs(run_id, rows))
            if theirs.num_rows:
                names.update(f"reports/{run_id}{ending}" for ending in (".html", ".json"))
                names.update(
                    f"{ENRICHED_FOLDER}/{list_id}.arrow" for list_id in theirs.column("list_id").drop_null().to_pylist()
                )
        there = sorted(
            names.intersection([*self.folder.names("reports/*"), *self.folder.names(f"{ENRICHED_FOLDER}/*")])
        )
        self.folder.remove(*there)
        return len(there)

    def _clean_outbox(self) -> tuple[int, int]:
        """Leads stay in their places: what is asked for is the marker, and every record keeps its row."""
        files = count = 0
        for entry in self._entries():
            is_theirs = pc.and_(self._is_theirs("", _rows_of(entry)), pc.invert(_is_cleaned(entry.leads)))
            is_named = pc.and_(_names_person(entry.leads, _TEXTS_OF_LEADS, self.person), pc.invert(is_theirs))
            if changed := _count(pc.or_(is_theirs, is_named)):
                leads = _cleaned(entry.leads, is_theirs, _PERSONAL_OF_LEADS, is_named, _TEXTS_OF_LEADS)
                nobody = pa.scalar(bytes(FINGERPRINT_BYTES), FINGERPRINT)  # the column takes no null
                leads = _replaced(leads, "version_fingerprint", is_theirs, nobody)
                Outbox(self.folder, entry.intent.run_id).rewrite(entry, leads)
                files, count = files + 1, count + changed
        return files, count

    def _clean_results(self) -> tuple[int, int]:
        files = count = 0
        for name in self._result_names():
            rows = read_file(self.folder.path / name)
            is_theirs = pc.and_(self._is_theirs(name.split("/")[1], rows), pc.invert(_is_cleaned(rows)))
            is_named = pc.and_(_names_person(rows, _TEXTS, self.person), pc.invert(is_theirs))
            if changed := _count(pc.or_(is_theirs, is_named)):
                self.folder.write(name, arrow_file(_cleaned(rows, is_theirs, _PERSONAL, is_named, _TEXTS)))
                files, count = files + 1, count + changed
        return files, count

    # --- Looking ------------------------------------------------------------------------------------------------------

    def _result_names(self) -> list[str]:
        """Every file, also one that another one replaces and that is still there."""
        return self.folder.names("results/*/*.arrow")

    def _rows(self) -> Iterator[tuple[str, pa.Table]]:
        for name in self._result_names():
            yield name.split("/")[1], read_file(self.folder.path / name, _LOOKED_AT)

    def _entries(self) -> list[OutboxEntry]:
        return Outbox(self.folder, run_id="").entries()

    def _tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Result rows with their run, and leads of the outbox as such rows."""
        yield from self._rows()
        for entry in self._entries():
            yield "", _rows_of(entry)

    def _is_theirs(self, run_id: str, rows: pa.Table) -> pa.BooleanArray:
        email, profile = column_array(rows, "email_fingerprint"), column_array(rows, "linkedin_fingerprint")
        third = column_array(rows, "title_company_fingerprint")  # beside an e-mail it is an id
        is_profile = self.marks.match(Identity.LINKEDIN, profile)
        is_third = self.marks.match(Identity.TITLE_COMPANY, third)
        is_shared = pc.is_in(email, value_set=pa.array(sorted(self.shared), FINGERPRINT))
        has_own = pc.or_(pc.is_valid(profile), pc.is_valid(third))
        is_other = pc.and_(is_shared, pc.and_not(has_own, pc.or_(is_profile, is_third)))
        checks = [
            is_profile,
            pc.and_not(self.marks.match(Identity.EMAIL, email), is_other),
            is_third,
            pc.is_in(
                column_array(rows, "winner_record_no"),
                value_set=pa.array(sorted(self.marks.rows.get(run_id, ())), pa.int64()),
            ),
        ]
        if self.marks.prints[Identity.RECORD_KEY]:
            checks.append(self.marks.match(Identity.RECORD_KEY, _key_prints(rows, self.key)))
        if self.person.keys:
            checks.append(self._has_key(rows))
        return functools.reduce(pc.or_, checks)

    def _has_key(self, rows: pa.Table) -> pa.BooleanArray:
        distinct = column_array(rows, "record_key").dictionary_encode()
        is_key = [_is_key(text, self.person.keys) for text in distinct.dictionary.to_pylist()]
        has_key = pc.fill_null(pa.array(is_key, pa.bool_()).take(distinct.indices), False)  # the fill value
        if self.person.stream is None:
            return has_key
        return pc.and_(has_key, pc.equal(column_array(rows, "stream").cast(pa.string()), self.person.stream))


def _is_key(record_key: str, keys: Iterable[str]) -> bool:
    """Whether a key is given: as results show it, or the value alone of a key of one property."""
    values = [record_key]
    members = msgspec.json.decode(record_key)
    if len(members) == 1:
        [value] = members.values()
        values += [value if isinstance(value, str) else json_text(value).decode()]
    return any(key in values or _decoded(key) == members for key in keys)


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _names_person(rows: pa.Table, columns: Sequence[str], person: Person) -> pa.BooleanArray:
    """Rows that hold an e-mail or profile of the person in some text of their JSON columns."""
    found = pa.array([False] * rows.num_rows, pa.bool_())
    for name in columns if person.emails or person.profiles else ():
        texts = column_array(rows, name)
        if texts.null_count < len(texts):
            is_there = [text is not None and _is_named(_decoded(text), person) for text in texts.to_pylist()]
            found = pc.or_(found, pa.array(is_there, pa.bool_()))
    return found


def _is_named(value: object, person: Person) -> bool:
    match value:
        case str():
            return any(_holds_email(value, email) for email in person.emails) or any(
                _holds_profile(value, profile) for profile in person.profiles
            )
        case dict():
            return any(_is_named(item, person) for item in (*value, *value.values()))
        case list():
            return any(_is_named(item, person) for item in value)
        case _:
            return False


def _holds_email(text: str, email: str) -> bool:
    if "@" not in text:
        return False
    alone = rf"(?<![\w.+%'-]){re.escape(email)}(?![\w-]|\.\w)"
    return re.search(alone, text, re.IGNORECASE) is not None or canonical_email(text) == email


def _holds_profile(text: str, profile: str) -> bool:
    if "in/" not in text.lower() and "%2f" not in text.lower():
        return False
    alone = rf"linkedin\.com/in/{re.escape(profile.rpartition('/')[2])}(?![\w%-])"
    return re.search(alone, text, re.IGNORECASE) is not None or canonical_profile_url(text) == profile


def _key_prints(rows: pa.Table, key: bytes) -> pa.FixedSizeBinaryArray:
    return record_key_fingerprints(
        column_array(rows, "stream").cast(pa.string()), column_array(rows, "record_key"), key
    )


def _is_cleaned(rows: pa.Table) -> pa.BooleanArray:
    return pc.fill_null(pc.equal(column_array(rows, "detail"), DETAIL), False)  # the fill value


def _rows_of(entry: OutboxEntry) -> pa.Table:
    """Leads of the outbox in those columns of result rows that are looked at."""
    leads, count = entry.leads, entry.leads.num_rows
    columns = {name: column_array(leads, name) for name in _LOOKED_AT if name in leads.column_names}
    columns["stream"] = pa.array([entry.intent.stream] * count, pa.string())
    columns |= {"list_id": pa.nulls(count, pa.string()), "winner_record_no": pa.nulls(count, pa.int64())}
    return pa.table([columns[name] for name in _LOOKED_AT], names=list(_LOOKED_AT))


def _cleaned(
    rows: pa.Table,
    is_theirs: pa.BooleanArray,
    personal: Sequence[str],
    is_named: pa.BooleanArray,
    texts: Sequence[str],
) -> pa.Table:
    for chosen, names in ((is_theirs, personal), (is_named, texts)):
        for name in names:
            rows = _replaced(rows, name, chosen, pa.scalar(None, rows.schema.field(name).type))
    return _replaced(rows, "detail", is_theirs, pa.scalar(DETAIL))


def _count(chosen: pa.BooleanArray) -> int:
    return int(pc.sum(chosen).as_py() or 0)


def _replaced(rows: pa.Table, name: str, chosen: pa.BooleanArray, value: pa.Scalar) -> pa.Table:
    position = rows.schema.get_field_index(name)
    column = column_array(rows, name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
        value = pa.scalar(value.as_py(), pa.string())
    replaced = pc.if_else(chosen, value, column)
    field_ = rows.schema.field(name)
    if pa.types.is_dictionary(field_.type):
        replaced = replaced.dictionary_encode()
    return rows.set_column(position, field_, replaced.cast(field_.type))
